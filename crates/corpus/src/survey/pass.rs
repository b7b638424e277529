//! The pass over all files: blocks counted in parallel, then added up in their order.

use super::block::{self, AFTER, BlockText, MOST_FAULTS};
use super::counts::{Counts, Ends, lossy};
use super::{FileSurvey, Survey, Yardsticks, text_start, yardstick};
use crate::error::CorpusError;
use crate::source::Source;
use crate::vocab::VocabKind;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Line ends, and the longest line. A CR and an LF behind it are one end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lines {
    /// LF alone.
    pub lf: u64,
    /// CR and LF.
    pub crlf: u64,
    /// CR alone.
    pub cr: u64,
    /// Characters of the longest line, without its end; of several the first.
    pub longest: u64,
    /// The byte where it begins.
    pub longest_at: u64,
}

/// What memory and work are cut into.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    /// Bytes of a block, at least 3.
    pub(super) block_bytes: u64,
    /// Blocks whose findings are kept until they are added up.
    pub(super) group: u64,
    /// Pairs in a worker's map before it is added to the total.
    pub(super) worker_pairs: usize,
    /// Pairs in the total's map.
    pub(super) most_pairs: usize,
}

impl Default for Sizes {
    /// Guesses: a block as in `scan.rs`; a map of a worker that its caches hold; a total of about half a GiB.
    fn default() -> Self {
        Self { block_bytes: 1 << 20, group: 4096, worker_pairs: 1 << 17, most_pairs: 1 << 24 }
    }
}

/// The blocks of one file.
#[derive(Debug, Clone, Copy)]
struct Blocks<'a> {
    source: &'a Source,
    /// Where its text begins.
    start: u64,
    /// Its blocks among those of all files.
    first: u64,
    end: u64,
}

/// What a block has.
#[derive(Debug)]
struct Found {
    index: u64,
    /// Where its first byte lies in its file.
    at: u64,
    ends: Option<Ends>,
    /// None where only pairs are wanted.
    text: Option<BlockText>,
}

/// Surveys opened files.
pub(super) fn over(
    sources: &[Source],
    vocab: VocabKind,
    sizes: Sizes,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<Survey, CorpusError> {
    let size_bytes = sources.iter().fold(0u64, |sum, source| sum.saturating_add(source.size_bytes()));
    let (mut files, mut blocks, mut end) = (Vec::new(), Vec::new(), 0);
    for source in sources {
        let (start, mark) = text_start(source, vocab)?;
        let first = end;
        end += source.size_bytes().saturating_sub(start).div_ceil(sizes.block_bytes);
        blocks.push(Blocks { source, start, first, end });
        files.push(FileSurvey::new(source, mark));
    }
    if end == 0 {
        return Err(CorpusError::Empty { size_bytes });
    }
    // All bytes once, and about a tenth of them again: told as parts of what there is.
    let work = (size_bytes + size_bytes / 10).max(1);
    let told = |done: u64| {
        let part = u128::from(done) * u128::from(size_bytes) / u128::from(work);
        progress(u64::try_from(part).unwrap_or(size_bytes).min(size_bytes), size_bytes);
    };
    let pass = Pass { blocks: &blocks, vocab, sizes, told: &told, done: AtomicU64::new(0) };

    let mut all = Counts::new();
    let mut sum = Sum::new(&blocks, &mut files);
    pass.run(0..end, 0, true, &mut all, |found, counts| sum.take(found, counts))?;
    let (symbols, ends) = sum.finish();

    let vocab_len = match vocab {
        VocabKind::Bytes => 256,
        VocabKind::Chars => all.symbols().count() as u64,
    };
    let bigram = match pass.tail(symbols, &ends)? {
        Some(tail) => yardstick::bigram(&all, &tail, vocab_len),
        None => None,
    };
    progress(size_bytes, size_bytes);
    let yardsticks =
        Yardsticks { ln_v: libm::log(vocab_len as f64), unigram_nats: yardstick::unigram(&all, symbols), bigram };
    let mut counts: Vec<(u32, u64)> = all.symbols().collect();
    counts.sort_by_key(|&(symbol, count)| (std::cmp::Reverse(count), symbol));
    Ok(Survey { vocab, files, symbols, counts, vocab_len, yardsticks, notes: Vec::new() })
}

/// What all blocks are read with.
struct Pass<'a> {
    blocks: &'a [Blocks<'a>],
    vocab: VocabKind,
    sizes: Sizes,
    told: &'a (dyn Fn(u64) + Sync),
    done: AtomicU64,
}

