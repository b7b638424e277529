//! The gate GEMM's k loop once in f32 and once in bf16, for the bench: tiles of 6 lanes x 4 zmm that differ in one word.
//!
//! A step of either loop reads 256 bytes of a panel (one k of 64 columns in f32, a pair of k in bf16) and broadcasts four
//! bytes of each lane's row. So bf16 moves nothing: same panels, same row-major h, half the steps.

use crate::bf16::{Loops, ROWS};
use core::arch::x86_64::*;

/// Whether the CPU has AVX-512 with bf16 products, and the system saves its registers.
pub(crate) fn detected() -> bool {
    super::avx512::detected() && is_x86_feature_detected!("avx512bf16")
}

macro_rules! product_row {
    ($op:literal, $row:ident, $t:literal, $($a:literal $w:literal),+) => {
        concat!("vbroadcastss zmm", $t, ", dword ptr [{", stringify!($row), "} + {k}]\n",
            $($op, " zmm", $a, ", zmm", $w, ", zmm", $t, "\n"),+)
    };
}

/// One loop with the rows listed: for each its index, the register of its broadcast, and its four accumulators.
macro_rules! gate_loop {
    ($name:ident, $op:literal, $($row:ident $i:literal $t:literal [$($a:literal $w:literal $j:literal),+]);+) => {
        #[target_feature(enable = "avx512f,avx512bf16")]
        unsafe fn $name(rows: &[*const u8; ROWS], w: *const u8, row_bytes: usize, out: *mut f32) {
            // SAFETY: reads the rows and w, writes out: all vouched for by the caller.
            unsafe {
                core::arch::asm!(
                    $($(concat!("vpxord zmm", $a, ", zmm", $a, ", zmm", $a),)+)+
                    "xor {k:e}, {k:e}",
                    ".p2align 5",
                    "2:",
                    "vmovups zmm28, zmmword ptr [{w}]",
                    "vmovups zmm29, zmmword ptr [{w} + 64]",
                    "vmovups zmm30, zmmword ptr [{w} + 128]",
                    "vmovups zmm31, zmmword ptr [{w} + 192]",
                    $(product_row!($op, $row, $t, $($a $w),+),)+
                    "add {w}, 256",
                    "add {k}, 4",
                    "cmp {k}, {end}",
                    "jne 2b",
                    $($(concat!("vmovups zmmword ptr [{out} + 256*", $i, " + 64*", $j, "], zmm", $a),)+)+
                    $($row = in(reg) rows[$i],)+
                    w = inout(reg) w => _,
                    k = out(reg) _,
                    end = in(reg) row_bytes,
                    out = in(reg) out,
                    out("zmm0") _, out("zmm1") _, out("zmm2") _, out("zmm3") _, out("zmm4") _, out("zmm5") _,
                    out("zmm6") _, out("zmm7") _, out("zmm8") _, out("zmm9") _, out("zmm10") _, out("zmm11") _,
                    out("zmm12") _, out("zmm13") _, out("zmm14") _, out("zmm15") _, out("zmm16") _, out("zmm17") _,
                    out("zmm18") _, out("zmm19") _, out("zmm20") _, out("zmm21") _, out("zmm22") _, out("zmm23") _,
                    out("zmm24") _, out("zmm25") _, out("zmm26") _, out("zmm27") _, out("zmm28") _, out("zmm29") _,
                    out("zmm30") _, out("zmm31") _,
                    options(nostack),
                );
            }
        }
    };
}

/// Stamps one loop for every number of rows.
macro_rules! stamp {
    ($op:literal, $($name:ident)+) => { stamp!(@ $op, [$($name)+], [],
        r0 0 24 [0 28 0, 1 29 1, 2 30 2, 3 31 3]; r1 1 25 [4 28 0, 5 29 1, 6 30 2, 7 31 3];
        r2 2 26 [8 28 0, 9 29 1, 10 30 2, 11 31 3]; r3 3 27 [12 28 0, 13 29 1, 14 30 2, 15 31 3];
        r4 4 24 [16 28 0, 17 29 1, 18 30 2, 19 31 3]; r5 5 25 [20 28 0, 21 29 1, 22 30 2, 23 31 3]); };
    (@ $op:literal, [], $done:tt, $($rest:tt)*) => {};
    (@ $op:literal, [$name:ident $($names:ident)*], [], $row:ident $i:literal $t:literal $acc:tt $(; $($rest:tt)*)?) => {
        gate_loop!($name, $op, $row $i $t $acc);
        stamp!(@ $op, [$($names)*], [$row $i $t $acc], $($($rest)*)?);
    };
    (@ $op:literal, [$name:ident $($names:ident)*], [$($done:tt)+], $row:ident $i:literal $t:literal $acc:tt $(; $($rest:tt)*)?) => {
        gate_loop!($name, $op, $($done)+; $row $i $t $acc);
        stamp!(@ $op, [$($names)*], [$($done)+; $row $i $t $acc], $($($rest)*)?);
    };
}

stamp!("vfmadd231ps", f32_1 f32_2 f32_3 f32_4 f32_5 f32_6);
stamp!("vdpbf16ps", bf16_1 bf16_2 bf16_3 bf16_4 bf16_5 bf16_6);

/// Accumulators of `chains`: a latency of six on two ports is hidden by twelve.
const CHAINS: usize = 24;

/// `x += a . b` in pairs, `repeats` times in each of the chains; the FLOP done.
#[target_feature(enable = "avx512f,avx512bf16")]
unsafe fn chains(repeats: u64) -> f64 {
    // Pairs of 1.0, and of a number too small to let the sums overflow.
    let pairs = |x: f32| _mm512_cvtne2ps_pbh(_mm512_set1_ps(x), _mm512_set1_ps(x));
    let (one, small) = (pairs(std::hint::black_box(1.0)), pairs(std::hint::black_box(1e-6)));
    let mut x: [__m512; CHAINS] = std::array::from_fn(|n| _mm512_set1_ps(n as f32));
    for _ in 0..repeats {
        for x in &mut x {
            *x = _mm512_dpbf16_ps(*x, one, small);
        }
    }
    let mut sum = x[0];
    for x in &x[1..] {
        sum = _mm512_add_ps(sum, *x);
    }
    std::hint::black_box(_mm512_reduce_add_ps(sum));
    // Sixteen sums of two products each, a product being a multiplication and an addition.
    repeats as f64 * (CHAINS * 16 * 2 * 2) as f64
}

/// The loops, by rows - 1.
pub(crate) static LOOPS: Loops = Loops {
    f32: [f32_1, f32_2, f32_3, f32_4, f32_5, f32_6],
    bf16: [bf16_1, bf16_2, bf16_3, bf16_4, bf16_5, bf16_6],
    chains,
};
