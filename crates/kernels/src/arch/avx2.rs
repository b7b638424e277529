//! Tier `avx2`: two ymm are the vector; tiles of 6 lanes walk a panel vector by vector.

use super::x86::{
    fma_row, load_acc, load_c, prefetch, prefetch_near, prefetch_write, quiet_rows_loop, quiet_tokens_loop, rows_loop,
    rows_loop_with, stamp, store_acc, store_c, tokens_loop, tokens_loop_with,
};
use crate::tile::{MAX_ROWS, RowsCall, Tier, TokensCall};
use crate::vector::{Pointwise, Vector};
use core::arch::x86_64::*;

/// Sixteen floats in two ymm. A value exists only where AVX2 and FMA were detected.
#[derive(Clone, Copy)]
pub(crate) struct Avx2(__m256, __m256);

// SAFETY (of every block below): a value of this type proves the instructions; `load`, `splat` and `store` pass their
// caller's obligations on.
#[allow(clippy::undocumented_unsafe_blocks, reason = "one argument for the whole impl, stated above it")]
impl Pointwise for Avx2 {
    type Mask = (__m256, __m256);
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        let v = unsafe { _mm256_set1_ps(x) };
        Self(v, v)
    }
    #[inline(always)]
    fn add(self, o: Self) -> Self {
        unsafe { Self(_mm256_add_ps(self.0, o.0), _mm256_add_ps(self.1, o.1)) }
    }
    #[inline(always)]
    fn sub(self, o: Self) -> Self {
        unsafe { Self(_mm256_sub_ps(self.0, o.0), _mm256_sub_ps(self.1, o.1)) }
    }
    #[inline(always)]
    fn mul(self, o: Self) -> Self {
        unsafe { Self(_mm256_mul_ps(self.0, o.0), _mm256_mul_ps(self.1, o.1)) }
    }
    #[inline(always)]
    fn div(self, o: Self) -> Self {
        unsafe { Self(_mm256_div_ps(self.0, o.0), _mm256_div_ps(self.1, o.1)) }
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        unsafe { Self(_mm256_sqrt_ps(self.0), _mm256_sqrt_ps(self.1)) }
    }
    #[inline(always)]
    fn mul_add(self, a: Self, b: Self) -> Self {
        unsafe { Self(_mm256_fmadd_ps(self.0, a.0, b.0), _mm256_fmadd_ps(self.1, a.1, b.1)) }
    }
    #[inline(always)]
    fn neg_mul_add(self, a: Self, b: Self) -> Self {
        unsafe { Self(_mm256_fnmadd_ps(self.0, a.0, b.0), _mm256_fnmadd_ps(self.1, a.1, b.1)) }
    }
    #[inline(always)]
    fn min(self, o: Self) -> Self {
        unsafe { Self(_mm256_min_ps(self.0, o.0), _mm256_min_ps(self.1, o.1)) }
    }
    #[inline(always)]
    fn max(self, o: Self) -> Self {
        unsafe { Self(_mm256_max_ps(self.0, o.0), _mm256_max_ps(self.1, o.1)) }
    }
    #[inline(always)]
    fn and(self, o: Self) -> Self {
        unsafe { Self(_mm256_and_ps(self.0, o.0), _mm256_and_ps(self.1, o.1)) }
    }
    #[inline(always)]
    fn or(self, o: Self) -> Self {
        unsafe { Self(_mm256_or_ps(self.0, o.0), _mm256_or_ps(self.1, o.1)) }
    }
    #[inline(always)]
    fn xor(self, o: Self) -> Self {
        unsafe { Self(_mm256_xor_ps(self.0, o.0), _mm256_xor_ps(self.1, o.1)) }
    }
    #[inline(always)]
    fn add_i32(self, o: Self) -> Self {
        let f = |a, b| unsafe { _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(a), _mm256_castps_si256(b))) };
        Self(f(self.0, o.0), f(self.1, o.1))
    }
    #[inline(always)]
    fn shl_u32<const N: i32>(self) -> Self {
        let f = |a| unsafe { _mm256_castsi256_ps(_mm256_slli_epi32::<N>(_mm256_castps_si256(a))) };
        Self(f(self.0), f(self.1))
    }
    #[inline(always)]
    fn lt(self, o: Self) -> Self::Mask {
        unsafe { (_mm256_cmp_ps::<_CMP_LT_OQ>(self.0, o.0), _mm256_cmp_ps::<_CMP_LT_OQ>(self.1, o.1)) }
    }
    #[inline(always)]
    fn select(mask: Self::Mask, a: Self, b: Self) -> Self {
        unsafe { Self(_mm256_blendv_ps(b.0, a.0, mask.0), _mm256_blendv_ps(b.1, a.1, mask.1)) }
    }
}

