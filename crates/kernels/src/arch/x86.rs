//! The k loops of the x86 tiers in assembly, as macros over the register's name: zmm or ymm.
//!
//! Written in assembly because a tile takes all registers: 7 rows x 4 zmm are 28 accumulators, three weights, one
//! broadcast, and the fourth weight straight from memory; 6 rows x 2 ymm are 12, 2, 2. LLVM spills there. Each activation
//! is broadcast into a register once and used n times: a broadcast operand (`{1to16}`) in every FMA would be a load per
//! FMA, and a core with two FMAs and two loads a cycle then waits for its loads (doc/performance.md). The cross-check is
//! `tile::rows_generic`.
//!
//! An ISA is `["target feature" "register" "each" "register" ...]`; a row is its pointer, its number, the register of its
//! broadcast, and `accumulator "weight" vector` for each vector.

use core::arch::x86_64::{_MM_HINT_ET0, _MM_HINT_T0, _MM_HINT_T1, _mm_prefetch};

/// Asks for the line of `p` to be brought into L2.
#[inline(always)]
pub(super) fn prefetch(p: *const f32) {
    // SAFETY: a prefetch of any address is harmless.
    unsafe { _mm_prefetch::<_MM_HINT_T1>(p.cast()) }
}

/// Asks for the line of `p` to be brought into L1.
#[inline(always)]
pub(super) fn prefetch_near(p: *const f32) {
    // SAFETY: as above.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) }
}

/// Asks for the line of `p` to be brought into L1, to be written.
#[inline(always)]
pub(super) fn prefetch_write(p: *const f32) {
    // SAFETY: as above.
    unsafe { _mm_prefetch::<_MM_HINT_ET0>(p.cast()) }
}

/// `acc += broadcast [at] * w` for each accumulator and weight of a row.
macro_rules! fma_row {
    ($v:literal $t:literal, $at:expr, $($a:literal $w:literal),+) => {
        concat!("vbroadcastss ", $v, $t, ", dword ptr [", $at, "]\n",
            $("vfmadd231ps ", $v, $a, ", ", $v, $t, ", ", $w, "\n"),+)
    };
}
macro_rules! load_acc {
    ($v:literal $bytes:literal $i:literal: $($a:literal $j:literal),+) => {
        concat!("mov {p}, qword ptr [{c} + 8*", $i, "]\n",
            $("vmovups ", $v, $a, ", ", $v, "word ptr [{p} + ", $bytes, "*", $j, "]\n"),+)
    };
}
macro_rules! store_acc {
    ($v:literal $bytes:literal $i:literal: $($a:literal $j:literal),+) => {
        concat!($("vmovups ", $v, "word ptr [{p} + 256*", $i, " + ", $bytes, "*", $j, "], ", $v, $a, "\n"),+)
    };
}

/// One `rows` loop over panels of N vectors: the weights held in registers, then the rows.
macro_rules! rows_loop {
    ($($loop:tt)+) => {
        rows_loop_with!(["prefetcht1 byte ptr [{p}]", "prefetcht1 byte ptr [{p} + 64]", "add {p}, qword ptr [{c} + 104]",
            "prefetchw byte ptr [{w}]", "add {w}, qword ptr [{c} + 120]"] $($loop)+);
    };
}
/// The same that asks for nothing: a walk over more columns of a panel, after one that has asked.
macro_rules! quiet_rows_loop {
    ($($loop:tt)+) => { rows_loop_with!([] $($loop)+); };
}
macro_rules! rows_loop_with {
    ([$($ask:literal),*] [$feature:literal $v:literal $bytes:literal $($register:tt)+], $name:ident, $n:literal, [$($w:literal $wj:literal),+], $($row:ident $i:literal $t:literal [$($a:literal $aw:literal $j:literal),+]);+) => {
        #[target_feature(enable = $feature)]
        unsafe fn $name(rows: &[*const f32; MAX_ROWS], b: *const f32, call: &mut RowsCall) {
            // SAFETY: reads rows, init and b, writes acc and the call's own counts: all vouched for by the caller.
            unsafe {
                core::arch::asm!(
                    $(load_acc!($v $bytes $i: $($a $j),+),)+
                    // k runs up to zero, so that it is its own end: rows are pointers to the ends of their runs.
                    "mov {k}, qword ptr [{c} + 80]",
                    $(concat!("add {", stringify!($row), "}, {k}"),)+
                    "neg {k}",
                    "mov {p}, qword ptr [{c} + 96]",
                    "mov {w}, qword ptr [{c} + 112]",
                    ".p2align 5",
                    "2:",
                    $(concat!("vmovups ", $v, $w, ", ", $v, "word ptr [{b} + ", $bytes, "*", $wj, "]"),)+
                    $(fma_row!($v $t, concat!("{", stringify!($row), "} + {k}"), $($a $aw),+),)+
                    concat!("add {b}, 64*", $n),
                    $($ask,)*
                    "add {k}, 4",
                    "jnz 2b",
                    "dec qword ptr [{c} + 72]",
                    "jz 3f",
                    $(concat!("add {", stringify!($row), "}, qword ptr [{c} + 88]"),)+
                    "sub {k}, qword ptr [{c} + 80]",
                    "jmp 2b",
                    "3:",
                    "mov qword ptr [{c} + 96], {p}",
                    "mov qword ptr [{c} + 112], {w}",
                    "mov {p}, qword ptr [{c} + 64]",
                    $(store_acc!($v $bytes $i: $($a $j),+),)+
                    $($row = inout(reg) rows[$i] => _,)+
                    c = in(reg) call as *mut RowsCall,
                    b = inout(reg) b => _,
                    k = out(reg) _,
                    p = out(reg) _,
                    w = out(reg) _,
                    $(out($register) _,)+
                    options(nostack),
                );
            }
        }
    };
}

