//! The embedding: `x[n] = E[id[n]]`, a trained row per symbol, and its gradient, a sum per symbol.
//!
//! The id V is a symbol never seen: its row is zeros, and no row of E learns from it. Derivation: `doc/embedding.md`.
//! Where embedding and readout are one matrix, its gradient is the sum of both gradients.

use crate::expect_len;
use crate::scalar::Scalar;

/// The rows of the ids. Shapes: `table [V, E]`, `ids [N]` in `0..=V`; the result `[N, E]`.
pub fn lookup<S: Scalar>(table: &[S], ids: &[usize], symbols: usize) -> Vec<S> {
    let width = table.len() / symbols;
    expect_len("embedding.weight [V, E]", table.len(), symbols * width);
    let mut x = Vec::new();
    for (n, &id) in ids.iter().enumerate() {
        assert!(id <= symbols, "id {id} at position {n}: symbols are 0..{symbols}, and {symbols} itself is unseen");
        for c in 0..width {
            x.push(if id < symbols { table[id * width + c] } else { S::constant(0.0) });
        }
    }
    x
}

/// `dE[s] = sum over n with id[n] = s of d_x[n]`. Shapes: `d_x [N, E]`, `ids [N]`; the result `[V, E]`.
pub fn lookup_backward(d_x: &[f64], ids: &[usize], symbols: usize, width: usize) -> Vec<f64> {
    expect_len("d_x [N, E]", d_x.len(), ids.len() * width);
    let mut d_table = vec![0.0; symbols * width];
    for (n, &id) in ids.iter().enumerate() {
        for c in 0..width {
            if id < symbols {
                d_table[id * width + c] += d_x[n * width + c];
            }
        }
    }
    d_table
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: [f64; 6] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]; // [3, 2]

    #[test]
    fn rows_and_sums_by_hand() {
        assert_eq!(lookup(&TABLE, &[2, 3, 0], 3), [5.0, 6.0, 0.0, 0.0, 1.0, 2.0]);
        let d_x = [1.0, 2.0, 10.0, 20.0, 100.0, 200.0, 7.0, 8.0];
        assert_eq!(lookup_backward(&d_x, &[2, 0, 2, 3], 3, 2), [10.0, 20.0, 0.0, 0.0, 101.0, 202.0]);
    }

    #[test]
    #[should_panic(expected = "id 4 at position 1")]
    fn ids_beyond_unseen_are_refused() {
        lookup(&TABLE, &[3, 4], 3);
    }
}
