//! Random symbols as a corpus: V symbols, each as likely as any other, from a fixed seed.
//!
//! Like the text of a user it is encoded, scanned, cut into lanes and fetched, so that this part of a step is the real
//! one. The same for every machine, thread count and tier: part of the committed hashes.

use super::Sizes;
use crate::error::TrainError;
use gatemill_cell::OutOfMemory;
use gatemill_corpus::{Corpus, CorpusError, OpenOptions, Vocab};
use gatemill_kernels::philox;

/// Chunks of an epoch, where they have few tokens: far more than a model could learn by heart in a few seconds,
const CHUNKS: usize = 16;
/// and fewer where this many tokens are in fewer, down to two.
const TOKENS: usize = 1 << 22;
/// Of the symbols.
const SEED: [u32; 2] = [1, 0];
/// Sets these numbers apart from those of weights and samples.
const PURPOSE: u32 = 0x42 << 24;

/// Symbol i: the printable characters of ASCII, then the scalars after them, without the byte-order mark.
fn symbols(vocab: usize) -> impl Iterator<Item = char> {
    (' '..=char::MAX).filter(|&c| c != '\u{feff}').take(vocab)
}

/// The vocabulary of V symbols. Errors: more than there are characters, or none.
pub(super) fn vocab(vocab: usize) -> Result<Vocab, TrainError> {
    let codes: Vec<u32> = symbols(vocab).map(u32::from).collect();
    if codes.len() < vocab {
        return Err(TrainError::Model(format!("{vocab} symbols are more than there are characters")));
    }
    Vocab::from_symbols(&codes).map_err(|e| TrainError::Model(e.to_string()))
}

/// The text for chunks of these sizes. Errors: no memory; sizes that cannot be.
pub(super) fn corpus(sizes: &Sizes) -> Result<Corpus, TrainError> {
    let symbols: Vec<char> = symbols(sizes.vocab).collect();
    let tokens = sizes.seq.saturating_mul(sizes.batch).max(1);
    let random = tokens.saturating_mul((TOKENS / tokens).clamp(2, CHUNKS)).saturating_add(1);
    let mut text = String::new();
    let longest = symbols.last().map_or(1, |c| c.len_utf8());
    let bytes = random.saturating_add(symbols.len()).saturating_mul(longest);
    text.try_reserve_exact(bytes).map_err(|_| OutOfMemory { bytes })?;
    for i in 0..random as u64 {
        let [word, ..] = philox([i as u32, (i >> 32) as u32, 0, PURPOSE], SEED);
        text.push(symbols[((u64::from(word) * symbols.len() as u64) >> 32) as usize]);
    }
    // Each once, so that the vocabulary has them all.
    text.extend(&symbols);
    let options = OpenOptions { val_frac: 0.0, ..OpenOptions::default() };
    let corpus = Corpus::from_bytes("random symbols", text.into_bytes(), &options)?;
    if corpus.vocab().len() == sizes.vocab { Ok(corpus) } else { Err(CorpusError::Empty { size_bytes: 0 }.into()) }
}
