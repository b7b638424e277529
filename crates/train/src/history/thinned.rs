//! A list that never grows beyond a bound: when it is full every second entry goes, and from then on fewer come in.
//!
//! Entry i is kept where i is a multiple of a stride that doubles; the newest is always there.

/// An even choice of what was pushed, in order.
#[derive(Debug, Clone)]
pub(super) struct Thinned<T> {
    most: usize,
    stride: usize,
    /// Pushed before `newest`.
    before: usize,
    kept: Vec<T>,
    newest: Option<T>,
}

impl<T> Thinned<T> {
    /// An empty list of at most `most` entries, at least two.
    pub(super) fn new(most: usize) -> Self {
        Self { most: most.max(2), stride: 1, before: 0, kept: Vec::new(), newest: None }
    }

    pub(super) fn push(&mut self, entry: T) {
        if let Some(older) = self.newest.replace(entry) {
            if self.before.is_multiple_of(self.stride) {
                self.kept.push(older);
            }
            self.before += 1;
        }
        if self.kept.len() >= self.most {
            let mut position = 0_usize;
            self.kept.retain(|_| {
                position += 1;
                !position.is_multiple_of(2)
            });
            self.stride *= 2;
        }
    }

    /// What was pushed last.
    pub(super) fn newest_mut(&mut self) -> Option<&mut T> {
        self.newest.as_mut()
    }

    pub(super) fn into_vec(mut self) -> Vec<T> {
        self.kept.extend(self.newest);
        self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::Thinned;

    #[test]
    fn first_and_last_stay_and_the_gaps_are_even() {
        for count in 0..200_usize {
            let mut list = Thinned::new(8);
            (0..count).for_each(|i| list.push(i));
            let kept = list.into_vec();
            assert!(kept.len() <= 8 && kept.len() >= count.min(5), "{count}: {kept:?}");
            assert_eq!((kept.first().copied(), kept.last().copied()), ((count > 0).then_some(0), count.checked_sub(1)));
            let gaps: Vec<usize> = kept.windows(2).map(|pair| pair[1] - pair[0]).collect();
            let inner = &gaps[..gaps.len().saturating_sub(1)];
            assert!(inner.windows(2).all(|pair| pair[0] == pair[1]), "{count}: {kept:?}");
        }
    }
}