#[allow(clippy::undocumented_unsafe_blocks, reason = "one argument for the whole impl, stated above it")]
impl Vector for Avx2 {
    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self {
        unsafe { Self(_mm256_loadu_ps(p), _mm256_loadu_ps(p.add(8))) }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        unsafe {
            _mm256_storeu_ps(p, self.0);
            _mm256_storeu_ps(p.add(8), self.1);
        }
    }
}

/// Whether the CPU has this tier's bundle and the system saves its registers.
pub(crate) fn detected() -> bool {
    features().iter().all(|&(_, has)| has)
}

/// The bundle: each of its parts, and whether it is there.
pub(crate) fn features() -> [(&'static str, bool); 2] {
    [("AVX2", is_x86_feature_detected!("avx2")), ("FMA", is_x86_feature_detected!("fma"))]
}

/// The tier's token; reached only through detection.
pub(crate) struct Tiles;

/// All loops of one kind and width W, in ymm, over panels of N vectors. Where all registers are taken, the last weight is
/// read from memory by each row.
macro_rules! loops {
    ($kind:ident, 2, $n:literal, $($name:tt)+) => { stamp!($kind, ["avx2" "ymm" 32 "ymm0" "ymm1" "ymm2" "ymm3" "ymm4" "ymm5" "ymm6" "ymm7" "ymm8" "ymm9" "ymm10" "ymm11" "ymm12" "ymm13" "ymm14" "ymm15"], $n, [12 0, 13 1], [$($name)+], [],
        r0 0 14 [0 "ymm12" 0, 1 "ymm13" 1];
        r1 1 15 [2 "ymm12" 0, 3 "ymm13" 1];
        r2 2 14 [4 "ymm12" 0, 5 "ymm13" 1];
        r3 3 15 [6 "ymm12" 0, 7 "ymm13" 1];
        r4 4 14 [8 "ymm12" 0, 9 "ymm13" 1];
        r5 5 15 [10 "ymm12" 0, 11 "ymm13" 1]); };
    ($kind:ident, 3, $n:literal, $($name:tt)+) => { stamp!($kind, ["avx2" "ymm" 32 "ymm0" "ymm1" "ymm2" "ymm3" "ymm4" "ymm5" "ymm6" "ymm7" "ymm8" "ymm9" "ymm10" "ymm11" "ymm12" "ymm13" "ymm14" "ymm15"], $n, [12 0, 13 1, 14 2], [$($name)+], [],
        r0 0 15 [0 "ymm12" 0, 1 "ymm13" 1, 2 "ymm14" 2];
        r1 1 15 [3 "ymm12" 0, 4 "ymm13" 1, 5 "ymm14" 2];
        r2 2 15 [6 "ymm12" 0, 7 "ymm13" 1, 8 "ymm14" 2];
        r3 3 15 [9 "ymm12" 0, 10 "ymm13" 1, 11 "ymm14" 2]); };
    ($kind:ident, 4, $n:literal, $($name:tt)+) => { stamp!($kind, ["avx2" "ymm" 32 "ymm0" "ymm1" "ymm2" "ymm3" "ymm4" "ymm5" "ymm6" "ymm7" "ymm8" "ymm9" "ymm10" "ymm11" "ymm12" "ymm13" "ymm14" "ymm15"], $n, [12 0, 13 1, 14 2], [$($name)+], [],
        r0 0 15 [0 "ymm12" 0, 1 "ymm13" 1, 2 "ymm14" 2, 3 "ymmword ptr [{b} + 96]" 3];
        r1 1 15 [4 "ymm12" 0, 5 "ymm13" 1, 6 "ymm14" 2, 7 "ymmword ptr [{b} + 96]" 3];
        r2 2 15 [8 "ymm12" 0, 9 "ymm13" 1, 10 "ymm14" 2, 11 "ymmword ptr [{b} + 96]" 3]); };
    ($kind:ident, 6, $n:literal, $($name:tt)+) => { stamp!($kind, ["avx2" "ymm" 32 "ymm0" "ymm1" "ymm2" "ymm3" "ymm4" "ymm5" "ymm6" "ymm7" "ymm8" "ymm9" "ymm10" "ymm11" "ymm12" "ymm13" "ymm14" "ymm15"], $n, [8 0, 9 1, 10 2, 11 3, 12 4, 13 5], [$($name)+], [],
        r0 0 15 [0 "ymm8" 0, 1 "ymm9" 1, 2 "ymm10" 2, 3 "ymm11" 3, 4 "ymm12" 4, 5 "ymm13" 5]); };
    ($kind:ident, 8, $n:literal, $($name:tt)+) => { stamp!($kind, ["avx2" "ymm" 32 "ymm0" "ymm1" "ymm2" "ymm3" "ymm4" "ymm5" "ymm6" "ymm7" "ymm8" "ymm9" "ymm10" "ymm11" "ymm12" "ymm13" "ymm14" "ymm15"], $n, [8 0, 9 1, 10 2, 11 3, 12 4, 13 5, 14 6], [$($name)+], [],
        r0 0 15 [0 "ymm8" 0, 1 "ymm9" 1, 2 "ymm10" 2, 3 "ymm11" 3, 4 "ymm12" 4, 5 "ymm13" 5, 6 "ymm14" 6, 7 "ymmword ptr [{b} + 224]" 7]); };
}

loops!(rows_loop, 2, 1, rows_1x1 rows_2x1 rows_3x1 rows_4x1 rows_5x1 rows_6x1);
loops!(rows_loop, 4, 2, rows_1x2 rows_2x2 rows_3x2);
loops!(rows_loop, 2, 2, _ _ _ rows_4x2 rows_5x2 rows_6x2);
loops!(rows_loop, 6, 3, rows_1x3);
loops!(rows_loop, 3, 3, _ rows_2x3 rows_3x3 rows_4x3);
loops!(rows_loop, 2, 3, _ _ _ _ rows_5x3 rows_6x3);
loops!(rows_loop, 8, 4, rows_1x4);
loops!(rows_loop, 4, 4, _ rows_2x4 rows_3x4);
loops!(rows_loop, 2, 4, _ _ _ rows_4x4 rows_5x4 rows_6x4);
loops!(quiet_rows_loop, 2, 2, _ _ _ quiet_rows_4x2 quiet_rows_5x2 quiet_rows_6x2);
loops!(quiet_rows_loop, 3, 3, _ quiet_rows_2x3 quiet_rows_3x3 quiet_rows_4x3);
loops!(quiet_rows_loop, 2, 3, _ _ _ _ quiet_rows_5x3 quiet_rows_6x3);
loops!(quiet_rows_loop, 4, 4, _ quiet_rows_2x4 quiet_rows_3x4);
loops!(quiet_rows_loop, 2, 4, _ _ _ quiet_rows_4x4 quiet_rows_5x4 quiet_rows_6x4);
loops!(tokens_loop, 2, 1, tokens_1x1 tokens_2x1 tokens_3x1 tokens_4x1 tokens_5x1 tokens_6x1);
loops!(tokens_loop, 4, 2, tokens_1x2 tokens_2x2 tokens_3x2);
loops!(tokens_loop, 2, 2, _ _ _ tokens_4x2 tokens_5x2 tokens_6x2);
loops!(tokens_loop, 6, 3, tokens_1x3);
loops!(tokens_loop, 3, 3, _ tokens_2x3 tokens_3x3 tokens_4x3);
loops!(tokens_loop, 2, 3, _ _ _ _ tokens_5x3 tokens_6x3);
loops!(tokens_loop, 8, 4, tokens_1x4);
loops!(tokens_loop, 4, 4, _ tokens_2x4 tokens_3x4);
loops!(tokens_loop, 2, 4, _ _ _ tokens_4x4 tokens_5x4 tokens_6x4);
loops!(quiet_tokens_loop, 2, 2, _ _ _ quiet_tokens_4x2 quiet_tokens_5x2 quiet_tokens_6x2);
loops!(quiet_tokens_loop, 3, 3, _ quiet_tokens_2x3 quiet_tokens_3x3 quiet_tokens_4x3);
loops!(quiet_tokens_loop, 2, 3, _ _ _ _ quiet_tokens_5x3 quiet_tokens_6x3);
loops!(quiet_tokens_loop, 4, 4, _ quiet_tokens_2x4 quiet_tokens_3x4);
loops!(quiet_tokens_loop, 2, 4, _ _ _ quiet_tokens_4x4 quiet_tokens_5x4 quiet_tokens_6x4);

type RowsLoop = unsafe fn(&[*const f32; MAX_ROWS], *const f32, &mut RowsCall);
type TokensLoop = unsafe fn(&TokensCall<'_>);

/// By n - 1, then m - 1: the walks over a panel, each of the same number of columns. Many rows take one vector at a time: that
/// is one line a k for twelve FMAs, and a panel, which streams from L2, is read once for six rows. Few rows take more, so
/// that there are chains enough. The first walk asks for what comes next.
static ROWS: [[&[RowsLoop]; 6]; 4] = [
    [&[rows_1x1], &[rows_2x1], &[rows_3x1], &[rows_4x1], &[rows_5x1], &[rows_6x1]],
    [
        &[rows_1x2],
        &[rows_2x2],
        &[rows_3x2],
        &[rows_4x2, quiet_rows_4x2],
        &[rows_5x2, quiet_rows_5x2],
        &[rows_6x2, quiet_rows_6x2],
    ],
    [
        &[rows_1x3],
        &[rows_2x3, quiet_rows_2x3],
        &[rows_3x3, quiet_rows_3x3],
        &[rows_4x3, quiet_rows_4x3],
        &[rows_5x3, quiet_rows_5x3, quiet_rows_5x3],
        &[rows_6x3, quiet_rows_6x3, quiet_rows_6x3],
    ],
    [
        &[rows_1x4],
        &[rows_2x4, quiet_rows_2x4],
        &[rows_3x4, quiet_rows_3x4],
        &[rows_4x4, quiet_rows_4x4, quiet_rows_4x4, quiet_rows_4x4],
        &[rows_5x4, quiet_rows_5x4, quiet_rows_5x4, quiet_rows_5x4],
        &[rows_6x4, quiet_rows_6x4, quiet_rows_6x4, quiet_rows_6x4],
    ],
];
/// Likewise.
static TOKENS: [[&[TokensLoop]; 6]; 4] = [
    [&[tokens_1x1], &[tokens_2x1], &[tokens_3x1], &[tokens_4x1], &[tokens_5x1], &[tokens_6x1]],
    [
        &[tokens_1x2],
        &[tokens_2x2],
        &[tokens_3x2],
        &[tokens_4x2, quiet_tokens_4x2],
        &[tokens_5x2, quiet_tokens_5x2],
        &[tokens_6x2, quiet_tokens_6x2],
    ],
    [
        &[tokens_1x3],
        &[tokens_2x3, quiet_tokens_2x3],
        &[tokens_3x3, quiet_tokens_3x3],
        &[tokens_4x3, quiet_tokens_4x3],
        &[tokens_5x3, quiet_tokens_5x3, quiet_tokens_5x3],
        &[tokens_6x3, quiet_tokens_6x3, quiet_tokens_6x3],
    ],
    [
        &[tokens_1x4],
        &[tokens_2x4, quiet_tokens_2x4],
        &[tokens_3x4, quiet_tokens_3x4],
        &[tokens_4x4, quiet_tokens_4x4, quiet_tokens_4x4, quiet_tokens_4x4],
        &[tokens_5x4, quiet_tokens_5x4, quiet_tokens_5x4, quiet_tokens_5x4],
        &[tokens_6x4, quiet_tokens_6x4, quiet_tokens_6x4, quiet_tokens_6x4],
    ],
];

impl Tier for Tiles {
    type V = Avx2;
    const ROWS: [usize; 4] = [6; 4];
    const TOKEN_ROWS: [usize; 4] = [6; 4];
    const BLOCK: usize = 64;
    const IN_STRIDES: bool = true;
    // 12 of 16 ymm.
    const CHAINS: usize = 6;

    #[inline(always)]
    unsafe fn rows(n: usize, m: usize, rows: &[*const f32; MAX_ROWS], b: *const f32, call: &mut RowsCall) {
        // The loops count their runs down.
        let begun = *call;
        let walks = ROWS[n - 1][m - 1];
        let columns = 16 * n / walks.len();
        // SAFETY: the caller's obligations, for some columns at a time.
        unsafe {
            walks[0](rows, b, call);
            for (i, walk) in walks.iter().enumerate().skip(1) {
                let init = call.init.map(|init| init.wrapping_add(i * columns));
                walk(rows, b.add(i * columns), &mut RowsCall { init, acc: call.acc.add(i * columns), ..begun });
            }
        }
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
        let walks = TOKENS[n - 1][m - 1];
        let columns = 16 * n / walks.len();
        for (i, walk) in walks.iter().enumerate() {
            // SAFETY: as above.
            unsafe { walk(&TokensCall { b: call.b.add(i * columns), c: call.c.add(i * columns), ..*call }) };
        }
    }
}

crate::table::entries!("avx2,fma", Tiles);
