//! The text of a seed in order, as fast as all threads of a pool make it.
//!
//! Episode k is a function of the seed and k, so blocks of episodes are made side by side. One group of blocks is handed on
//! while the next is made; no more than two groups are in memory, however long the text.

use super::write::{Episode, Keep, write};
use rayon::prelude::*;

/// Episodes of a block: about 200 kB. A guess: far more than it costs to share them out.
const EPISODES: u64 = 256;
/// Blocks of a group for each thread, so that a slow one holds up little.
const BLOCKS: usize = 4;

/// Calls `take` with the first `bytes` bytes of the text of `seed`, piece after piece, until it returns false. Runs on the
/// rayon pool that it is called in.
///
/// Errors: the first of `take`.
pub fn stream<E: Send>(bytes: u64, seed: u64, mut take: impl FnMut(&[u8]) -> Result<bool, E> + Send) -> Result<(), E> {
    let group = || vec![Vec::new(); rayon::current_num_threads().saturating_mul(BLOCKS)];
    let (mut ready, mut next): (Vec<Vec<u8>>, Vec<Vec<u8>>) = (group(), group());
    let (mut first, mut left) = (0, bytes);
    make(seed, &mut first, &mut ready);
    while left > 0 {
        let more = ready.iter().fold(0u64, |sum, block| sum.saturating_add(block.len() as u64)) < left;
        let hand_on = || {
            for block in &ready {
                let piece = block.get(..usize::try_from(left).unwrap_or(usize::MAX)).unwrap_or(block);
                left = left.saturating_sub(piece.len() as u64);
                if !piece.is_empty() && !take(piece)? {
                    left = 0;
                }
            }
            Ok(())
        };
        let make_next = || {
            if more {
                make(seed, &mut first, &mut next);
            }
        };
        let (handed_on, ()) = rayon::join(hand_on, make_next);
        handed_on?;
        std::mem::swap(&mut ready, &mut next);
    }
    Ok(())
}

/// Makes the blocks from episode `first` on, and moves `first` behind them.
fn make(seed: u64, first: &mut u64, blocks: &mut [Vec<u8>]) {
    let start = *first;
    *first = start.saturating_add((blocks.len() as u64).saturating_mul(EPISODES));
    blocks.par_iter_mut().enumerate().for_each_init(Episode::default, |episode, (index, block)| {
        block.clear();
        let start = start.saturating_add((index as u64).saturating_mul(EPISODES));
        for number in start..start.saturating_add(EPISODES) {
            write(seed, number, Keep::default(), episode);
            block.extend_from_slice(&episode.text);
        }
    });
}
