//! Sixteen f32 lanes, on every tier: one zmm, two ymm, or what `wide` makes of the build target; several side by side.
//!
//! Every elementwise body in this crate is written once over this trait and inlined into one entry point per tier.
//! The operations are the IEEE ones (add, mul, div, sqrt, fused multiply-add) and bit moves: no estimates. So the two
//! FMA tiers give equal bits by construction; `portable` rounds `a*b+c` twice where the build target has no FMA and is
//! outside that promise (`doc/numerics.md`).
//!
//! A value of a tier's type exists only where the tier was detected: `load`, `splat` and `splat_bits` are unsafe for
//! that reason, and all else is safe because it starts from such a value.

/// What can be computed on all lanes alike: on sixteen ([`Vector`]), or on several times sixteen ([`Abreast`]).
pub(crate) trait Pointwise: Copy {
    /// The outcome of a comparison, lane by lane.
    type Mask: Copy;

    /// Every lane `x`.
    ///
    /// # Safety
    /// - the tier's instructions are available.
    unsafe fn splat(x: f32) -> Self;
    /// Every lane the float with these bits.
    ///
    /// # Safety
    /// - the tier's instructions are available.
    #[inline(always)]
    unsafe fn splat_bits(bits: u32) -> Self {
        // SAFETY: the same obligation, passed on.
        unsafe { Self::splat(f32::from_bits(bits)) }
    }
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    fn div(self, other: Self) -> Self;
    fn sqrt(self) -> Self;
    /// `self * a + b`, rounded once on the FMA tiers.
    fn mul_add(self, a: Self, b: Self) -> Self;
    /// `self * a + b` as if rounded once on every tier, for the few places where a second rounding would show.
    #[inline(always)]
    fn mul_add_once(self, a: Self, b: Self) -> Self {
        self.mul_add(a, b)
    }
    /// `b - self * a`, rounded once on the FMA tiers.
    fn neg_mul_add(self, a: Self, b: Self) -> Self;
    /// `self < other ? self : other`: the other operand where either is NaN (as minps does).
    fn min(self, other: Self) -> Self;
    /// `self > other ? self : other`: the other operand where either is NaN (as maxps does).
    fn max(self, other: Self) -> Self;
    fn and(self, other: Self) -> Self;
    fn or(self, other: Self) -> Self;
    fn xor(self, other: Self) -> Self;
    /// The bits as i32, added without a carry between lanes.
    fn add_i32(self, other: Self) -> Self;
    /// The bits as u32, shifted left by `N`.
    fn shl_u32<const N: i32>(self) -> Self;
    /// `self < other`; false where either is NaN.
    fn lt(self, other: Self) -> Self::Mask;
    /// `mask ? a : b`, lane by lane.
    fn select(mask: Self::Mask, a: Self, b: Self) -> Self;

    /// Results too small to be normal become zero: `(x + 2^-102) - 2^-102`.
    ///
    /// Up to 2^-126 the sum rounds back to 2^-102 and leaves 0 (signed zeros become +0), but for negative values above
    /// half of 2^-126, which become -2^-126: never a denormal. From 2^-78 up nothing changes; between, the value is
    /// rounded to a multiple of 2^-126. Two additions, which run beside the FMA ports:
    /// a compare and mask would cost 20 cycles per sixteen unit-tokens.
    #[inline(always)]
    fn flush(self) -> Self {
        // SAFETY: `self` exists, so the tier is available.
        let tiny = unsafe { Self::splat_bits((127 - 102) << 23) };
        self.add(tiny).sub(tiny)
    }
}

/// Sixteen f32 lanes.
pub(crate) trait Vector: Pointwise {
    /// Sixteen consecutive floats.
    ///
    /// # Safety
    /// - the tier's instructions are available;
    /// - `p` is valid for reading 16 floats (no alignment asked).
    unsafe fn load(p: *const f32) -> Self;
    /// Writes sixteen consecutive floats.
    ///
    /// # Safety
    /// - `p` is valid for writing 16 floats (no alignment asked).
    unsafe fn store(self, p: *mut f32);

