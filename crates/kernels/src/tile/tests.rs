//! Every k loop of every tier against the same loop over `[f32; 16]`: all shapes, k = 1..40, runs with gaps, identity
//! matrices, NaN, infinities, denormals. Operands end at a page that traps; words beside the outputs stay as they were.

use super::*;
use crate::arch::model::Model;
use crate::arch::portable;
#[cfg(target_arch = "x86_64")]
use crate::arch::{avx2, avx512};
use crate::isa::Isa;

/// `len` floats that end where a page begins that nobody may touch. Never freed: tests are short.
fn guarded(len: usize) -> &'static mut [f32] {
    const PAGE: usize = 4096;
    let bytes = (4 * len).next_multiple_of(PAGE);
    // SAFETY: a fresh private mapping of `bytes` and one page, which then loses its permissions; the slice ends where
    // that page begins and is lent out once.
    unsafe {
        let (read_write, private) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        let base = libc::mmap(std::ptr::null_mut(), bytes + PAGE, read_write, private, -1, 0);
        assert!(base != libc::MAP_FAILED, "no memory for a guarded buffer");
        assert_eq!(libc::mprotect(base.byte_add(bytes), PAGE, libc::PROT_NONE), 0);
        std::slice::from_raw_parts_mut(base.byte_add(bytes - 4 * len).cast(), len)
    }
}

/// What the operands hold.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Data {
    Random,
    /// One in nine is NaN, an infinity, a denormal, a zero of either sign, or huge.
    Special,
}

/// A deterministic stream of floats (splitmix64).
struct Stream(u64, Data);

impl Stream {
    fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    fn float(&mut self) -> f32 {
        let word = self.word();
        let special = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e-40, -3e-45, 0.0, -0.0, 3e38, -1e-38];
        match self.1 {
            Data::Special if word.is_multiple_of(9) => special[(word >> 8) as usize % special.len()],
            _ => (word >> 40) as f32 / (1 << 23) as f32 - 1.0,
        }
    }
    fn fill(&mut self, out: &mut [f32]) {
        out.iter_mut().for_each(|x| *x = self.float());
    }
}

/// How two results are compared.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Agree {
    /// Equal bits; NaN is NaN.
    Bits,
    /// Within a few roundings of the sum of the terms' sizes; for finite data.
    Close(f32),
}

fn agree(found: f32, want: f32, how: Agree) -> bool {
    match how {
        Agree::Bits => found.to_bits() == want.to_bits() || (found.is_nan() && want.is_nan()),
        Agree::Close(by) => (found - want).abs() <= by,
    }
}

const CANARY: f32 = 1234.5;

/// A problem for the `rows` loop: m rows of `runs` runs of `run` floats, `gap` floats apart.
struct RowsProblem {
    n: usize,
    m: usize,
    runs: usize,
    run: usize,
    gap: usize,
    in_place: bool,
}

type RowsLoop = unsafe fn(usize, usize, &[*const f32; MAX_ROWS], *const f32, &mut RowsCall);

unsafe fn model_rows(n: usize, m: usize, rows: &[*const f32; MAX_ROWS], b: *const f32, call: &mut RowsCall) {
    // SAFETY: the caller's obligations.
    unsafe {
        by_shape!(n, m, rows_generic::<Model>(rows, b, call),
            [1: 1 2 3 4 5 6 7 8; 2: 1 2 3 4 5 6 7 8; 3: 1 2 3 4 5 6 7 8; 4: 1 2 3 4 5 6 7 8])
    }
}

/// Runs `body` on operands of this problem; the accumulators, canaries included.
fn rows_of(p: &RowsProblem, body: RowsLoop, a: &[&mut [f32]], b: &[f32], init: &[&mut [f32]]) -> Acc {
    let mut acc = Acc([[CANARY; ACC_STRIDE]; MAX_ROWS]);
    let acc_at: *mut f32 = acc.0.as_mut_ptr().cast();
    let mut rows = [std::ptr::null(); MAX_ROWS];
    let mut call = RowsCall::new(std::ptr::null(), acc_at, p.run);
    (call.runs, call.run_stride) = (p.runs, 4 * (p.run + p.gap));
    // What is asked for lies beyond the pages that are there.
    let k = p.runs * p.run;
    call.ahead = Ahead::part(b.as_ptr(), 64 * b.len(), (1, 2), k);
    call.written = Ahead::part(acc_at.wrapping_add(1 << 24), 64 * k, (0, 1), k);
    for i in 0..p.m {
        rows[i] = a[i].as_ptr();
        // SAFETY: row i of the accumulators; both slices have n * 16 floats.
        call.init[i] = unsafe {
            let at = acc_at.add(i * ACC_STRIDE);
            if p.in_place {
                std::ptr::copy(init[i].as_ptr(), at, p.n * 16);
            }
            if p.in_place { at } else { init[i].as_ptr() }
        };
    }
    // SAFETY: rows hold all runs with their gaps, b all k of n vectors, init n vectors each; the tier is available.
    unsafe { body(p.n, p.m, &rows, b.as_ptr(), &mut call) };
    acc
}

