//! How often each symbol occurs, and each pair of neighbours.
//!
//! Pairs of symbols below 256 have a table, which is all that bytes and ASCII need; the others a hash map, which holds
//! only what occurs. Each worker counts for itself; when its map is long, and at the end, it is added to the total.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Symbols of a page.
const PAGE: usize = 256;
/// Unicode scalars end here.
const SCALARS: usize = 0x11_0000;

/// A pair as one number.
fn pair(a: u32, b: u32) -> u64 {
    u64::from(a) << 32 | u64::from(b)
}

/// The symbols of a pair.
pub(super) fn both(pair: u64) -> (u32, u32) {
    ((pair >> 32) as u32, pair as u32)
}

/// The characters of some bytes, each with its bytes; what is not UTF-8 is U+FFFD.
pub(super) fn lossy(bytes: &[u8]) -> impl Iterator<Item = (usize, char)> {
    bytes.utf8_chunks().flat_map(|chunk| {
        let wrong = Some((chunk.invalid().len(), char::REPLACEMENT_CHARACTER)).filter(|&(len, _)| len > 0);
        chunk.valid().chars().map(|c| (c.len_utf8(), c)).chain(wrong)
    })
}

/// The first and last symbol of a block, and how many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ends {
    pub(super) first: u32,
    pub(super) last: u32,
    pub(super) symbols: u64,
}

/// Counts of symbols and pairs.
#[derive(Debug)]
pub(super) struct Counts {
    /// `[SCALARS / PAGE]`, by symbol; pages that nothing is on are not there.
    symbols: Vec<Option<Box<[u64; PAGE]>>>,
    /// `[PAGE, PAGE]`: pairs of symbols below PAGE.
    low: Vec<u64>,
    /// All other pairs.
    high: HashMap<u64, u64, BuildHasherDefault<PairHasher>>,
    /// There were more than could be kept: `high` is empty.
    overflown: bool,
}

impl Counts {
    pub(super) fn new() -> Self {
        let symbols = (0..SCALARS / PAGE).map(|_| None).collect();
        Self { symbols, low: vec![0; PAGE * PAGE], high: HashMap::default(), overflown: false }
    }
    /// Counts a row of symbols and the pairs in it. None where there is no symbol.
    pub(super) fn add(&mut self, mut symbols: impl Iterator<Item = u32>) -> Option<Ends> {
        let first = symbols.next()?;
        self.add_symbols(first, 1);
        let (mut last, mut count) = (first, 1);
        symbols.for_each(|symbol| {
            self.add_symbols(symbol, 1);
            self.add_pair(last, symbol, 1);
            last = symbol;
            count += 1;
        });
        Some(Ends { first, last, symbols: count })
    }
    #[inline]
    fn add_symbols(&mut self, symbol: u32, count: u64) {
        let Some(page) = self.symbols.get_mut(symbol as usize / PAGE) else { return };
        let page = page.get_or_insert_with(|| Box::new([0; PAGE]));
        if let Some(sum) = page.get_mut(symbol as usize % PAGE) {
            *sum += count;
        }
    }
    #[inline]
    pub(super) fn add_pair(&mut self, a: u32, b: u32, count: u64) {
        if (a | b) < PAGE as u32 {
            if let Some(sum) = self.low.get_mut(a as usize * PAGE + b as usize) {
                *sum += count;
            }
        } else if !self.overflown {
            *self.high.entry(pair(a, b)).or_default() += count;
        }
    }
    /// Pairs in the map.
    pub(super) fn high_pairs(&self) -> usize {
        self.high.len()
    }
    /// Adds the map of others and empties it; keeps at most `most` pairs, or else none.
    pub(super) fn take_pairs(&mut self, others: &mut Self, most: usize) {
        self.overflown |= others.overflown;
        for (pair, count) in others.high.drain() {
            if !self.overflown {
                *self.high.entry(pair).or_default() += count;
                self.overflown = self.high.len() > most;
            }
        }
        if self.overflown {
            self.high = HashMap::default();
        }
    }
    /// Adds all that others have.
    pub(super) fn take(&mut self, others: &mut Self, most: usize) {
        self.take_pairs(others, most);
        for (symbol, count) in others.symbols() {
            self.add_symbols(symbol, count);
        }
        self.low.iter_mut().zip(&others.low).for_each(|(sum, count)| *sum += count);
    }
    /// Each symbol that occurs, ascending, with its count.
    pub(super) fn symbols(&self) -> impl Iterator<Item = (u32, u64)> + '_ {
        let pages = (0u32..).step_by(PAGE).zip(&self.symbols);
        let pages = pages.filter_map(|(base, page)| Some((base, page.as_deref()?)));
        pages.flat_map(|(base, page)| (base..).zip(page.iter().copied())).filter(|&(_, count)| count > 0)
    }
    /// How often a symbol occurs.
    pub(super) fn of(&self, symbol: u32) -> u64 {
        let page = self.symbols.get(symbol as usize / PAGE).and_then(Option::as_deref);
        page.and_then(|page| page.get(symbol as usize % PAGE)).copied().unwrap_or(0)
    }
    /// How often a pair occurs.
    pub(super) fn of_pair(&self, a: u32, b: u32) -> u64 {
        if (a | b) < PAGE as u32 {
            return self.low.get(a as usize * PAGE + b as usize).copied().unwrap_or(0);
        }
        self.high.get(&pair(a, b)).copied().unwrap_or(0)
    }
    /// Each pair that occurs, in no order, with its count. None where there were more than could be kept.
    pub(super) fn pairs(&self) -> Option<impl Iterator<Item = (u64, u64)> + '_> {
        let low = (0u32..).zip(&self.low).filter(|&(_, &count)| count > 0);
        let low = low.map(|(index, &count)| (pair(index / PAGE as u32, index % PAGE as u32), count));
        (!self.overflown).then(|| low.chain(self.high.iter().map(|(&pair, &count)| (pair, count))))
    }
}

/// A multiplication whose halves are folded: pairs are numbers, and no stranger chooses where they lie.
#[derive(Debug, Default)]
pub(super) struct PairHasher(u64);

impl Hasher for PairHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u64(u64::from(byte)));
    }
    fn write_u64(&mut self, word: u64) {
        let product = u128::from(self.0 ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
        self.0 = (product >> 64) as u64 ^ product as u64;
    }
}