    /// Lane c of row r becomes lane r of row c.
    #[inline(always)]
    fn transpose(rows: [Self; 16]) -> [Self; 16] {
        let mut columns = [[0.0; 16]; 16];
        let mut r = 0;
        while r < 16 {
            let row = rows[r].to_array();
            let mut c = 0;
            while c < 16 {
                columns[c][r] = row[c];
                c += 1;
            }
            r += 1;
        }
        let mut out = rows;
        for (to, column) in out.iter_mut().zip(&columns) {
            // SAFETY: the rows exist, so the tier is available; a column holds 16 floats.
            *to = unsafe { Self::load(column.as_ptr()) };
        }
        out
    }

    /// The lanes in order.
    #[inline(always)]
    fn to_array(self) -> [f32; 16] {
        let mut out = [0.0; 16];
        // SAFETY: `out` holds 16 floats.
        unsafe { self.store(out.as_mut_ptr()) };
        out
    }
    /// The sum of the lanes by a fixed tree: lane i + lane i+8, then +4, +2, +1.
    #[inline(always)]
    fn sum(self) -> f32 {
        let mut a = self.to_array();
        let mut width = 8;
        while width > 0 {
            let mut i = 0;
            while i < width {
                a[i] += a[i + width];
                i += 1;
            }
            width /= 2;
        }
        a[0]
    }
    /// The largest lane; NaN lanes are passed over.
    #[inline(always)]
    fn max_lane(self) -> f32 {
        let mut a = self.to_array();
        let mut width = 8;
        while width > 0 {
            let mut i = 0;
            while i < width {
                let (x, y) = (a[i], a[i + width]);
                a[i] = if y > x || x.is_nan() { y } else { x };
                i += 1;
            }
            width /= 2;
        }
        a[0]
    }
}

/// N vectors side by side. A function's operations then alternate between them, so that no one waits for the step before:
/// written one after the other their chains fill a core's scheduler before it sees the next (`doc/performance.md`).
#[derive(Clone, Copy)]
pub(crate) struct Abreast<V, const N: usize>(pub(crate) [V; N]);

/// `f(self, others...)` of each. Loops, no closures: those would not take the tier's instructions over.
macro_rules! each {
    ($($name:ident($($other:ident),*);)+) => {$(
        #[inline(always)]
        fn $name(self $(, $other: Self)*) -> Self {
            let mut out = self.0;
            let mut i = 0;
            while i < N {
                out[i] = self.0[i].$name($($other.0[i]),*);
                i += 1;
            }
            Self(out)
        }
    )+};
}

impl<V: Pointwise, const N: usize> Pointwise for Abreast<V, N> {
    type Mask = [V::Mask; N];

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        // SAFETY: the same obligation, passed on.
        Self([unsafe { V::splat(x) }; N])
    }
    each! {
        add(o);
        sub(o);
        mul(o);
        div(o);
        sqrt();
        mul_add(a, b);
        mul_add_once(a, b);
        neg_mul_add(a, b);
        min(o);
        max(o);
        and(o);
        or(o);
        xor(o);
        add_i32(o);
        flush();
    }
    #[inline(always)]
    fn shl_u32<const BITS: i32>(self) -> Self {
        let mut out = self.0;
        let mut i = 0;
        while i < N {
            out[i] = self.0[i].shl_u32::<BITS>();
            i += 1;
        }
        Self(out)
    }
    #[inline(always)]
    fn lt(self, o: Self) -> Self::Mask {
        let mut out = [self.0[0].lt(o.0[0]); N];
        let mut i = 1;
        while i < N {
            out[i] = self.0[i].lt(o.0[i]);
            i += 1;
        }
        out
    }
    #[inline(always)]
    fn select(mask: Self::Mask, a: Self, b: Self) -> Self {
        let mut out = a.0;
        let mut i = 0;
        while i < N {
            out[i] = V::select(mask[i], a.0[i], b.0[i]);
            i += 1;
        }
        Self(out)
    }
}
