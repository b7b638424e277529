//! Attention: queries over the rows of a memory (Luong, Pham, Manning 2015), and the way back.
//!
//! `score[t, s] = q_t . k_s`, `weights[t] = softmax(score[t])`, `context[t] = sum over s of weights[t, s] v_s`. The keys are
//! the values (dot), or a matrix times them (general).

use crate::dot::dot;
use crate::expect_len;
use crate::loss::softmax;
use crate::scalar::Scalar;

/// Weights and contexts.
#[derive(Clone, Debug, PartialEq)]
pub struct Attended<S> {
    /// `[T, S]`
    pub weights: Vec<S>,
    /// `[T, E]`
    pub context: Vec<S>,
}

/// Forward. Shapes: `q [T, H]`, `keys [S, H]`, `values [S, E]`, `rows` is S.
pub fn attend<S: Scalar>(q: &[S], keys: &[S], values: &[S], rows: usize) -> Attended<S> {
    let (hidden, width) = (keys.len() / rows, values.len() / rows);
    expect_len("keys [S, H]", keys.len(), rows * hidden);
    expect_len("values [S, E]", values.len(), rows * width);
    let mut out = Attended { weights: Vec::new(), context: Vec::new() };
    for q_t in q.chunks_exact(hidden) {
        let scores: Vec<S> = keys.chunks_exact(hidden).map(|k| dot(q_t, k)).collect();
        let weights = softmax(&scores);
        for e in 0..width {
            let mut sum = S::constant(0.0);
            for s in 0..rows {
                sum = sum + weights[s] * values[s * width + e];
            }
            out.context.push(sum);
        }
        out.weights.extend(weights);
    }
    out
}

/// Gradients of [`attend`].
#[derive(Clone, Debug, PartialEq)]
pub struct AttendGrads {
    /// `[T, H]`
    pub d_q: Vec<f64>,
    /// `[S, H]`
    pub d_keys: Vec<f64>,
    /// `[S, E]`
    pub d_values: Vec<f64>,
}

/// The way back. Shapes: as [`attend`], `d_context [T, E]`.
pub fn attend_backward(q: &[f64], keys: &[f64], values: &[f64], rows: usize, d_context: &[f64]) -> AttendGrads {
    let (hidden, width) = (keys.len() / rows, values.len() / rows);
    let forward = attend(q, keys, values, rows);
    let mut out =
        AttendGrads { d_q: vec![0.0; q.len()], d_keys: vec![0.0; keys.len()], d_values: vec![0.0; values.len()] };
    for t in 0..q.len() / hidden {
        let weights = &forward.weights[t * rows..(t + 1) * rows];
        let d = &d_context[t * width..(t + 1) * width];
        let d_weights: Vec<f64> = values.chunks_exact(width).map(|v| dot(d, v)).collect();
        let mean = dot(weights, &d_weights);
        for s in 0..rows {
            let d_score = weights[s] * (d_weights[s] - mean);
            for h in 0..hidden {
                out.d_q[t * hidden + h] += d_score * keys[s * hidden + h];
                out.d_keys[s * hidden + h] += d_score * q[t * hidden + h];
            }
            for e in 0..width {
                out.d_values[s * width + e] += weights[s] * d[e];
            }
        }
    }
    out
}
