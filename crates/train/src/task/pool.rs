//! Rows of a sequence to one row for the head, and the gradient back to them (`super::Pool`).
//!
//! ```text
//! last   y = h of the last token; of two directions [h of the last, h_reverse of the first]
//! mean   y = 1/n * sum over t of y_t          t ascending, in f64, rounded once     d_y_t = d_y / n
//! max    y[u] = max over t of y_t[u]          of equal ones the first               d_y_t[u] = d_y[u] where t is the one
//! ```

use super::config::Pool;
use super::lanes::Packed;
use gatemill_cell::Network;

/// What the way back needs.
#[derive(Debug, Default)]
pub(crate) struct Pooled {
    row: Vec<f32>,
    sums: Vec<f64>,
    /// `[lanes, width]`: the step that a unit's largest came from.
    at: Vec<usize>,
}

/// The token at which part `part` of an output row ends: the reversed direction's last is the first token.
fn end(part: usize, length: usize) -> usize {
    if part == 0 { length - 1 } else { 0 }
}

impl Pooled {
    /// The row of one lane, into `to [width]`.
    pub(crate) fn forward(&mut self, (network, packed, pool): (&Network, &Packed, Pool), lane: usize, to: &mut [f32]) {
        let (width, length) = (to.len(), packed.lengths[lane]);
        match pool {
            Pool::Last => {
                let columns = width / network.parts();
                for (part, to) in to.chunks_exact_mut(columns).enumerate() {
                    to.copy_from_slice(network.output_part(end(part, length), lane, part));
                }
            }
            Pool::Mean => {
                self.row.resize(width, 0.0);
                self.sums.clear();
                self.sums.resize(width, 0.0);
                for t in 0..length {
                    network.copy_output(t, lane, &mut self.row);
                    self.sums.iter_mut().zip(&self.row).for_each(|(sum, &x)| *sum += f64::from(x));
                }
                to.iter_mut().zip(&self.sums).for_each(|(to, sum)| *to = (sum / length as f64) as f32);
            }
            Pool::Max => {
                self.row.resize(width, 0.0);
                self.at.resize(self.at.len().max(packed.lengths.len() * width), 0);
                let at = &mut self.at[lane * width..][..width];
                network.copy_output(0, lane, to);
                at.fill(0);
                for t in 1..length {
                    network.copy_output(t, lane, &mut self.row);
                    for ((to, at), &x) in to.iter_mut().zip(at.iter_mut()).zip(&self.row) {
                        if x > *to {
                            (*to, *at) = (x, t);
                        }
                    }
                }
            }
        }
    }

    /// The gradient `d [width]` of the row of one lane to the outputs, which are zero before.
    pub(crate) fn backward(&mut self, (network, packed, pool): (&mut Network, &Packed, Pool), lane: usize, d: &[f32]) {
        let (width, length) = (d.len(), packed.lengths[lane]);
        match pool {
            Pool::Last => {
                let columns = width / network.parts();
                for (part, d) in d.chunks_exact(columns).enumerate() {
                    network.output_grad_part_mut(end(part, length), lane, part).copy_from_slice(d);
                }
            }
            Pool::Mean => {
                self.row.resize(width, 0.0);
                self.row.iter_mut().zip(d).for_each(|(to, &d)| *to = (f64::from(d) / length as f64) as f32);
                (0..length).for_each(|t| network.set_output_grad(t, lane, &self.row));
            }
            Pool::Max => {
                let columns = width / network.parts();
                let at = &self.at[lane * width..][..width];
                for (u, (&d, &t)) in d.iter().zip(at).enumerate() {
                    network.output_grad_part_mut(t, lane, u / columns)[u % columns] = d;
                }
            }
        }
    }
}
