//! Examples as lanes: packed by falling length, without padding; and which examples make a step.
//!
//! Lane b of a packed batch is the b-th longest sequence, of equal ones the one that comes first among the examples; its
//! tokens lie step by step beside those of the other lanes that reach the step (`gatemill_kernels::Tokens`).
//! The order of an epoch is a permutation by counter: example i has a random number that is a function of (seed, epoch, i),
//! and they come by falling number. So it has no state: a run that is resumed goes on with the same examples.

use gatemill_kernels::{Batch, Purpose, uniform};

/// How sequences lie as lanes.
#[derive(Debug, Default)]
pub(crate) struct Packed {
    /// Which sequence each lane is.
    pub(crate) order: Vec<usize>,
    /// `[T]`: lanes that reach step t.
    pub(crate) sizes: Vec<usize>,
    /// Step and lane of each token.
    pub(crate) tokens: Vec<(usize, usize)>,
    /// Steps of each lane.
    pub(crate) lengths: Vec<usize>,
}

impl Packed {
    /// Sequences of these lengths, none of them 0, in the place of what was.
    pub(crate) fn place(&mut self, lengths: &[usize]) {
        self.order.clear();
        self.order.extend(0..lengths.len());
        self.order.sort_by_key(|&i| std::cmp::Reverse(lengths[i]));
        self.lengths.clear();
        self.lengths.extend(self.order.iter().map(|&i| lengths[i]));
        self.sizes.clear();
        self.tokens.clear();
        let mut alive = lengths.len();
        for t in 0..self.lengths.first().copied().unwrap_or(0) {
            while alive > 0 && self.lengths[alive - 1] <= t {
                alive -= 1;
            }
            self.sizes.push(alive);
            self.tokens.extend((0..alive).map(|lane| (t, lane)));
        }
    }
    /// Its form.
    pub(crate) fn batch(&self) -> Batch<'_> {
        Batch::Packed { batch_sizes: &self.sizes }
    }
    /// Something of each token, by sequence and step.
    pub(crate) fn fill<T>(&self, out: &mut Vec<T>, of: impl Fn(usize, usize) -> T) {
        out.clear();
        out.extend(self.tokens.iter().map(|&(t, lane)| of(self.order[lane], t)));
    }
    /// The lane of each sequence.
    pub(crate) fn lanes(&self, out: &mut Vec<usize>) {
        out.clear();
        out.resize(self.order.len(), 0);
        for (lane, &i) in self.order.iter().enumerate() {
            out[i] = lane;
        }
    }
}

/// The numbers `0..n` in the order of epoch `epoch`, from 0.
pub(crate) fn shuffled(seed: u64, epoch: u64, n: usize) -> Vec<u32> {
    let stream = epoch as u32;
    let mut all: Vec<(f64, u32)> =
        (0..n as u32).map(|i| (uniform(seed, Purpose::Shuffle, stream, u64::from(i)), i)).collect();
    all.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    all.into_iter().map(|(_, i)| i).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_come_by_falling_length_and_each_token_once() {
        let mut packed = Packed::default();
        for lengths in [&[3, 1, 5, 3, 2][..], &[1], &[2, 2, 2]] {
            packed.place(lengths);
            assert!(packed.lengths.is_sorted_by(|a, b| a >= b));
            assert_eq!(packed.tokens.len(), lengths.iter().sum::<usize>());
            assert_eq!(packed.batch().tokens(), Ok(packed.tokens.len()));
            let mut seen = Vec::new();
            packed.fill(&mut seen, |i, t| (i, t));
            seen.sort_unstable();
            let want: Vec<_> = lengths.iter().enumerate().flat_map(|(i, &n)| (0..n).map(move |t| (i, t))).collect();
            assert_eq!(seen, want);
            let mut lanes = Vec::new();
            packed.lanes(&mut lanes);
            assert!(lanes.iter().enumerate().all(|(i, &lane)| packed.order[lane] == i));
        }
        packed.place(&[3, 1, 5, 3, 2]);
        assert_eq!(packed.order, [2, 0, 3, 4, 1], "of equal lengths the first comes first");
    }

    #[test]
    fn an_epochs_order_is_a_permutation_of_its_own() {
        let (a, b) = (shuffled(1, 0, 100), shuffled(1, 1, 100));
        assert!(a != b && a != shuffled(2, 0, 100) && a == shuffled(1, 0, 100));
        for order in [a, b] {
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert!(sorted == (0..100).collect::<Vec<_>>() && !order.is_sorted());
        }
        // The first of ten is any of them, about as often.
        let mut first = [0; 10];
        (0..2000).for_each(|epoch| first[shuffled(7, epoch, 10)[0] as usize] += 1);
        assert!(first.iter().all(|n| (140..260).contains(n)), "{first:?}");
    }
}
