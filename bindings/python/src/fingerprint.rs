//! Whether somebody wrote to an array: a 64-bit fingerprint of its bytes, of all of them or of samples.
//!
//! PyTorch counts changes in a tensor's version, but not those made through `.data`; a fingerprint sees them. It runs at the
//! speed of memory: eight chains of multiplications beside each other, on all workers.

use crate::arrays::In;
use crate::threads;
use gatemill::Crew;
use pyo3::prelude::*;
use std::sync::Arc;

/// Chains, and floats that each takes at once.
const CHAINS: usize = 8;
const BLOCK: usize = 2 * CHAINS;

/// Floats of a piece, of which a worker takes one at a time: whole samples.
const PIECE: usize = 1 << 14;
/// Pieces that one worker reads sooner than several share them.
const FEW: usize = 4;

/// A fingerprint of each array. With `every` above 1, of one block of 16 floats in so many: enough to see that an array
/// was rewritten, as an optimiser or an initialisation does it, not that one element was.
#[pyfunction]
pub(crate) fn fingerprints(py: Python<'_>, arrays: Vec<Bound<'_, PyAny>>, every: usize) -> PyResult<Vec<u64>> {
    let arrays = arrays.iter().map(|array| In::new("weights", array)).collect::<PyResult<Vec<_>>>()?;
    let slices = arrays.iter().map(In::slice).collect::<PyResult<Vec<_>>>()?;
    let pieces: Vec<&[f32]> = slices.iter().flat_map(|slice| slice.chunks(PIECE)).collect();
    let mut marks = vec![0; pieces.len()];
    let borders: Vec<usize> = (0..=pieces.len()).collect();
    let is_short = every > 1 || pieces.len() <= FEW;
    let crew = if is_short { Arc::new(Crew::alone()) } else { threads::crew(py)? };
    py.detach(|| crew.tiles(&mut marks, &borders, |i, mark| mark[0] = fingerprint(pieces[i], every.max(1))));
    let mut marks = marks.into_iter();
    let of = |slice: &&[f32]| marks.by_ref().take(slice.len().div_ceil(PIECE)).fold(0, next);
    Ok(slices.iter().map(of).collect())
}

const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

fn next(state: u64, word: u64) -> u64 {
    (state.rotate_left(23) ^ word).wrapping_mul(ODD)
}

fn fingerprint(data: &[f32], every: usize) -> u64 {
    let turn = |state: u64, a: f32, b: f32| next(state, u64::from(a.to_bits()) | u64::from(b.to_bits()) << 32);
    let mut chains: [u64; CHAINS] = std::array::from_fn(|i| ODD.wrapping_mul(i as u64 + 1));
    let (blocks, rest) = data.as_chunks::<BLOCK>();
    for block in blocks.iter().step_by(every) {
        for (i, chain) in chains.iter_mut().enumerate() {
            *chain = turn(*chain, block[2 * i], block[2 * i + 1]);
        }
    }
    for &x in rest {
        chains[0] = turn(chains[0], x, 0.0);
    }
    chains.into_iter().fold(data.len() as u64, next)
}
