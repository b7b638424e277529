//! Tier `avx512`: one zmm is the vector; tiles of 7 lanes x 4 zmm.

use super::x86::{
    fma_row, load_acc, load_c, prefetch, prefetch_near, prefetch_write, rows_loop, rows_loop_with, stamp, store_acc,
    store_c, tokens_loop, tokens_loop_with,
};
use crate::tile::{MAX_ROWS, RowsCall, Tier, TokensCall};
use crate::vector::{Pointwise, Vector};
use core::arch::x86_64::*;

/// Sixteen floats in one zmm. A value exists only where AVX-512 F, DQ, BW and VL were detected.
#[derive(Clone, Copy)]
pub(crate) struct Avx512(__m512);

// SAFETY (of every block below): a value of this type proves the instructions; `load`, `splat` and `store` pass their
// caller's obligations on.
#[allow(clippy::undocumented_unsafe_blocks, reason = "one argument for the whole impl, stated above it")]
impl Pointwise for Avx512 {
    type Mask = __mmask16;
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        Self(unsafe { _mm512_set1_ps(x) })
    }
    #[inline(always)]
    fn add(self, o: Self) -> Self {
        Self(unsafe { _mm512_add_ps(self.0, o.0) })
    }
    #[inline(always)]
    fn sub(self, o: Self) -> Self {
        Self(unsafe { _mm512_sub_ps(self.0, o.0) })
    }
    #[inline(always)]
    fn mul(self, o: Self) -> Self {
        Self(unsafe { _mm512_mul_ps(self.0, o.0) })
    }
    #[inline(always)]
    fn div(self, o: Self) -> Self {
        Self(unsafe { _mm512_div_ps(self.0, o.0) })
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        Self(unsafe { _mm512_sqrt_ps(self.0) })
    }
    #[inline(always)]
    fn mul_add(self, a: Self, b: Self) -> Self {
        Self(unsafe { _mm512_fmadd_ps(self.0, a.0, b.0) })
    }
    #[inline(always)]
    fn neg_mul_add(self, a: Self, b: Self) -> Self {
        Self(unsafe { _mm512_fnmadd_ps(self.0, a.0, b.0) })
    }
    #[inline(always)]
    fn min(self, o: Self) -> Self {
        Self(unsafe { _mm512_min_ps(self.0, o.0) })
    }
    #[inline(always)]
    fn max(self, o: Self) -> Self {
        Self(unsafe { _mm512_max_ps(self.0, o.0) })
    }
    #[inline(always)]
    fn and(self, o: Self) -> Self {
        Self(unsafe { _mm512_and_ps(self.0, o.0) })
    }
    #[inline(always)]
    fn or(self, o: Self) -> Self {
        Self(unsafe { _mm512_or_ps(self.0, o.0) })
    }
    #[inline(always)]
    fn xor(self, o: Self) -> Self {
        Self(unsafe { _mm512_xor_ps(self.0, o.0) })
    }
    #[inline(always)]
    fn add_i32(self, o: Self) -> Self {
        Self(unsafe { _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(self.0), _mm512_castps_si512(o.0))) })
    }
    #[inline(always)]
    fn shl_u32<const N: i32>(self) -> Self {
        Self(unsafe { _mm512_castsi512_ps(_mm512_sll_epi32(_mm512_castps_si512(self.0), _mm_cvtsi32_si128(N))) })
    }
    #[inline(always)]
    fn lt(self, o: Self) -> Self::Mask {
        unsafe { _mm512_cmp_ps_mask::<_CMP_LT_OQ>(self.0, o.0) }
    }
    #[inline(always)]
    fn select(mask: Self::Mask, a: Self, b: Self) -> Self {
        Self(unsafe { _mm512_mask_blend_ps(mask, b.0, a.0) })
    }
}