fn check_rows(name: &str, body: RowsLoop, p: &RowsProblem, data: Data, exact: bool) {
    let RowsProblem { n, m, runs, run, gap, in_place } = *p;
    let mut stream = Stream((n * 1000 + m * 100 + runs * 10 + run) as u64, data);
    let k = runs * run;
    let mut a: Vec<_> = (0..m).map(|_| guarded(k + (runs - 1) * gap)).collect();
    let mut init: Vec<_> = (0..m).map(|_| guarded(16 * n)).collect();
    let b = guarded(16 * n * k);
    a.iter_mut().chain(&mut init).for_each(|x| stream.fill(x));
    stream.fill(b);
    let want = rows_of(p, model_rows, &a, b, &init);
    let found = rows_of(p, body, &a, b, &init);
    let how = if exact { Agree::Bits } else { Agree::Close(4.0 * f32::EPSILON * (k + 1) as f32) };
    let place = format!("{name} n {n} m {m} runs {runs} of {run} gap {gap} in place {in_place} {data:?}");
    for i in 0..MAX_ROWS {
        for c in 0..ACC_STRIDE {
            let (found, want) = (found.0[i][c], want.0[i][c]);
            if i < m && c < 16 * n {
                assert!(agree(found, want, how), "{place}: [{i}][{c}] {found:e}, not {want:e}");
            } else {
                assert_eq!(found, CANARY, "{place}: [{i}][{c}] is not the tile's");
            }
        }
    }
    // SAFETY: nothing points there any more. Unmapping keeps the number of mappings small.
    unsafe { a.into_iter().chain(init).chain([b]).for_each(|x| unmap(x)) };
}

/// # Safety
/// - `x` came from `guarded` and is not used any more.
unsafe fn unmap(x: &mut [f32]) {
    let (begin, bytes) = (x.as_mut_ptr() as usize, 4 * x.len());
    let base = begin / 4096 * 4096;
    // SAFETY: exactly the mapping that `guarded` made: whole pages up to the end of x, and the guard.
    unsafe { libc::munmap(base as *mut libc::c_void, begin + bytes - base + 4096) };
}

/// All (n, m) of the tier, k = 1..40, one run and several with gaps, operands apart and in place.
fn every_rows_shape<T: Tier>(name: &str, exact: bool) {
    for n in 1..=4 {
        for m in 1..=T::ROWS[n - 1] {
            let one = |k: usize| RowsProblem { n, m, runs: 1, run: k, gap: 0, in_place: k.is_multiple_of(2) };
            for k in 1..=40 {
                check_rows(name, T::rows, &one(k), Data::Random, exact);
            }
            for (runs, run, gap) in [(2, 16, 5), (3, 4, 64), (5, 1, 1), (2, 48, 16)] {
                let p = RowsProblem { n, m, runs, run, gap, in_place: gap == 1 };
                check_rows(name, T::rows, &p, Data::Random, exact);
            }
            if exact {
                check_rows(name, T::rows, &one(17), Data::Special, true);
                check_rows(name, T::strided_rows, &one(40), Data::Special, true);
            }
        }
    }
}

/// A problem for the `tokens` loop.
struct TokensProblem {
    n: usize,
    m: usize,
    tokens: usize,
}