impl Pass<'_> {
    /// Counts the blocks of a range into `total`, without the first `skip` symbols of its first block, and calls `take` for
    /// each in order. `whole`: looks at them as text, too. Errors: the first in order.
    fn run(
        &self,
        range: Range<u64>,
        skip: usize,
        whole: bool,
        total: &mut Counts,
        mut take: impl FnMut(Found, &mut Counts),
    ) -> Result<(), CorpusError> {
        let idle = Mutex::new(Vec::new());
        let Range { start, end } = range;
        let mut at = start;
        while at < end {
            let until = end.min(at + self.sizes.group);
            let (next, failed) = (AtomicU64::new(at), AtomicBool::new(false));
            let (found, shared) = (Mutex::new(Vec::new()), Mutex::new(&mut *total));
            let work = || {
                let mut counts = lock(&idle).pop().unwrap_or_else(Counts::new);
                let mut buffer = Vec::new();
                while !failed.load(Ordering::Relaxed) {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= until {
                        break;
                    }
                    let skip = if index == start { skip } else { 0 };
                    let result = self.block(index, skip, whole, &mut buffer, &mut counts);
                    failed.fetch_or(result.is_err(), Ordering::Relaxed);
                    lock(&found).push((index, result));
                    if counts.high_pairs() > self.sizes.worker_pairs {
                        lock(&shared).take_pairs(&mut counts, self.sizes.most_pairs);
                    }
                }
                lock(&idle).push(counts);
            };
            let workers = (rayon::current_num_threads() as u64).min(until - at);
            rayon::scope(|scope| (0..workers).for_each(|_| scope.spawn(|_| work())));
            let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
            found.sort_unstable_by_key(|&(index, _)| index);
            found.into_iter().try_for_each(|(_, found)| found.map(|found| take(found, total)))?;
            at = until;
        }
        let workers = idle.into_inner().unwrap_or_else(PoisonError::into_inner);
        workers.into_iter().for_each(|mut counts| total.take(&mut counts, self.sizes.most_pairs));
        Ok(())
    }
    fn block(
        &self,
        index: u64,
        skip: usize,
        whole: bool,
        buffer: &mut Vec<u8>,
        counts: &mut Counts,
    ) -> Result<Found, CorpusError> {
        // Of several files with the same first block all but the last are empty.
        let file = self.blocks.partition_point(|file| file.first <= index).saturating_sub(1);
        let Some(&Blocks { source, start, first, .. }) = self.blocks.get(file) else {
            return Ok(Found { index, at: 0, ends: None, text: None });
        };
        let at = start + (index - first) * self.sizes.block_bytes;
        let left = source.size_bytes().saturating_sub(at);
        let (len, block_len) = (left.min(self.sizes.block_bytes + AFTER as u64), left.min(self.sizes.block_bytes));
        buffer.resize(len as usize, 0);
        source.copy(at, buffer)?;
        let from = if index == first { 0 } else { block::moved(buffer) };
        let end = block_len as usize + block::moved(buffer.get(block_len as usize..).unwrap_or_default());
        let (bytes, own) = (buffer.get(from..).unwrap_or_default(), end - from);
        let mine = bytes.get(..own).unwrap_or_default();
        let ends = match self.vocab {
            VocabKind::Chars if !mine.is_ascii() => counts.add(lossy(mine).map(|(_, c)| u32::from(c)).skip(skip)),
            _ => counts.add(mine.iter().map(|&byte| u32::from(byte)).skip(skip)),
        };
        let text = whole.then(|| block::look(bytes, own, index == first));
        (self.told)(self.done.fetch_add(block_len, Ordering::Relaxed) + block_len);
        Ok(Found { index, at: at + from as u64, ends, text })
    }
    /// The pairs that end in the last tenth of `symbols`. `blocks`: symbols and last symbol of each block. None where there
    /// is nothing to count before it. Errors: reading; it is not what it was.
    fn tail(&self, symbols: u64, blocks: &[(u32, u32)]) -> Result<Option<Counts>, CorpusError> {
        let cut = yardstick::cut(symbols);
        if cut == 0 {
            return Ok(None);
        }
        // The block with the cut, and what comes before that block.
        let (mut before, mut last, mut block) = (0, None, 0);
        for &(count, its_last) in blocks {
            if before + u64::from(count) > cut {
                break;
            }
            before += u64::from(count);
            last = if count > 0 { Some(its_last) } else { last };
            block += 1;
        }
        // The first pair is that of the last symbol before the cut and the one behind it.
        let inside = (cut - before) as usize;
        let mut last = last.filter(|_| inside == 0);
        let (mut tail, mut pairs) = (Counts::new(), 0);
        self.run(block..blocks.len() as u64, inside.saturating_sub(1), false, &mut tail, |found, counts| {
            let Some(ends) = found.ends else { return };
            pairs += ends.symbols - 1 + u64::from(last.is_some());
            if let Some(last) = last {
                counts.add_pair(last, ends.first, 1);
            }
            last = Some(ends.last);
        })?;
        if pairs != symbols - cut {
            let path = self.blocks.last().map(|file| file.source.path().to_owned()).unwrap_or_default();
            return Err(CorpusError::Changed { path, what: "its end was rewritten".into() });
        }
        Ok(Some(tail))
    }
}