#[allow(clippy::undocumented_unsafe_blocks, reason = "one argument for the whole impl, stated above it")]
impl Vector for Avx512 {
    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self {
        Self(unsafe { _mm512_loadu_ps(p) })
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        unsafe { _mm512_storeu_ps(p, self.0) }
    }
    /// Quarters of 4 rows first: `quads[4g + j]` has columns j, 4 + j, 8 + j, 12 + j of rows 4g to 4g + 3, one after the
    /// other. Then the quarters of the four groups. Loops, no closures: those would not take the instructions over.
    #[inline(always)]
    fn transpose(rows: [Self; 16]) -> [Self; 16] {
        let mut quads = rows;
        let mut out = rows;
        unsafe {
            for g in 0..4 {
                let (a, b, c, d) = (rows[4 * g].0, rows[4 * g + 1].0, rows[4 * g + 2].0, rows[4 * g + 3].0);
                let (ab, cd) = (_mm512_castps_pd(_mm512_unpacklo_ps(a, b)), _mm512_castps_pd(_mm512_unpacklo_ps(c, d)));
                quads[4 * g] = Self(_mm512_castpd_ps(_mm512_unpacklo_pd(ab, cd)));
                quads[4 * g + 1] = Self(_mm512_castpd_ps(_mm512_unpackhi_pd(ab, cd)));
                let (ab, cd) = (_mm512_castps_pd(_mm512_unpackhi_ps(a, b)), _mm512_castps_pd(_mm512_unpackhi_ps(c, d)));
                quads[4 * g + 2] = Self(_mm512_castpd_ps(_mm512_unpacklo_pd(ab, cd)));
                quads[4 * g + 3] = Self(_mm512_castpd_ps(_mm512_unpackhi_pd(ab, cd)));
            }
            for j in 0..4 {
                let (a, b, c, d) = (quads[j].0, quads[4 + j].0, quads[8 + j].0, quads[12 + j].0);
                let (ab, cd) = (_mm512_shuffle_f32x4::<0x44>(a, b), _mm512_shuffle_f32x4::<0x44>(c, d));
                out[j] = Self(_mm512_shuffle_f32x4::<0x88>(ab, cd));
                out[4 + j] = Self(_mm512_shuffle_f32x4::<0xdd>(ab, cd));
                let (ab, cd) = (_mm512_shuffle_f32x4::<0xee>(a, b), _mm512_shuffle_f32x4::<0xee>(c, d));
                out[8 + j] = Self(_mm512_shuffle_f32x4::<0x88>(ab, cd));
                out[12 + j] = Self(_mm512_shuffle_f32x4::<0xdd>(ab, cd));
            }
        }
        out
    }
}

/// Whether the CPU has this tier's bundle and the system saves its registers.
pub(crate) fn detected() -> bool {
    features().iter().all(|&(_, has)| has)
}

