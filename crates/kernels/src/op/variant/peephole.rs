//! The peepholes' gradient: `d_p_i = sum of d_a_i c_{t-1}`, `d_p_f = sum of d_a_f c_{t-1}`, `d_p_o = sum of d_a_o c_t`, the
//! tokens in order.

use super::super::weight_grad::{Columns, stretches};
use crate::pack::LANES;
use crate::tokens::{Order, Part, Tokens};
use crate::vector::Vector;
use crate::view::Column;

/// `out [3*16]` becomes the gradient of p_i, p_f, p_o of 16 units: d their gate gradients, c by row, of a layer of this
/// order.
///
/// # Safety
/// - the tier is available; rows of d and c are in range; `out` holds three vectors.
#[inline(always)]
pub(crate) unsafe fn peephole_grad<V: Vector>(
    (d, c): (Columns, Column),
    (tokens, order): (&Tokens, Order),
    part: &Part,
    out: &mut [f32],
) {
    // SAFETY: the caller's.
    unsafe {
        let prev_rows = tokens.prev_rows(order);
        let mut sums = [V::splat(0.0); 3];
        stretches(tokens, part, usize::MAX, |number, count| {
            for &place in &tokens.order()[number..number + count] {
                let (row, previous) = (d.row(place), prev_rows[place as usize]);
                let (c_prev, c) = (c.row(previous as usize), c.row(tokens.row(place as usize)));
                let (c_prev, c) = (V::load(c_prev), V::load(c));
                sums[0] = V::load(row).mul_add(c_prev, sums[0]);
                sums[1] = V::load(row.add(LANES)).mul_add(c_prev, sums[1]);
                sums[2] = V::load(row.add(3 * LANES)).mul_add(c, sums[2]);
            }
        });
        for (j, sum) in sums.iter().enumerate() {
            sum.store(out.as_mut_ptr().add(j * LANES));
        }
    }
}
