//! Tier `portable`: `wide::f32x16`, whose instructions are those of the build target.

use crate::tile::{ACC_STRIDE, MAX_ROWS, MOST_TOKENS, RowsCall, Tier, TokensCall, by_shape, rows_generic};
use crate::vector::{Pointwise, Vector};
use wide::{f32x16, i32x16, u32x16};

/// Sixteen floats as `wide` holds them.
#[derive(Clone, Copy)]
pub(crate) struct Portable(f32x16);

fn bits(x: f32x16) -> u32x16 {
    bytemuck::cast(x)
}
fn floats(x: u32x16) -> Portable {
    Portable(bytemuck::cast(x))
}

impl Pointwise for Portable {
    type Mask = f32x16;
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        Self(f32x16::splat(x))
    }
    #[inline(always)]
    fn add(self, o: Self) -> Self {
        Self(self.0 + o.0)
    }
    #[inline(always)]
    fn sub(self, o: Self) -> Self {
        Self(self.0 - o.0)
    }
    #[inline(always)]
    fn mul(self, o: Self) -> Self {
        Self(self.0 * o.0)
    }
    #[inline(always)]
    fn div(self, o: Self) -> Self {
        Self(self.0 / o.0)
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        Self(self.0.sqrt())
    }
    #[inline(always)]
    fn mul_add(self, a: Self, b: Self) -> Self {
        Self(self.0.mul_add(a.0, b.0))
    }
    /// The product is exact in f64; what is left of a second rounding is 2^-29 of a ULP.
    #[inline(always)]
    fn mul_add_once(self, a: Self, b: Self) -> Self {
        let (x, a, b) = (self.0.to_array(), a.0.to_array(), b.0.to_array());
        let once = |i: usize| (f64::from(x[i]) * f64::from(a[i]) + f64::from(b[i])) as f32;
        Self(f32x16::from(std::array::from_fn(once)))
    }
    #[inline(always)]
    fn neg_mul_add(self, a: Self, b: Self) -> Self {
        Self(self.0.mul_neg_add(a.0, b.0))
    }
    #[inline(always)]
    fn min(self, o: Self) -> Self {
        Self::select(self.lt(o), self, o)
    }
    #[inline(always)]
    fn max(self, o: Self) -> Self {
        Self::select(o.lt(self), self, o)
    }
    #[inline(always)]
    fn and(self, o: Self) -> Self {
        floats(bits(self.0) & bits(o.0))
    }
    #[inline(always)]
    fn or(self, o: Self) -> Self {
        floats(bits(self.0) | bits(o.0))
    }
    #[inline(always)]
    fn xor(self, o: Self) -> Self {
        floats(bits(self.0) ^ bits(o.0))
    }
    #[inline(always)]
    fn add_i32(self, o: Self) -> Self {
        let (a, b): (i32x16, i32x16) = (bytemuck::cast(self.0), bytemuck::cast(o.0));
        Self(bytemuck::cast(a + b))
    }
    #[inline(always)]
    fn shl_u32<const N: i32>(self) -> Self {
        floats(bits(self.0) << N)
    }
    #[inline(always)]
    fn lt(self, o: Self) -> Self::Mask {
        self.0.simd_lt(o.0)
    }
    #[inline(always)]
    fn select(mask: Self::Mask, a: Self, b: Self) -> Self {
        Self(mask.bitselect(a.0, b.0))
    }
}

impl Vector for Portable {
    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self {
        // SAFETY: 16 readable floats by the caller's promise; arrays of floats have no padding and any bits are a float.
        Self(f32x16::from(unsafe { p.cast::<[f32; 16]>().read_unaligned() }))
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        // SAFETY: 16 writable floats by the caller's promise.
        unsafe { p.cast::<[f32; 16]>().write_unaligned(self.0.to_array()) }
    }
}

/// The tier's token.
pub(crate) struct Tiles;

impl Tier for Tiles {
    type V = Portable;
    const ROWS: [usize; 4] = [4, 4, 4, 4];
    const TOKEN_ROWS: [usize; 4] = [8, 8, 8, 8];
    // Vectors of four registers: 12 of the 16 that x86-64 has without a build for more, 24 of the 32 of aarch64.
    const CHAINS: usize = if cfg!(target_arch = "aarch64") { 6 } else { 3 };

    #[inline(always)]
    unsafe fn rows(n: usize, m: usize, rows: &[*const f32; MAX_ROWS], b: *const f32, call: &mut RowsCall) {
        // SAFETY: the caller's obligations.
        unsafe {
            by_shape!(n, m, rows_generic::<Portable>(rows, b, call), [1: 1 2 3 4; 2: 1 2 3 4; 3: 1 2 3 4; 4: 1 2 3 4])
        }
    }

    /// Dense inputs and the readout: `matrixmultiply`. One run of k, rows apart by the same stride.
    unsafe fn strided_rows(n: usize, m: usize, rows: &[*const f32; MAX_ROWS], b: *const f32, call: &mut RowsCall) {
        let k = call.run_bytes / 4;
        let stride = if m > 1 { (rows[1] as isize - rows[0] as isize) / 4 } else { k as isize };
        // SAFETY: the caller's obligations; init is copied to acc first, then acc += a b.
        unsafe {
            for (i, init) in call.init.iter().enumerate().take(m) {
                std::ptr::copy(*init, call.acc.add(i * ACC_STRIDE), n * 16);
            }
            let (acc, columns) = (call.acc, n * 16);
            matrixmultiply::sgemm(
                m,
                k,
                columns,
                1.0,
                rows[0],
                stride,
                1,
                b,
                columns as isize,
                1,
                1.0,
                acc,
                ACC_STRIDE as isize,
                1,
            );
        }
    }

    /// Weight gradients: `matrixmultiply` on so many tokens at a time, whose rows are first put beside each other: where they
    /// lie must leave no trace in the order of its sums.
    unsafe fn tokens(n: usize, m: usize, call: &TokensCall<'_>) {
        let columns = n * 16;
        let (mut a, mut b) = ([0.0; MOST_TOKENS * MAX_ROWS], [0.0; MOST_TOKENS * ACC_STRIDE]);
        // SAFETY: the caller's obligations; the copies hold `count` rows of m and of n vectors.
        unsafe {
            let mut rows = call.rows();
            loop {
                let mut count = 0;
                for (row_a, row_b) in rows.by_ref().take(MOST_TOKENS) {
                    std::ptr::copy_nonoverlapping(row_a, a[count * m..].as_mut_ptr(), m);
                    std::ptr::copy_nonoverlapping(row_b, b[count * columns..].as_mut_ptr(), columns);
                    count += 1;
                }
                if count == 0 {
                    return;
                }
                let (a, b, width) = (a.as_ptr(), b.as_ptr(), columns as isize);
                matrixmultiply::sgemm(m, count, columns, 1.0, a, 1, m as isize, b, width, 1, 1.0, call.c, width, 1);
            }
        }
    }
}

crate::table::entries!(Tiles);