/// The bundle: each of its parts, and whether it is there.
pub(crate) fn features() -> [(&'static str, bool); 6] {
    let [avx2, fma] = super::avx2::features();
    [
        ("AVX-512 F", is_x86_feature_detected!("avx512f")),
        ("AVX-512 DQ", is_x86_feature_detected!("avx512dq")),
        ("AVX-512 BW", is_x86_feature_detected!("avx512bw")),
        ("AVX-512 VL", is_x86_feature_detected!("avx512vl")),
        avx2,
        fma,
    ]
}

/// The tier's token; reached only through detection.
pub(crate) struct Tiles;

/// All loops of one kind and N. Weights in zmm28 and up, broadcasts in turn in zmm24-27.
macro_rules! loops {
    ($kind:ident, 4, $($name:ident)+) => { stamp!($kind, ["avx512f" "zmm" 64 "zmm0" "zmm1" "zmm2" "zmm3" "zmm4" "zmm5" "zmm6" "zmm7" "zmm8" "zmm9" "zmm10" "zmm11" "zmm12" "zmm13" "zmm14" "zmm15" "zmm16" "zmm17" "zmm18" "zmm19" "zmm20" "zmm21" "zmm22" "zmm23" "zmm24" "zmm25" "zmm26" "zmm27" "zmm28" "zmm29" "zmm30" "zmm31"], 4, [28 0, 29 1, 30 2, 31 3], [$($name)+], [],
        r0 0 24 [0 "zmm28" 0, 1 "zmm29" 1, 2 "zmm30" 2, 3 "zmm31" 3];
        r1 1 25 [4 "zmm28" 0, 5 "zmm29" 1, 6 "zmm30" 2, 7 "zmm31" 3];
        r2 2 26 [8 "zmm28" 0, 9 "zmm29" 1, 10 "zmm30" 2, 11 "zmm31" 3];
        r3 3 27 [12 "zmm28" 0, 13 "zmm29" 1, 14 "zmm30" 2, 15 "zmm31" 3];
        r4 4 24 [16 "zmm28" 0, 17 "zmm29" 1, 18 "zmm30" 2, 19 "zmm31" 3];
        r5 5 25 [20 "zmm28" 0, 21 "zmm29" 1, 22 "zmm30" 2, 23 "zmm31" 3]); };
    // All registers are taken: one broadcast, and the last weight is read by each row.
    ($kind:ident, 7x4, $name:ident) => { $kind!(["avx512f" "zmm" 64 "zmm0" "zmm1" "zmm2" "zmm3" "zmm4" "zmm5" "zmm6" "zmm7" "zmm8" "zmm9" "zmm10" "zmm11" "zmm12" "zmm13" "zmm14" "zmm15" "zmm16" "zmm17" "zmm18" "zmm19" "zmm20" "zmm21" "zmm22" "zmm23" "zmm24" "zmm25" "zmm26" "zmm27" "zmm28" "zmm29" "zmm30" "zmm31"], $name, 4, [28 0, 29 1, 30 2],
        r0 0 31 [0 "zmm28" 0, 1 "zmm29" 1, 2 "zmm30" 2, 3 "zmmword ptr [{b} + 192]" 3];
        r1 1 31 [4 "zmm28" 0, 5 "zmm29" 1, 6 "zmm30" 2, 7 "zmmword ptr [{b} + 192]" 3];
        r2 2 31 [8 "zmm28" 0, 9 "zmm29" 1, 10 "zmm30" 2, 11 "zmmword ptr [{b} + 192]" 3];
        r3 3 31 [12 "zmm28" 0, 13 "zmm29" 1, 14 "zmm30" 2, 15 "zmmword ptr [{b} + 192]" 3];
        r4 4 31 [16 "zmm28" 0, 17 "zmm29" 1, 18 "zmm30" 2, 19 "zmmword ptr [{b} + 192]" 3];
        r5 5 31 [20 "zmm28" 0, 21 "zmm29" 1, 22 "zmm30" 2, 23 "zmmword ptr [{b} + 192]" 3];
        r6 6 31 [24 "zmm28" 0, 25 "zmm29" 1, 26 "zmm30" 2, 27 "zmmword ptr [{b} + 192]" 3]); };
    ($kind:ident, 3, $($name:ident)+) => { stamp!($kind, ["avx512f" "zmm" 64 "zmm0" "zmm1" "zmm2" "zmm3" "zmm4" "zmm5" "zmm6" "zmm7" "zmm8" "zmm9" "zmm10" "zmm11" "zmm12" "zmm13" "zmm14" "zmm15" "zmm16" "zmm17" "zmm18" "zmm19" "zmm20" "zmm21" "zmm22" "zmm23" "zmm24" "zmm25" "zmm26" "zmm27" "zmm28" "zmm29" "zmm30" "zmm31"], 3, [28 0, 29 1, 30 2], [$($name)+], [],
        r0 0 24 [0 "zmm28" 0, 1 "zmm29" 1, 2 "zmm30" 2]; r1 1 25 [3 "zmm28" 0, 4 "zmm29" 1, 5 "zmm30" 2];
        r2 2 26 [6 "zmm28" 0, 7 "zmm29" 1, 8 "zmm30" 2]; r3 3 27 [9 "zmm28" 0, 10 "zmm29" 1, 11 "zmm30" 2];
        r4 4 24 [12 "zmm28" 0, 13 "zmm29" 1, 14 "zmm30" 2]; r5 5 25 [15 "zmm28" 0, 16 "zmm29" 1, 17 "zmm30" 2];
        r6 6 26 [18 "zmm28" 0, 19 "zmm29" 1, 20 "zmm30" 2]; r7 7 27 [21 "zmm28" 0, 22 "zmm29" 1, 23 "zmm30" 2]); };
    ($kind:ident, 2, $($name:ident)+) => { stamp!($kind, ["avx512f" "zmm" 64 "zmm0" "zmm1" "zmm2" "zmm3" "zmm4" "zmm5" "zmm6" "zmm7" "zmm8" "zmm9" "zmm10" "zmm11" "zmm12" "zmm13" "zmm14" "zmm15" "zmm16" "zmm17" "zmm18" "zmm19" "zmm20" "zmm21" "zmm22" "zmm23" "zmm24" "zmm25" "zmm26" "zmm27" "zmm28" "zmm29" "zmm30" "zmm31"], 2, [28 0, 29 1], [$($name)+], [],
        r0 0 24 [0 "zmm28" 0, 1 "zmm29" 1]; r1 1 25 [2 "zmm28" 0, 3 "zmm29" 1];
        r2 2 26 [4 "zmm28" 0, 5 "zmm29" 1]; r3 3 27 [6 "zmm28" 0, 7 "zmm29" 1];
        r4 4 24 [8 "zmm28" 0, 9 "zmm29" 1]; r5 5 25 [10 "zmm28" 0, 11 "zmm29" 1];
        r6 6 26 [12 "zmm28" 0, 13 "zmm29" 1]; r7 7 27 [14 "zmm28" 0, 15 "zmm29" 1]); };
    ($kind:ident, 1, $($name:ident)+) => { stamp!($kind, ["avx512f" "zmm" 64 "zmm0" "zmm1" "zmm2" "zmm3" "zmm4" "zmm5" "zmm6" "zmm7" "zmm8" "zmm9" "zmm10" "zmm11" "zmm12" "zmm13" "zmm14" "zmm15" "zmm16" "zmm17" "zmm18" "zmm19" "zmm20" "zmm21" "zmm22" "zmm23" "zmm24" "zmm25" "zmm26" "zmm27" "zmm28" "zmm29" "zmm30" "zmm31"], 1, [28 0], [$($name)+], [],
        r0 0 24 [0 "zmm28" 0]; r1 1 25 [1 "zmm28" 0]; r2 2 26 [2 "zmm28" 0]; r3 3 27 [3 "zmm28" 0];
        r4 4 24 [4 "zmm28" 0]; r5 5 25 [5 "zmm28" 0]; r6 6 26 [6 "zmm28" 0]; r7 7 27 [7 "zmm28" 0]); };
}

loops!(rows_loop, 4, rows_1x4 rows_2x4 rows_3x4 rows_4x4 rows_5x4 rows_6x4);
loops!(rows_loop, 7x4, rows_7x4);
loops!(rows_loop, 3, rows_1x3 rows_2x3 rows_3x3 rows_4x3 rows_5x3 rows_6x3 rows_7x3 rows_8x3);
loops!(rows_loop, 2, rows_1x2 rows_2x2 rows_3x2 rows_4x2 rows_5x2 rows_6x2 rows_7x2 rows_8x2);
loops!(rows_loop, 1, rows_1x1 rows_2x1 rows_3x1 rows_4x1 rows_5x1 rows_6x1 rows_7x1 rows_8x1);
loops!(tokens_loop, 4, tokens_1x4 tokens_2x4 tokens_3x4 tokens_4x4 tokens_5x4 tokens_6x4);
loops!(tokens_loop, 7x4, tokens_7x4);
loops!(tokens_loop, 3, tokens_1x3 tokens_2x3 tokens_3x3 tokens_4x3 tokens_5x3 tokens_6x3 tokens_7x3 tokens_8x3);
loops!(tokens_loop, 2, tokens_1x2 tokens_2x2 tokens_3x2 tokens_4x2 tokens_5x2 tokens_6x2 tokens_7x2 tokens_8x2);
loops!(tokens_loop, 1, tokens_1x1 tokens_2x1 tokens_3x1 tokens_4x1 tokens_5x1 tokens_6x1 tokens_7x1 tokens_8x1);

type RowsLoop = unsafe fn(&[*const f32; MAX_ROWS], *const f32, &mut RowsCall);
type TokensLoop = unsafe fn(&TokensCall<'_>);

/// By n - 1, then m - 1.
static ROWS: [&[RowsLoop]; 4] = [
    &[rows_1x1, rows_2x1, rows_3x1, rows_4x1, rows_5x1, rows_6x1, rows_7x1, rows_8x1],
    &[rows_1x2, rows_2x2, rows_3x2, rows_4x2, rows_5x2, rows_6x2, rows_7x2, rows_8x2],
    &[rows_1x3, rows_2x3, rows_3x3, rows_4x3, rows_5x3, rows_6x3, rows_7x3, rows_8x3],
    &[rows_1x4, rows_2x4, rows_3x4, rows_4x4, rows_5x4, rows_6x4, rows_7x4],
];
static TOKENS: [&[TokensLoop]; 4] = [
    &[tokens_1x1, tokens_2x1, tokens_3x1, tokens_4x1, tokens_5x1, tokens_6x1, tokens_7x1, tokens_8x1],
    &[tokens_1x2, tokens_2x2, tokens_3x2, tokens_4x2, tokens_5x2, tokens_6x2, tokens_7x2, tokens_8x2],
    &[tokens_1x3, tokens_2x3, tokens_3x3, tokens_4x3, tokens_5x3, tokens_6x3, tokens_7x3, tokens_8x3],
    &[tokens_1x4, tokens_2x4, tokens_3x4, tokens_4x4, tokens_5x4, tokens_6x4, tokens_7x4],
];

impl Tier for Tiles {
    type V = Avx512;
    const ROWS: [usize; 4] = [8, 8, 8, 7];
    const TOKEN_ROWS: [usize; 4] = [8, 8, 8, 7];
    // 12 of 32 zmm: two ports with a latency of four or five are full with ten.
    const CHAINS: usize = 12;

    #[inline(always)]
    unsafe fn rows(n: usize, m: usize, rows: &[*const f32; MAX_ROWS], b: *const f32, call: &mut RowsCall) {
        // SAFETY: the caller's obligations; the table's bounds are checked.
        unsafe { ROWS[n - 1][m - 1](rows, b, call) }
    }
    #[inline(always)]
    fn prefetch_near(p: *const f32) {
        prefetch_near(p);
    }
    #[inline(always)]
    fn prefetch_write(p: *const f32) {
        prefetch_write(p);
    }
    #[inline(always)]
    fn prefetch(p: *const f32) {
        prefetch(p);
    }
    #[inline(always)]
    unsafe fn tokens(n: usize, m: usize, call: &TokensCall<'_>) {
        // SAFETY: as above.
        unsafe { TOKENS[n - 1][m - 1](call) }
    }
}

crate::table::entries!("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma", Tiles);