type TokensLoop = unsafe fn(usize, usize, &TokensCall<'_>);

unsafe fn model_tokens(n: usize, m: usize, call: &TokensCall<'_>) {
    // SAFETY: the caller's obligations.
    unsafe {
        by_shape!(n, m, tokens_generic::<Model>(call),
            [1: 1 2 3 4 5 6 7 8; 2: 1 2 3 4 5 6 7 8; 3: 1 2 3 4 5 6 7 8; 4: 1 2 3 4 5 6 7 8])
    }
}

fn check_tokens(name: &str, body: TokensLoop, p: &TokensProblem, data: Data, exact: bool) {
    let TokensProblem { n, m, tokens } = *p;
    let mut stream = Stream((n * 1000 + m * 100 + tokens) as u64, data);
    let (a_rows, b_rows, a_stride, b_stride) = (31, 37, m + 3, 16 * n + 7);
    let a = guarded((a_rows - 1) * a_stride + m);
    let b = guarded((b_rows - 1) * b_stride + 16 * n);
    let start = guarded(m * n * 16);
    stream.fill(a);
    stream.fill(b);
    stream.fill(start);
    // Long spans of neighbours, short ones, jumps, the same row twice.
    let mut row = |i: usize, rows: usize| match i / 40 % 2 {
        0 if i % 7 > 3 => stream.word() as usize % rows,
        _ => i % rows,
    };
    let strides = [4 * a_stride, 4 * b_stride];
    let rows = (0..tokens).map(|i| [strides[0] * row(i, a_rows), strides[1] * row(i, b_rows)]);
    let mut room = vec![Span::NONE; tokens];
    let spans = Span::gather(&mut room, rows, strides);
    assert_eq!(spans.iter().map(|s| s.tokens).sum::<usize>(), tokens);
    let run = |body: TokensLoop| {
        let c = guarded(m * n * 16 + 16);
        c[..16].fill(CANARY);
        c[16..].copy_from_slice(start);
        // Some of what is asked for lies beyond the pages that are there.
        let next_c = c[16..].as_ptr().wrapping_add(16 * n * m);
        let call = TokensCall {
            c: c[16..].as_mut_ptr(),
            a: a.as_ptr(),
            b: b.as_ptr(),
            spans,
            strides,
            next_c: Ahead::part(next_c, 64 * n * m, (0, 1), tokens),
            next_a: 1 << 22,
            next_b: -(1 << 22),
        };
        // SAFETY: the spans are rows of a and b; a, b and c have the sizes that the call says; the tier is available.
        unsafe { body(n, m, &call) };
        c
    };
    let (want, found) = (run(model_tokens), run(body));
    let how = if exact { Agree::Bits } else { Agree::Close(4.0 * f32::EPSILON * (tokens + 1) as f32) };
    for (i, (&found, &want)) in found.iter().zip(want.iter()).enumerate() {
        let how = if i < 16 { Agree::Bits } else { how };
        assert!(agree(found, want, how), "{name} n {n} m {m} tokens {tokens} {data:?}: [{i}] {found:e}, not {want:e}");
    }
    // SAFETY: nothing points there any more.
    unsafe { [a, b, start, want, found].into_iter().for_each(|x| unmap(x)) };
}

fn every_tokens_shape<T: Tier>(name: &str, exact: bool) {
    for n in 1..=4 {
        for m in 1..=T::TOKEN_ROWS[n - 1] {
            for tokens in (1..=40).chain([129, 300]) {
                check_tokens(name, T::tokens, &TokensProblem { n, m, tokens }, Data::Random, exact);
            }
            if exact {
                check_tokens(name, T::tokens, &TokensProblem { n, m, tokens: 23 }, Data::Special, true);
            }
        }
    }
}

/// Calls `$f::<tier>(name, exact)` for every tier of this machine. Portable is exact where its build target fuses.
macro_rules! for_each_tier {
    ($f:ident) => {
        #[cfg(target_arch = "x86_64")]
        {
            if Isa::Avx512.is_available() {
                $f::<avx512::Tiles>("avx512", true);
            }
            if Isa::Avx2.is_available() {
                $f::<avx2::Tiles>("avx2", true);
            }
        }
        assert!(Isa::Portable.is_available());
        $f::<portable::Tiles>("portable", false);
    };
}

#[test]
fn rows_loops_equal_the_generic_one() {
    for_each_tier!(every_rows_shape);
}

#[test]
fn tokens_loops_equal_the_generic_one() {
    for_each_tier!(every_tokens_shape);
}

/// A I = A and I B = B, exactly, on every tier: nothing is lost, nothing comes from elsewhere.
fn identities<T: Tier>(name: &str, _exact: bool) {
    for n in 1..=4 {
        let k = 16 * n;
        let mut stream = Stream(n as u64, Data::Random);
        let identity: Vec<f32> = (0..k * k).map(|i| f32::from(u8::from(i / k == i % k))).collect();
        let mut b = vec![0.0; k * k];
        stream.fill(&mut b);
        for m in 1..=T::ROWS[n - 1] {
            let p = RowsProblem { n, m, runs: 1, run: k, gap: 0, in_place: false };
            let mut zeros: Vec<Vec<f32>> = vec![vec![0.0; k]; m];
            let init: Vec<&mut [f32]> = zeros.iter_mut().map(|x| &mut x[..]).collect();
            let mut data: Vec<Vec<f32>> = vec![vec![0.0; k]; m];
            data.iter_mut().for_each(|x| stream.fill(x));
            let want = data.clone();
            let a: Vec<&mut [f32]> = data.iter_mut().map(|x| &mut x[..]).collect();
            let found = rows_of(&p, T::rows, &a, &identity, &init);
            for (i, row) in want.iter().enumerate() {
                assert_eq!(found.0[i][..k], row[..], "{name} A I, n {n} m {m}");
            }
            // Rows i of the identity select rows i of b.
            let mut eye: Vec<Vec<f32>> = (0..m).map(|i| identity[i * k..(i + 1) * k].to_vec()).collect();
            let a: Vec<&mut [f32]> = eye.iter_mut().map(|x| &mut x[..]).collect();
            let found = rows_of(&p, T::rows, &a, &b, &init);
            for i in 0..m {
                assert_eq!(found.0[i][..k], b[i * k..(i + 1) * k], "{name} I B, n {n} m {m}");
            }
        }
    }
}

#[test]
fn identity_matrices_come_back() {
    for_each_tier!(identities);
}

/// `strided_rows` at its own stride, `k` beyond the cache blocks of a GEMM.
fn strided<T: Tier>(name: &str, exact: bool) {
    for n in 1..=4 {
        for m in 1..=T::ROWS[n - 1] {
            for k in [1, 4, 17, 40, 300] {
                let mut stream = Stream((n * m * k) as u64, Data::Random);
                let stride = k + 5;
                let a = guarded((m - 1) * stride + k);
                let b = guarded(16 * n * k);
                stream.fill(a);
                stream.fill(b);
                let mut init = [0.0; 64];
                stream.fill(&mut init);
                let run = |body: RowsLoop| {
                    let mut acc = Acc([[CANARY; ACC_STRIDE]; MAX_ROWS]);
                    let rows = std::array::from_fn(|i| if i < m { a[i * stride..].as_ptr() } else { std::ptr::null() });
                    let mut call = RowsCall::new(init.as_ptr(), acc.0.as_mut_ptr().cast(), k);
                    // SAFETY: m rows of k floats at one stride, k rows of b, n vectors of init; the tier is available.
                    unsafe { body(n, m, &rows, b.as_ptr(), &mut call) };
                    acc
                };
                let (want, found) = (run(model_rows), run(T::strided_rows));
                let how = if exact { Agree::Bits } else { Agree::Close(4.0 * f32::EPSILON * (k + 1) as f32) };
                for i in 0..MAX_ROWS {
                    for c in 0..ACC_STRIDE {
                        let how = if i < m && c < 16 * n { how } else { Agree::Bits };
                        let (found, want) = (found.0[i][c], want.0[i][c]);
                        assert!(
                            agree(found, want, how),
                            "{name} n {n} m {m} k {k}: [{i}][{c}] {found:e}, not {want:e}"
                        );
                    }
                }
                // SAFETY: nothing points there any more.
                unsafe { [a, b].into_iter().for_each(|x| unmap(x)) };
            }
        }
    }
}

#[test]
fn strided_rows_equal_the_generic_loop() {
    for_each_tier!(strided);
}

#[test]
fn tiles_cover_all_rows_once_and_evenly() {
    for most in 1..=MAX_ROWS {
        for count in 0..=4 * most + 1 {
            let all: Vec<_> = tiles(count, most).collect();
            let mut next = 0;
            for &(first, m) in &all {
                assert!(first == next && (1..=most).contains(&m), "{count} rows by {most}: {all:?}");
                next += m;
            }
            assert!(next == count && all.len() == count.div_ceil(most), "{count} rows by {most}: {all:?}");
        }
    }
}