/// The sums over the blocks of all files, in order.
struct Sum<'a> {
    blocks: &'a [Blocks<'a>],
    files: &'a mut [FileSurvey],
    /// The file of the block at hand.
    file: usize,
    /// Characters of the line at hand, where it begins, and whether a CR came last.
    line: (u64, u64),
    after_cr: bool,
    last: Option<u32>,
    symbols: u64,
    /// Symbols and last symbol of each block.
    ends: Vec<(u32, u32)>,
}

impl<'a> Sum<'a> {
    fn new(blocks: &'a [Blocks<'a>], files: &'a mut [FileSurvey]) -> Self {
        let line = (0, blocks.first().map_or(0, |file| file.start));
        Self { blocks, files, file: 0, line, after_cr: false, last: None, symbols: 0, ends: Vec::new() }
    }
    fn take(&mut self, found: Found, counts: &mut Counts) {
        while self.blocks.get(self.file).is_some_and(|file| file.end <= found.index) {
            self.end_file();
        }
        self.ends.push(found.ends.map_or((0, 0), |ends| (ends.symbols as u32, ends.last)));
        if let Some(ends) = found.ends {
            if let Some(last) = self.last {
                counts.add_pair(last, ends.first, 1);
            }
            self.last = Some(ends.last);
            self.symbols += ends.symbols;
        }
        let (Some(file), Some(text)) = (self.files.get_mut(self.file), found.text) else { return };
        let offset = |at: usize| found.at + at as u64;
        file.characters += text.characters;
        file.nuls += text.nuls;
        file.faults += text.faults;
        let room = MOST_FAULTS - file.fault_offsets.len();
        file.fault_offsets.extend(text.fault_offsets.into_iter().take(room).map(offset));
        file.nfc &= text.nfc;
        let (lines, found) = (&mut file.lines, text.lines);
        lines.lf += found.lf;
        lines.cr += found.cr;
        lines.crlf += found.crlf + u64::from(self.after_cr && found.starts_with_lf);
        self.line.0 += found.head;
        if let Some((tail, at)) = found.tail {
            lines.met(self.line);
            lines.met((found.longest.0, offset(found.longest.1)));
            self.line = (tail, offset(at));
        }
        if text.characters > 0 {
            self.after_cr = found.ends_with_cr;
        }
    }
    fn end_file(&mut self) {
        if let Some(file) = self.files.get_mut(self.file) {
            let lines = &mut file.lines;
            lines.met(self.line);
            lines.lf -= lines.crlf;
            lines.cr -= lines.crlf;
        }
        self.file += 1;
        self.line = (0, self.blocks.get(self.file).map_or(0, |file| file.start));
        self.after_cr = false;
    }
    /// Symbols, and those of each block with its last.
    fn finish(mut self) -> (u64, Vec<(u32, u32)>) {
        while self.file < self.files.len() {
            self.end_file();
        }
        (self.symbols, self.ends)
    }
}

impl Lines {
    fn met(&mut self, (characters, at): (u64, u64)) {
        if characters > self.longest {
            (self.longest, self.longest_at) = (characters, at);
        }
    }
}

impl FileSurvey {
    fn new(source: &Source, byte_order_mark: Option<&'static str>) -> Self {
        Self {
            path: source.path().to_owned(),
            size_bytes: source.size_bytes(),
            byte_order_mark,
            characters: 0,
            nuls: 0,
            faults: 0,
            fault_offsets: Vec::new(),
            nfc: true,
            lines: Lines::default(),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
