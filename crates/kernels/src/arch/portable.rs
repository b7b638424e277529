//! Tier `portable`: `wide::f32x16`, whose instructions are those of the build target.

use crate::vector::Vector;
use wide::{CmpLt, f32x16, i32x16, u32x16};

/// Sixteen floats as `wide` holds them.
#[derive(Clone, Copy)]
pub(crate) struct Portable(f32x16);

fn bits(x: f32x16) -> u32x16 {
    bytemuck::cast(x)
}
fn floats(x: u32x16) -> Portable {
    Portable(bytemuck::cast(x))
}

impl Vector for Portable {
    type Mask = f32x16;
    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self {
        // SAFETY: 16 readable floats by the caller's promise; arrays of floats have no padding and any bits are a float.
        Self(f32x16::from(unsafe { p.cast::<[f32; 16]>().read_unaligned() }))
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        Self(f32x16::splat(x))
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        // SAFETY: 16 writable floats by the caller's promise.
        unsafe { p.cast::<[f32; 16]>().write_unaligned(self.0.to_array()) }
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
    fn round(self) -> Self {
        Self(self.0.round_ties_even())
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
