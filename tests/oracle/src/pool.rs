//! Rows of a sequence to one row: the last, the mean, the largest; and the way back.

use crate::expect_len;
use crate::scalar::Scalar;

/// Which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pool {
    /// The last; of two directions, which stand side by side, the last of the first half and the first of the second.
    Last {
        /// Directions.
        directions: usize,
    },
    /// The mean.
    Mean,
    /// The largest, column by column; of equal ones the first.
    Max,
}

/// The step that column `w` of a pooled row is taken from.
fn step_of<S: Scalar>(pool: Pool, y: &[S], width: usize, w: usize) -> usize {
    let steps = y.len() / width;
    match pool {
        Pool::Last { directions } => {
            if w < width / directions {
                steps - 1
            } else {
                0
            }
        }
        Pool::Mean => 0,
        Pool::Max => {
            let mut best = 0;
            for t in 1..steps {
                if y[t * width + w].value() > y[best * width + w].value() {
                    best = t;
                }
            }
            best
        }
    }
}

/// One row of `y [T, width]`.
pub fn pool<S: Scalar>(pool: Pool, y: &[S], width: usize) -> Vec<S> {
    let steps = y.len() / width;
    expect_len("y [T, width]", y.len(), steps * width);
    let mut out = Vec::new();
    for w in 0..width {
        if pool == Pool::Mean {
            let mut sum = S::constant(0.0);
            for t in 0..steps {
                sum = sum + y[t * width + w];
            }
            out.push(sum / S::constant(steps as f64));
        } else {
            out.push(y[step_of(pool, y, width, w) * width + w]);
        }
    }
    out
}

/// The way back: the gradient to `y [T, width]` of that to its row, `d [width]`.
pub fn pool_backward(pool: Pool, y: &[f64], d: &[f64]) -> Vec<f64> {
    let width = d.len();
    let steps = y.len() / width;
    let mut d_y = vec![0.0; y.len()];
    for w in 0..width {
        if pool == Pool::Mean {
            for t in 0..steps {
                d_y[t * width + w] = d[w] / steps as f64;
            }
        } else {
            d_y[step_of(pool, y, width, w) * width + w] = d[w];
        }
    }
    d_y
}
