//! `pre [panel][lane][4*16] = sum over k of h[lane][k] * w[panel][k][4*16]` in f32 and in bf16: the bench's question whether
//! bf16 fits the packing of the f32 kernels. No mode of training yet, and no part of the surface.
//!
//! Two k of a column lie beside each other, `[panel][k/2][4*16][2]`, so a panel begins at the same element as in f32 and a
//! step of the loop is 256 bytes as in f32. h stays row-major: its pairs are neighbours already. k is a multiple of 4 by the
//! layout, so pairs never straddle a segment. Sums are f32; `vdpbf16ps` takes denormals as 0.

use crate::buffer::{Buffer, OutOfMemory};
use crate::pack::{LANES, Panels};
use crate::tile::tiles;

/// Most lanes of a tile.
pub(crate) const ROWS: usize = 6;

/// Reads `row_bytes` of each of m rows of h and the panel from `w` on; writes `out [m][4*16]`.
///
/// # Safety
/// - the instructions were detected; the addresses are valid for that; `row_bytes` is a positive multiple of 4.
pub(crate) type Loop = unsafe fn(rows: &[*const u8; ROWS], w: *const u8, row_bytes: usize, out: *mut f32);

/// The loops of an instruction set.
pub(crate) struct Loops {
    pub(crate) f32: [Loop; ROWS],
    pub(crate) bf16: [Loop; ROWS],
    pub(crate) chains: unsafe fn(u64) -> f64,
}

/// f32 to the nearest bf16, ties to even; NaN stays NaN.
pub fn round(x: f32) -> u16 {
    let bits = x.to_bits();
    if x.is_nan() {
        return (bits >> 16) as u16 | 0x40;
    }
    ((bits + 0x7fff + (bits >> 16 & 1)) >> 16) as u16
}

/// The f32 that a bf16 stands for.
pub fn widen(x: u16) -> f32 {
    f32::from_bits(u32::from(x) << 16)
}

/// Packed weights in bf16, `[panel][k/2][4*16][2]`.
#[derive(Debug)]
pub struct Pairs {
    panels: Panels,
    k: usize,
    /// Pairs as they lie in memory: the first k in the low half.
    data: Buffer,
}

impl Pairs {
    /// f32 weights `[panel][k][4*16]`, rounded. Errors: the memory is not to be had. Panics where k is odd or the length
    /// is another.
    pub fn pack(panels: Panels, k: usize, w: &[f32]) -> Result<Self, OutOfMemory> {
        assert!(k.is_multiple_of(2) && w.len() == panels.floats(k), "{} weights in {k} rows of {panels:?}", w.len());
        let mut data = Buffer::zeroed(w.len() / 2)?;
        for p in 0..panels.count() {
            let (width, begin) = (panels.width(p) * LANES, panels.offset(p, k));
            for pair in 0..k / 2 {
                for column in 0..width {
                    let at = |k: usize| u32::from(round(w[begin + k * width + column]));
                    let both = at(2 * pair) | at(2 * pair + 1) << 16;
                    data[begin / 2 + pair * width + column] = f32::from_bits(both);
                }
            }
        }
        Ok(Self { panels, k, data })
    }
}

/// The gate product in both precisions. To hold one is the proof that the CPU runs it.
#[derive(Clone, Copy)]
pub struct GateProduct(&'static Loops);

impl std::fmt::Debug for GateProduct {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("GateProduct")
    }
}

impl GateProduct {
    /// None where this machine has no bf16 products.
    pub fn detected() -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        if crate::arch::avx512_bf16::detected() {
            return Some(Self(&crate::arch::avx512_bf16::LOOPS));
        }
        None
    }
    /// From f32 weights `[panel][k][4*16]` and rows of h `stride` apart. Panics where a shape does not fit.
    pub fn f32(&self, panels: Panels, k: usize, w: &[f32], (h, stride): (&[f32], usize), out: &mut [f32]) {
        product(&self.0.f32, panels, k, w, (h, stride), out);
    }
    /// From bf16 weights and rows of bf16 h `stride` apart. Panics where a shape does not fit.
    pub fn bf16(&self, w: &Pairs, (h, stride): (&[u16], usize), out: &mut [f32]) {
        product(&self.0.bf16, w.panels, w.k, bytemuck::cast_slice::<f32, u16>(&w.data), (h, stride), out);
    }
    /// bf16 products in registers alone, `repeats` times in each of several chains: the peak. Gives the FLOP done.
    pub fn chains(&self, repeats: u64) -> f64 {
        // SAFETY: detected.
        unsafe { (self.0.chains)(repeats) }
    }
}

