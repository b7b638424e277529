//! The arbiter of bits: sixteen lanes as `[f32; 16]` with `f32::mul_add`. Slow, exact, any machine; tests only.

use crate::vector::{Pointwise, Vector};

/// Sixteen floats, one operation at a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Model(pub(crate) [f32; 16]);

fn zip(a: Model, b: Model, f: impl Fn(f32, f32) -> f32) -> Model {
    Model(std::array::from_fn(|i| f(a.0[i], b.0[i])))
}
fn bits(a: Model, b: Model, f: impl Fn(u32, u32) -> u32) -> Model {
    zip(a, b, |x, y| f32::from_bits(f(x.to_bits(), y.to_bits())))
}

impl Pointwise for Model {
    type Mask = [bool; 16];
    unsafe fn splat(x: f32) -> Self {
        Model([x; 16])
    }
    fn add(self, o: Self) -> Self {
        zip(self, o, |a, b| a + b)
    }
    fn sub(self, o: Self) -> Self {
        zip(self, o, |a, b| a - b)
    }
    fn mul(self, o: Self) -> Self {
        zip(self, o, |a, b| a * b)
    }
    fn div(self, o: Self) -> Self {
        zip(self, o, |a, b| a / b)
    }
    fn sqrt(self) -> Self {
        Model(self.0.map(f32::sqrt))
    }
    fn mul_add(self, a: Self, b: Self) -> Self {
        Model(std::array::from_fn(|i| self.0[i].mul_add(a.0[i], b.0[i])))
    }
    fn neg_mul_add(self, a: Self, b: Self) -> Self {
        Model(std::array::from_fn(|i| (-self.0[i]).mul_add(a.0[i], b.0[i])))
    }
    fn min(self, o: Self) -> Self {
        zip(self, o, |a, b| if a < b { a } else { b })
    }
    fn max(self, o: Self) -> Self {
        zip(self, o, |a, b| if a > b { a } else { b })
    }
    fn and(self, o: Self) -> Self {
        bits(self, o, |a, b| a & b)
    }
    fn or(self, o: Self) -> Self {
        bits(self, o, |a, b| a | b)
    }
    fn xor(self, o: Self) -> Self {
        bits(self, o, |a, b| a ^ b)
    }
    fn add_i32(self, o: Self) -> Self {
        bits(self, o, u32::wrapping_add)
    }
    fn shl_u32<const N: i32>(self) -> Self {
        Model(self.0.map(|x| f32::from_bits(x.to_bits() << N)))
    }
    fn lt(self, o: Self) -> Self::Mask {
        std::array::from_fn(|i| self.0[i] < o.0[i])
    }
    fn select(m: Self::Mask, a: Self, b: Self) -> Self {
        Model(std::array::from_fn(|i| if m[i] { a.0[i] } else { b.0[i] }))
    }
}

impl Vector for Model {
    unsafe fn load(p: *const f32) -> Self {
        // SAFETY: the caller's obligation.
        Model(std::array::from_fn(|i| unsafe { p.add(i).read_unaligned() }))
    }
    unsafe fn store(self, p: *mut f32) {
        for (i, x) in self.0.into_iter().enumerate() {
            // SAFETY: the caller's obligation.
            unsafe { p.add(i).write_unaligned(x) };
        }
    }
}
