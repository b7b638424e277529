//! Which places of a text are looked at: P windows of K symbols, evenly spread, each behind W symbols that give it a state.
//!
//! ```text
//! text      ....[ W symbols from zeros ][ K symbols ]y....     the loss is that of y; the state before the window is d = K
//! window p begins at W + p (n - 1 - K - W) / (P - 1)
//! ```
//!
//! A short text has fewer and shorter ones: first W shrinks, then K.

use super::FlowOptions;

/// Windows of one length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Windows {
    /// Where each begins, ascending.
    pub(super) starts: Vec<usize>,
    /// K.
    pub(super) steps: usize,
    /// W.
    pub(super) warmup: usize,
}

impl Windows {
    /// None: the text has no place at all.
    pub(super) fn of(text: &[u32], vocab: usize, options: &FlowOptions) -> Option<Self> {
        let last = text.len().checked_sub(1)?;
        // A distance of 1 takes two symbols and the one that is predicted.
        let steps = options.distance.min(last);
        let warmup = options.warmup.min(last.saturating_sub(steps));
        if steps < 2 {
            return None;
        }
        let room = last - steps - warmup;
        let count = options.positions.clamp(1, room + 1);
        let starts = (0..count).map(|p| {
            warmup + if count > 1 { (p as u128 * room as u128 / (count - 1) as u128) as usize } else { room / 2 }
        });
        // A symbol that the model does not know has no loss.
        let starts: Vec<usize> = starts.filter(|start| (text[start + steps] as usize) < vocab).collect();
        (!starts.is_empty()).then_some(Self { starts, steps, warmup })
    }
    /// The starts in groups of one size, the last filled up with its own last; with each group how many of it count.
    pub(super) fn groups(&self, lanes: usize) -> impl Iterator<Item = (Vec<usize>, usize)> {
        self.starts.chunks(lanes).map(move |group| {
            let mut starts = group.to_vec();
            starts.resize(lanes, group.last().copied().unwrap_or(self.warmup));
            (starts, group.len())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_stay_inside_the_text_and_shrink_with_it() {
        for n in 0..60 {
            let text = vec![0; n];
            for (positions, distance, warmup) in [(1, 5, 7), (4, 5, 0), (100, 9, 9), (3, 50, 50)] {
                let options = FlowOptions { positions, distance, warmup };
                let Some(w) = Windows::of(&text, 1, &options) else {
                    assert!(n < 3, "{n} symbols");
                    continue;
                };
                assert!(w.steps <= distance && w.warmup <= warmup && w.starts.len() <= positions);
                assert!(w.steps == distance || w.warmup == 0, "the way in shrinks first");
                assert!(w.starts.is_sorted_by(|a, b| a < b), "no place twice");
                let inside = |&start: &usize| start >= w.warmup && start + w.steps < n;
                assert!(w.starts.iter().all(inside), "{w:?} of {n}");
            }
        }
    }

    #[test]
    fn places_whose_symbol_is_unknown_are_left_out() {
        let text: Vec<u32> = (0..40).map(|i| u32::from(i % 2 == 0) * 9).collect();
        let w = Windows::of(&text, 5, &FlowOptions { positions: 40, distance: 3, warmup: 2 }).unwrap();
        assert!(w.starts.iter().all(|start| text[start + 3] == 0) && w.starts.len() > 10);
        assert_eq!(Windows::of(&[9; 40], 5, &FlowOptions::default()), None);
    }

    #[test]
    fn groups_have_one_size() {
        let w = Windows { starts: vec![3, 5, 8, 9, 11], steps: 4, warmup: 1 };
        let groups: Vec<_> = w.groups(2).collect();
        assert_eq!(groups, [(vec![3, 5], 2), (vec![8, 9], 2), (vec![11, 11], 1)]);
    }
}