macro_rules! load_c {
    ($v:literal $bytes:literal $n:literal $i:literal: $($a:literal $j:literal),+) => {
        concat!($("vmovups ", $v, $a, ", ", $v, "word ptr [{p} + 64*", $n, "*", $i, " + ", $bytes, "*", $j, "]\n"),+)
    };
}
macro_rules! store_c {
    ($v:literal $bytes:literal $n:literal $i:literal: $($a:literal $j:literal),+) => {
        concat!($("vmovups ", $v, "word ptr [{p} + 64*", $n, "*", $i, " + ", $bytes, "*", $j, "], ", $v, $a, "\n"),+)
    };
}

/// One `tokens` loop: span by span.
macro_rules! tokens_loop {
    ($($loop:tt)+) => {
        tokens_loop_with!(call, ["prefetchw byte ptr [{nc}]", "add {nc}, {sc}", "prefetcht1 byte ptr [{p} + {na}]",
            "prefetcht1 byte ptr [{b} + {nb}]"],
            [nc = inout(reg) call.next_c.at => _,
            sc = in(reg) call.next_c.step,
            na = in(reg) call.next_a,
            nb = in(reg) call.next_b,]
            $($loop)+);
    };
}
/// The same that asks for nothing.
macro_rules! quiet_tokens_loop {
    ($($loop:tt)+) => { tokens_loop_with!(call, [], [] $($loop)+); };
}
macro_rules! tokens_loop_with {
    ($call:ident, [$($ask:literal),*], [$($operand:tt)*] [$feature:literal $v:literal $bytes:literal $($register:tt)+], $name:ident, $n:literal, [$($w:literal $wj:literal),+], $($row:ident $i:literal $t:literal [$($a:literal $aw:literal $j:literal),+]);+) => {
        #[target_feature(enable = $feature)]
        unsafe fn $name($call: &TokensCall<'_>) {
            // SAFETY: reads spans, a and b, writes c: all vouched for by the caller.
            unsafe {
                core::arch::asm!(
                    "mov {p}, qword ptr [{call}]",
                    $(load_c!($v $bytes $n $i: $($a $j),+),)+
                    "3:",
                    "mov {p}, qword ptr [{span}]",
                    "mov {b}, qword ptr [{span} + 8]",
                    "mov {n}, qword ptr [{span} + 16]",
                    "add {p}, qword ptr [{call} + 8]",
                    "add {b}, qword ptr [{call} + 16]",
                    "add {span}, 24",
                    ".p2align 5",
                    "2:",
                    $(concat!("vmovups ", $v, $w, ", ", $v, "word ptr [{b} + ", $bytes, "*", $wj, "]"),)+
                    $(fma_row!($v $t, concat!("{p} + 4*", $i), $($a $aw),+),)+
                    $($ask,)*
                    "add {p}, {sa}",
                    "add {b}, {sb}",
                    "dec {n}",
                    "jnz 2b",
                    "dec {count}",
                    "jnz 3b",
                    "mov {p}, qword ptr [{call}]",
                    $(store_c!($v $bytes $n $i: $($a $j),+),)+
                    call = in(reg) $call as *const TokensCall<'_>,
                    span = inout(reg) $call.spans.as_ptr() => _,
                    count = inout(reg) $call.spans.len() => _,
                    sa = in(reg) $call.strides[0],
                    sb = in(reg) $call.strides[1],
                    p = out(reg) _,
                    b = out(reg) _,
                    n = out(reg) _,
                    $($operand)*
                    $(out($register) _,)+
                    options(nostack),
                );
            }
        }
    };
}

/// Stamps one kind of loop for every number of rows, `_` for one that nobody wants: names, then rows.
macro_rules! stamp {
    ($kind:ident, $isa:tt, $n:tt, $w:tt, [], $done:tt, $($rest:tt)*) => {};
    ($kind:ident, $isa:tt, $n:tt, $w:tt, [$name:tt $($names:tt)*], [], $row:ident $i:literal $t:literal $acc:tt $(; $($rest:tt)*)?) => {
        stamp!($name $kind, $isa, $n, $w, $row $i $t $acc);
        stamp!($kind, $isa, $n, $w, [$($names)*], [$row $i $t $acc], $($($rest)*)?);
    };
    ($kind:ident, $isa:tt, $n:tt, $w:tt, [$name:tt $($names:tt)*], [$($done:tt)+], $row:ident $i:literal $t:literal $acc:tt $(; $($rest:tt)*)?) => {
        stamp!($name $kind, $isa, $n, $w, $($done)+; $row $i $t $acc);
        stamp!($kind, $isa, $n, $w, [$($names)*], [$($done)+; $row $i $t $acc], $($($rest)*)?);
    };
    (_ $($rest:tt)*) => {};
    ($name:ident $kind:ident, $isa:tt, $n:tt, $w:tt, $($rows:tt)+) => {
        $kind!($isa, $name, $n, $w, $($rows)+);
    };
}
pub(super) use {
    fma_row, load_acc, load_c, quiet_rows_loop, quiet_tokens_loop, rows_loop, rows_loop_with, stamp, store_acc,
    store_c, tokens_loop, tokens_loop_with,
};
