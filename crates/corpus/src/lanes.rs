//! Lanes: lane b of B reads symbols [b*m, b*m + m + 1) of n, m = (n-1)/B, as inputs and, one later, as targets.
//!
//! ```text
//! n = 11, B = 2, m = 5     inputs of lane 0: 0 1 2 3 4   targets: 1 2 3 4 5
//!                          inputs of lane 1: 5 6 7 8 9   targets: 6 7 8 9 10
//! ```
//!
//! So neighbours share one symbol, the last target of one and the first input of the next, and each symbol but the
//! rest of the division is an input once. A chunk is T steps of every lane; the state is carried from chunk to chunk. Positions are u64.
//!
//! With a document separator a chunk also says at which inputs a document begins (`documents.rs`); the state before those
//! is zero.
//!
//! Promises: a chunk is a function of (corpus, split, B, start, T) alone, and whether an input begins a document a
//! function of its place in the text; `fill` allocates only where T is greater than ever before.

use crate::corpus::Corpus;
use crate::error::CorpusError;
use crate::split::Split;
use crate::tokens::Reader;

/// T time steps of every lane.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Chunk {
    /// Which of its epoch, from 0, where a [`Fetcher`](crate::Fetcher) brought it.
    pub index: u64,
    /// `[T, B]`: input ids. A chunk that was longer before keeps its size; its first T*B elements count.
    pub inputs: Vec<u32>,
    /// `[T, B]`: target ids, as `inputs`.
    pub targets: Vec<u32>,
    /// `(t, lane)` of each input that begins a document, by lane, then by time: the state before it is zero. Empty
    /// without a document separator.
    pub begins: Vec<(u32, u32)>,
}

/// The lanes of one part of a corpus.
#[derive(Debug)]
pub struct Lanes {
    corpus: Corpus,
    split: Split,
    batch: usize,
    /// m
    len: u64,
    /// `[L + T + 1]`: one lane's symbols, behind those that say whether the first begins a document.
    row: Vec<u32>,
    reader: Reader,
}

impl Lanes {
    /// `batch` lanes for chunks of `steps`. Errors: not one chunk fits; the message says what would.
    pub fn new(corpus: &Corpus, split: Split, batch: usize, steps: usize) -> Result<Self, CorpusError> {
        let symbols = corpus.symbols(split);
        let (b, t) = (batch as u64, steps as u64);
        // m for so many lanes, and lanes for so long an m; none of zero.
        let fits = |by: u64| symbols.saturating_sub(1).checked_div(by).unwrap_or(0);
        let len = fits(b);
        if len < t.max(1) || t == 0 {
            let (largest_batch, largest_seq) = (fits(t), len);
            return Err(CorpusError::TooShort { symbols, batch: b, seq: t, largest_batch, largest_seq });
        }
        let row = vec![0; steps.saturating_add(1).saturating_add(corpus.look_back())];
        let reader = Reader::with_room_for(row.len());
        Ok(Self { corpus: corpus.clone(), split, batch, len, row, reader })
    }
    /// `batch` lanes whose last short chunk counts. Errors: not one step fits.
    pub fn for_evaluation(corpus: &Corpus, split: Split, batch: usize) -> Result<Self, CorpusError> {
        Self::new(corpus, split, batch, 1)
    }
    /// m: time steps of each lane.
    #[allow(clippy::len_without_is_empty, reason = "a lane has at least one step")]
    pub fn len(&self) -> u64 {
        self.len
    }
    /// B.
    pub fn batch(&self) -> usize {
        self.batch
    }
    /// Whole chunks of `steps` time steps. Panics for 0 steps.
    pub fn chunks(&self, steps: usize) -> u64 {
        assert!(steps > 0, "chunks of no time steps");
        self.len.checked_div(steps as u64).unwrap_or(0)
    }
    /// Symbols that are an input in no whole chunk of `steps`: the rest of the division into lanes, the end of each
    /// lane, and the last symbol, which is a target only. Panics for 0 steps.
    pub fn left_over(&self, steps: usize) -> u64 {
        let used = self.chunks(steps).saturating_mul(steps as u64).saturating_mul(self.batch as u64);
        self.corpus.symbols(self.split).saturating_sub(used)
    }
    /// Whether chunks say where documents begin: the corpus was opened with a separator.
    pub fn has_documents(&self) -> bool {
        self.corpus.has_documents()
    }
    /// A chunk with room for `steps` time steps: `fill` does not allocate for it.
    pub fn chunk(&self, steps: usize) -> Chunk {
        let size = steps.saturating_mul(self.batch);
        let begins = Vec::with_capacity(if self.has_documents() { size } else { 0 });
        Chunk { index: 0, inputs: vec![0; size], targets: vec![0; size], begins }
    }
    /// Fills a chunk with time steps `start .. start + steps` of all lanes; its index is left alone.
    ///
    /// Shapes: `inputs` and `targets` `[steps, B]`: element `t*B + b` is symbol `start + t` of lane b, and the one after.
    /// Panics where the steps end beyond `len()`. Errors: reading; the chunk then holds nothing of use.
    pub fn fill(&mut self, start: u64, steps: usize, chunk: &mut Chunk) -> Result<(), CorpusError> {
        let end = start.checked_add(steps as u64);
        assert!(end.is_some_and(|end| end <= self.len), "steps {start}..+{steps} of lanes of {}", self.len);
        let Chunk { inputs, targets, begins, .. } = chunk;
        let size = steps.saturating_mul(self.batch);
        for ids in [&mut *inputs, &mut *targets] {
            if ids.len() < size {
                ids.resize(size, 0);
            }
        }
        begins.clear();
        let (width, look_back) = (steps.saturating_add(1), self.corpus.look_back());
        let most = width.saturating_add(look_back);
        if self.row.len() < most {
            self.row.resize(most, 0);
        }
        // Lanes lie one behind the other: each file is looked at twice a chunk, before its part and after.
        self.reader.looked_at = None;
        for b in 0..self.batch {
            let at = (b as u64).saturating_mul(self.len).saturating_add(start);
            let before = usize::try_from(at).unwrap_or(usize::MAX).min(look_back);
            let row = self.row.get_mut(..width.saturating_add(before)).unwrap_or_default();
            self.corpus.copy(self.split, at.saturating_sub(before as u64), row, &mut self.reader)?;
            let column = |x: &mut [u32], ids: &[u32]| {
                let x = x.iter_mut().skip(b).step_by(self.batch).take(steps);
                x.zip(ids).for_each(|(x, &id)| *x = id);
            };
            column(inputs, row.get(before..).unwrap_or_default());
            column(targets, row.get(before.saturating_add(1)..).unwrap_or_default());
            self.corpus.begins(self.split, (at, steps), (before, row), |t| begins.push((t as u32, b as u32)));
        }
        self.corpus.leave(&mut self.reader)
    }
}
