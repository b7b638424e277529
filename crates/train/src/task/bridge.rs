//! States of one stack to those of another, and the gradient back.
//!
//! ```text
//! copy     s_dec[l] = s_enc[l]; of two directions (s_enc[l] + s_enc[l]_reverse) / 2       s: h, and c of an LSTM
//! linear   [h_dec of all layers, c_dec of all layers] = W [h_enc of all layers, c_enc of all layers] + b
//! ```
//!
//! Layers are numbered as in the stack: of two directions the reversed one follows the other. The lanes of the two stacks
//! are other sequences in another order: both are by falling length, of what is read and of what is written.

use gatemill_cell::LayerState;

/// The state kinds of a layer: h, and c where there is one.
fn kinds(states: &[LayerState]) -> usize {
    if states.first().is_some_and(|s| s.c.is_some()) { 2 } else { 1 }
}

/// h (`kind` 0) or c of a layer.
fn of(state: &LayerState, kind: usize) -> &[f32] {
    match (kind, &state.c) {
        (1, Some(c)) => c,
        _ => &state.h,
    }
}

fn of_mut(state: &mut LayerState, kind: usize) -> &mut [f32] {
    match (kind, &mut state.c) {
        (1, Some(c)) => c,
        (_, _) => &mut state.h,
    }
}

/// All states of one lane as a row: h of each layer, then c of each.
pub(crate) fn row_of(states: &[LayerState], (lane, hidden): (usize, usize), to: &mut [f32]) {
    let mut to = to.chunks_exact_mut(hidden);
    for kind in 0..kinds(states) {
        for state in states {
            if let Some(to) = to.next() {
                to.copy_from_slice(&of(state, kind)[lane * hidden..][..hidden]);
            }
        }
    }
}

/// The same row, into the states.
pub(crate) fn set_row(states: &mut [LayerState], (lane, hidden): (usize, usize), from: &[f32]) {
    let mut from = from.chunks_exact(hidden);
    for kind in 0..kinds(states) {
        for state in &mut *states {
            if let Some(from) = from.next() {
                of_mut(state, kind)[lane * hidden..][..hidden].copy_from_slice(from);
            }
        }
    }
}

/// Zero states of `layers` layers, shaped as these but for the lanes.
pub(crate) fn zeros(like: &[LayerState], layers: usize, lanes: usize, hidden: usize) -> Vec<LayerState> {
    let c = like.first().is_some_and(|s| s.c.is_some()).then(|| vec![0.0; lanes * hidden]);
    vec![LayerState { h: vec![0.0; lanes * hidden], c }; layers]
}

/// `to[lane of i] = from[lane of i]` of every sequence i, layer by layer; the mean over `directions`.
pub(crate) fn copy(
    from: &[LayerState],
    to: &mut [LayerState],
    directions: usize,
    hidden: usize,
    lanes: impl Iterator<Item = (usize, usize)> + Clone,
) {
    for (level, to) in to.iter_mut().enumerate() {
        for kind in 0..kinds(from) {
            for (of_from, of_to) in lanes.clone() {
                let to = &mut of_mut(to, kind)[of_to * hidden..][..hidden];
                let row = |d: usize| &of(&from[level * directions + d], kind)[of_from * hidden..][..hidden];
                to.copy_from_slice(row(0));
                if directions == 2 {
                    to.iter_mut().zip(row(1)).for_each(|(a, &b)| *a = 0.5 * (*a + b));
                }
            }
        }
    }
}

/// The way back through [`copy`]: `d_from` from `d_to`.
pub(crate) fn copy_grad(
    d_from: &mut [LayerState],
    d_to: &[LayerState],
    directions: usize,
    hidden: usize,
    lanes: impl Iterator<Item = (usize, usize)> + Clone,
) {
    let share = if directions == 2 { 0.5 } else { 1.0 };
    for (l, d_from) in d_from.iter_mut().enumerate() {
        for kind in 0..kinds(d_to) {
            for (of_from, of_to) in lanes.clone() {
                let d = &of(&d_to[l / directions], kind)[of_to * hidden..][..hidden];
                let to = &mut of_mut(d_from, kind)[of_from * hidden..][..hidden];
                to.iter_mut().zip(d).for_each(|(to, &d)| *to = share * d);
            }
        }
    }
}
