//! Attention of a lane: shapes checked. The operations are `op/attend.rs`'s.

use crate::op::attend::{Memory, MemoryGrad};
use crate::pack::LANES;
use crate::table::Kernels;

/// Panics where a lane's rows are not whole vectors, as many as it says.
fn check(m: &Memory<'_>, weights: &[f32], context: &[f32]) {
    let (width, values, floats) = m.widths();
    let whole = |name: &str, found: usize, rows: usize, width: usize| {
        let fits = rows > 0 && width > 0 && width.is_multiple_of(LANES) && Some(found) == rows.checked_mul(width);
        assert!(fits, "attention: {name} has {found} floats, not {rows} rows of whole vectors");
    };
    whole("q", m.q.len(), m.queries, width);
    whole("keys", m.keys.len(), m.rows, width);
    whole("values", m.values.len(), m.rows, values);
    whole("weights", weights.len(), m.queries, floats);
    whole("context", context.len(), m.queries, values);
}

impl Kernels {
    /// Attention of one lane: `weights [T, S in whole vectors]` with zeros as padding, and `context [T, E]`.
    ///
    /// Rows are whole vectors of 16 floats, padding zero. Panics where a length is wrong.
    pub fn attend(&self, m: &Memory<'_>, weights: &mut [f32], context: &mut [f32]) {
        check(m, weights, context);
        // SAFETY: just checked; the tier is detected.
        unsafe { (self.table().attend)(m, weights, context) }
    }

    /// The way back from `d_context [T, E]` through [`Kernels::attend`], whose `weights` these are. Panics where a length
    /// is wrong.
    pub fn attend_grad(&self, m: &Memory<'_>, weights: &[f32], d_context: &[f32], out: &mut MemoryGrad<'_>) {
        check(m, weights, d_context);
        let same = out.d_q.len() == m.q.len()
            && out.d_keys.len() == m.keys.len()
            && out.d_values.len() == m.values.len()
            && out.room.len() == weights.len();
        assert!(same, "attention: a gradient has another size than what it is the gradient of");
        // SAFETY: just checked; the tier is detected.
        unsafe { (self.table().attend_grad)(m, weights, d_context, out) }
    }
}
