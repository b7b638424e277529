//! Tier `avx2`: two ymm are the vector; tiles of 3 lanes x 4 ymm walk half a panel.

use crate::tile::{ACC_STRIDE, MAX_ROWS, RowsCall, Tier, TokensCall, by_shape};
use crate::vector::Vector;
use core::arch::x86_64::*;

/// Sixteen floats in two ymm. A value exists only where AVX2 and FMA were detected.
#[derive(Clone, Copy)]
pub(crate) struct Avx2(__m256, __m256);

// SAFETY (of every block below): a value of this type proves the instructions; `load`, `splat` and `store` pass their
// caller's obligations on.
#[allow(clippy::undocumented_unsafe_blocks, reason = "one argument for the whole impl, stated above it")]
impl Vector for Avx2 {
    type Mask = (__m256, __m256);
    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self {
        unsafe { Self(_mm256_loadu_ps(p), _mm256_loadu_ps(p.add(8))) }
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        let v = unsafe { _mm256_set1_ps(x) };
        Self(v, v)
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        unsafe {
            _mm256_storeu_ps(p, self.0);
            _mm256_storeu_ps(p.add(8), self.1);
        }
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

/// Half of a `rows` tile: eight columns of each of N vectors. The panel is walked once for each half.
///
/// # Safety
/// - as [`Tier::rows`] with m = M, n = N; `half` is 0 or 1.
#[target_feature(enable = "avx2,fma")]
unsafe fn rows_half<const M: usize, const N: usize>(
    rows: &[*const f32; MAX_ROWS],
    b: *const f32,
    call: &RowsCall,
    half: usize,
) {
    // SAFETY: every address is one that the caller vouched for.
    unsafe {
        let at = 8 * half;
        let mut acc: [[__m256; N]; M] =
            std::array::from_fn(|m| std::array::from_fn(|j| _mm256_loadu_ps(call.init[m].add(16 * j + at))));
        let mut b = b.add(at);
        let mut offset = 0;
        for _ in 0..call.runs {
            for k in 0..call.run_bytes / 4 {
                if half == 0 {
                    _mm_prefetch::<_MM_HINT_T1>(b.wrapping_byte_offset(call.ahead).cast());
                }
                let a: [__m256; M] = std::array::from_fn(|m| _mm256_broadcast_ss(&*rows[m].byte_add(offset).add(k)));
                // One weight at a time: 12 accumulators, 3 broadcasts and 1 weight are all 16 registers.
                #[expect(clippy::needless_range_loop, reason = "j walks the columns of every row")]
                for j in 0..N {
                    let w = _mm256_loadu_ps(b.add(16 * j));
                    for m in 0..M {
                        acc[m][j] = _mm256_fmadd_ps(a[m], w, acc[m][j]);
                    }
                }
                b = b.add(16 * N);
            }
            offset += call.run_bytes + call.jump_bytes;
        }
        for (m, row) in acc.iter().enumerate() {
            for (j, c) in row.iter().enumerate() {
                _mm256_storeu_ps(call.acc.add(m * ACC_STRIDE + 16 * j + at), *c);
            }
        }
    }
}

/// Half of a `tokens` tile.
///
/// # Safety
/// - as [`Tier::tokens`] with m = M, n = N; `half` is 0 or 1.
#[target_feature(enable = "avx2,fma")]
unsafe fn tokens_half<const M: usize, const N: usize>(call: &TokensCall, half: usize) {
    // SAFETY: every address is one that the caller vouched for.
    unsafe {
        let at = 8 * half;
        let mut acc: [[__m256; N]; M] =
            std::array::from_fn(|m| std::array::from_fn(|j| _mm256_loadu_ps(call.c.add((m * N + j) * 16 + at))));
        for token in 0..call.tokens {
            let b = call.b.byte_add(token * call.b_stride).add(at);
            let row = call.a.byte_add(*call.index.add(token) as usize * call.a_stride);
            let a: [__m256; M] = std::array::from_fn(|m| _mm256_broadcast_ss(&*row.add(m)));
            #[expect(clippy::needless_range_loop, reason = "j walks the columns of every row")]
            for j in 0..N {
                let w = _mm256_loadu_ps(b.add(16 * j));
                for m in 0..M {
                    acc[m][j] = _mm256_fmadd_ps(a[m], w, acc[m][j]);
                }
            }
        }
        for (m, row) in acc.iter().enumerate() {
            for (j, c) in row.iter().enumerate() {
                _mm256_storeu_ps(call.c.add((m * N + j) * 16 + at), *c);
            }
        }
    }
}

/// Both halves.
///
/// # Safety
/// - as the halves.
#[expect(clippy::extra_unused_type_parameters, reason = "`by_shape` names the vector first")]
#[target_feature(enable = "avx2,fma")]
unsafe fn rows_both<V, const M: usize, const N: usize>(
    rows: &[*const f32; MAX_ROWS],
    b: *const f32,
    call: &mut RowsCall,
) {
    // SAFETY: the caller's obligations.
    unsafe {
        rows_half::<M, N>(rows, b, call, 0);
        rows_half::<M, N>(rows, b, call, 1);
    }
}

/// Both halves.
///
/// # Safety
/// - as the halves.
#[expect(clippy::extra_unused_type_parameters, reason = "`by_shape` names the vector first")]
#[target_feature(enable = "avx2,fma")]
unsafe fn tokens_both<V, const M: usize, const N: usize>(call: &TokensCall) {
    // SAFETY: the caller's obligations.
    unsafe {
        tokens_half::<M, N>(call, 0);
        tokens_half::<M, N>(call, 1);
    }
}

impl Tier for Tiles {
    type V = Avx2;
    const ROWS: [usize; 4] = [6, 5, 4, 3];
    const TOKEN_ROWS: [usize; 4] = [6, 5, 4, 3];
    // 12 of 16 ymm.
    const CHAINS: usize = 6;

    #[inline(always)]
    unsafe fn rows(n: usize, m: usize, rows: &[*const f32; MAX_ROWS], b: *const f32, call: &mut RowsCall) {
        // SAFETY: the caller's obligations.
        unsafe {
            by_shape!(n, m, rows_both::<Avx2>(rows, b, call), [1: 1 2 3 4 5 6; 2: 1 2 3 4 5; 3: 1 2 3 4; 4: 1 2 3])
        }
    }
    #[inline(always)]
    fn prefetch(p: *const f32) {
        // SAFETY: a prefetch of any address is harmless.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(p.cast()) }
    }
    #[inline(always)]
    unsafe fn tokens(n: usize, m: usize, call: &TokensCall) {
        // SAFETY: the caller's obligations.
        unsafe { by_shape!(n, m, tokens_both::<Avx2>(call), [1: 1 2 3 4 5 6; 2: 1 2 3 4 5; 3: 1 2 3 4; 4: 1 2 3]) }
    }
}

crate::table::entries!("avx2,fma", Tiles);