/// Every panel and lane, with E = f32 or bf16.
fn product<E>(loops: &[Loop; ROWS], panels: Panels, k: usize, w: &[E], (h, stride): (&[E], usize), out: &mut [f32]) {
    let lanes = out.len() / (panels.vectors() * LANES);
    if lanes == 0 {
        return;
    }
    let width = 4 * LANES;
    assert!(panels.per_panel() == 4 && panels.vectors().is_multiple_of(4), "gate product: {panels:?} are not of four");
    assert!(k > 0 && k.is_multiple_of(4) && w.len() == panels.floats(k), "gate product: {} weights, k {k}", w.len());
    assert!(out.len() == lanes * panels.count() * width, "gate product: {} floats are no whole lanes", out.len());
    let fits = stride.checked_mul(lanes - 1).and_then(|last| last.checked_add(k)).is_some_and(|end| end <= h.len());
    assert!(fits, "gate product: {} of h do not hold {lanes} rows of {k}, {stride} apart", h.len());
    for p in 0..panels.count() {
        for (first, m) in tiles(lanes, ROWS) {
            let mut rows = [std::ptr::null::<u8>(); ROWS];
            for (i, row) in rows.iter_mut().enumerate().take(m) {
                *row = h[(first + i) * stride..][..k].as_ptr().cast();
            }
            let w = w[panels.offset(p, k)..][..k * width].as_ptr().cast();
            let out = out[(p * lanes + first) * width..][..m * width].as_mut_ptr();
            // SAFETY: rows, panel and out were just sliced with their lengths: k elements, k * 64 elements, m * 64 floats;
            // k is a multiple of 4, so whole pairs; detected.
            unsafe { loops[m - 1](&rows, w, size_of::<E>() * k, out) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Small whole numbers, whose products and sums are exact in either precision.
    fn whole(n: usize, seed: usize) -> Vec<f32> {
        (0..n).map(|i| ((i * 7919 + seed * 104_729) % 17) as f32 - 8.0).collect()
    }

    #[test]
    fn rounding_is_to_nearest_with_ties_to_even() {
        let around = |high: u32, low: u32| round(f32::from_bits(high << 16 | low));
        assert_eq!([around(0x3f80, 0x7fff), around(0x3f80, 0x8000), around(0x3f80, 0x8001)], [0x3f80, 0x3f80, 0x3f81]);
        assert_eq!([around(0x3f81, 0x8000), around(0xbf81, 0x8000)], [0x3f82, 0xbf82]);
        assert_eq!(widen(round(f32::MAX)), f32::INFINITY);
        assert!(widen(round(f32::from_bits(0x7f80_0001))).is_nan());
        assert!((0..=u16::MAX).all(|x| widen(x).is_nan() || round(widen(x)) == x));
    }

    #[test]
    fn pairs_lie_where_the_panels_lay() {
        let (panels, k) = (Panels::fixed(8, 4), 8);
        let w = whole(panels.floats(k), 1);
        let pairs = Pairs::pack(panels, k, &w).unwrap();
        let data: &[u16] = bytemuck::cast_slice(&pairs.data);
        for column in 0..panels.vectors() * LANES {
            for row in 0..k {
                let p = column / 64;
                let at = panels.offset(p, k) + (row / 2 * 64 + column % 64) * 2 + row % 2;
                assert_eq!(widen(data[at]), w[panels.at(k, row, column)], "row {row}, column {column}");
            }
        }
    }

    /// Every number of lanes, tails included, several panels, rows with gaps: exact sums, and nothing beside them touched.
    #[test]
    fn both_precisions_give_the_exact_product_of_whole_numbers() {
        const CANARY: f32 = 4321.5;
        let Some(gates) = GateProduct::detected() else { return };
        for lanes in 1..=2 * ROWS + 1 {
            for (units, k) in [(1, 4), (2, 8), (3, 20), (1, 132)] {
                let (panels, stride) = (Panels::fixed(4 * units, 4), k + 6);
                let (w, h) = (whole(panels.floats(k), 2), whole(lanes * stride, 3));
                let (pairs, h16) =
                    (Pairs::pack(panels, k, &w).unwrap(), h.iter().map(|&x| round(x)).collect::<Vec<_>>());
                let floats = lanes * panels.vectors() * LANES;
                let mut out = vec![CANARY; floats + 32];
                for bf16 in [false, true] {
                    let (before, rest) = out.split_at_mut(16);
                    let (inside, after) = rest.split_at_mut(floats);
                    // The last row ends with its k: nothing behind it may be read.
                    let end = (lanes - 1) * stride + k;
                    if bf16 {
                        gates.bf16(&pairs, (&h16[..end], stride), inside);
                    } else {
                        gates.f32(panels, k, &w, (&h[..end], stride), inside);
                    }
                    assert!(before.iter().chain(after.iter()).all(|&x| x == CANARY));
                    for (i, &found) in inside.iter().enumerate() {
                        let (p, lane, column) = (i / 64 / lanes, i / 64 % lanes, i % 64);
                        let want: f32 =
                            (0..k).map(|k_at| h[lane * stride + k_at] * w[panels.at(k, k_at, p * 64 + column)]).sum();
                        assert_eq!(found, want, "bf16 {bf16}, {lanes} lanes, k {k}: panel {p} lane {lane} {column}");
                    }
                }
            }
        }
        assert_eq!(gates.chains(10), 10.0 * 24.0 * 64.0);
    }

    #[test]
    fn rows_that_are_not_there_are_refused() {
        let Some(gates) = GateProduct::detected() else { return };
        let refused = std::panic::catch_unwind(|| {
            gates.f32(Panels::fixed(4, 4), 4, &[0.0; 256], (&[0.0; 7], 4), &mut [0.0; 128]);
        });
        let said = refused.unwrap_err().downcast::<String>().unwrap();
        assert!(said.contains("do not hold 2 rows of 4, 4 apart"), "{said}");
    }
}
