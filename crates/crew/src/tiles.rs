//! Tiles: a flat output cut into pieces, each a plain `&mut` slice with one owner.
//!
//! With W workers, worker w takes tiles w, w + W, w + 2W, ... as it did in the step before, so that what it wrote then and
//! writes now is in its own cache; who is done with its own helps the next. No bit depends on who takes which.

use crate::Crew;
use crate::wait::Line;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Which stretches of a flat buffer belong to each of some tiles: N apiece, any of them empty.
#[derive(Debug)]
pub struct Stretches<const N: usize> {
    of: Vec<[Range<usize>; N]>,
    len: usize,
}

impl<const N: usize> Stretches<N> {
    /// The stretches of each tile. Panics where two overlap or one is missing: together they are `0..len`.
    pub fn new(of: Vec<[Range<usize>; N]>, len: usize) -> Self {
        let mut all: Vec<Range<usize>> = of.iter().flatten().filter(|r| !r.is_empty()).cloned().collect();
        all.sort_by_key(|r| r.start);
        let end = all.iter().fold(0, |end, r| {
            assert_eq!(r.start, end, "stretches: {r:?} begins elsewhere than where the one before it ends");
            r.end
        });
        assert_eq!(end, len, "stretches: they end before or beyond the buffer");
        Self { of, len }
    }
}

/// The begin of a slice that is cut up among workers.
struct Begin<T>(*mut T);

// SAFETY: what is reached through it is handed to one worker a piece, and is `Send`.
unsafe impl<T: Send> Sync for Begin<T> {}

impl<T> Begin<T> {
    /// # Safety
    /// - the range is inside the slice, and no other piece that lives overlaps it.
    unsafe fn piece<'a>(&self, range: Range<usize>) -> &'a mut [T] {
        // SAFETY: the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.0.add(range.start), range.len()) }
    }
}

/// Most workers that have tiles of their own; further ones share them.
const ROWS: usize = 32;

impl Crew {
    /// Calls `f(i)` for every i below `count`, once, on all workers.
    fn each(&self, count: usize, f: impl Fn(usize) + Sync) {
        if count <= 1 {
            return (0..count).for_each(f);
        }
        let rows = self.threads().min(ROWS);
        let taken: [_; ROWS] = std::array::from_fn(|_| Line(AtomicUsize::new(0)));
        self.fork(&|worker| {
            for row in (0..rows).map(|k| (worker + k) % rows) {
                loop {
                    match row + rows * taken[row].0.fetch_add(1, Ordering::Relaxed) {
                        i if i < count => f(i),
                        _ => break,
                    }
                }
            }
        });
    }

    /// Calls `f(i, out[borders[i]..borders[i + 1]])` for every i, on all workers. `borders` ascends from 0 to the length.
    ///
    /// Panics where the borders do not fit `out`.
    pub fn tiles<T: Send>(&self, out: &mut [T], borders: &[usize], f: impl Fn(usize, &mut [T]) + Sync) {
        let fits = borders.first() == Some(&0) && borders.last() == Some(&out.len()) && borders.is_sorted();
        assert!(fits, "tiles: borders do not fit");
        let begin = Begin(out.as_mut_ptr());
        // SAFETY: borders ascend inside `out`, so pieces do not overlap; each number is given out once.
        self.each(borders.len() - 1, |i| f(i, unsafe { begin.piece(borders[i]..borders[i + 1]) }));
    }

    /// Calls `f(i, stretches of tile i)` for every tile, on all workers. Panics where the stretches are not those of `out`.
    pub fn stretches<T: Send, const N: usize>(
        &self,
        out: &mut [T],
        stretches: &Stretches<N>,
        f: impl Fn(usize, [&mut [T]; N]) + Sync,
    ) {
        assert_eq!(out.len(), stretches.len, "stretches: of another buffer");
        let begin = Begin(out.as_mut_ptr());
        self.each(stretches.of.len(), |i| {
            // SAFETY: no two stretches overlap and none leaves `out`, as `Stretches::new` has checked; each number is given
            // out once.
            f(i, std::array::from_fn(|n| unsafe { begin.piece(stretches.of[i][n].clone()) }));
        });
    }

    /// Cuts equally long slices alike, at multiples of `block`, into pieces of about `leaf`, and calls
    /// `f(first element, pieces)`, on all workers. For work whose result does not depend on the cut.
    ///
    /// Panics where the lengths differ.
    pub fn pieces<const N: usize>(
        &self,
        slices: [&mut [f32]; N],
        block: usize,
        leaf: usize,
        f: impl Fn(usize, [&mut [f32]; N]) + Sync,
    ) {
        let len = slices.first().map_or(0, |s| s.len());
        assert!(slices.iter().all(|s| s.len() == len), "pieces: lengths differ");
        let leaf = leaf.max(block).next_multiple_of(block);
        let begins = slices.map(|s| Begin(s.as_mut_ptr()));
        self.each(len.div_ceil(leaf), |i| {
            let range = i * leaf..len.min((i + 1) * leaf);
            // SAFETY: pieces of one slice follow one another inside it; each number is given out once.
            f(range.start, std::array::from_fn(|n| unsafe { begins[n].piece(range.clone()) }));
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tile_has_its_stretches() {
        let crew = Crew::new(3).unwrap();
        let of = vec![[4..6, 0..1], [1..4, 9..9], [9..9, 6..9]];
        let stretches = Stretches::new(of.clone(), 9);
        let mut out = vec![0; 9];
        crew.stretches(&mut out, &stretches, |i, parts| {
            for (part, (slice, range)) in parts.into_iter().zip(&of[i]).enumerate() {
                assert_eq!(slice.len(), range.len());
                slice.fill(10 * (i + 1) + part);
            }
        });
        assert_eq!(out, [11, 20, 20, 20, 10, 10, 31, 31, 31]);
    }

    #[test]
    fn stretches_that_overlap_or_leave_something_out_panic() {
        let cases: [&[Range<usize>]; 5] = [&[0..4, 3..6], &[0..2, 3..6], &[1..6, 0..0], &[0..5, 5..5], &[0..6, 6..7]];
        for case in cases {
            let made = std::panic::catch_unwind(|| Stretches::new(case.iter().map(|r| [r.clone()]).collect(), 6));
            assert!(made.is_err(), "{case:?}");
        }
    }

    #[test]
    fn every_tile_is_visited_once_with_its_own_slice() {
        let crew = Crew::new(3).unwrap();
        let borders = [0, 1, 5, 5, 9, 20];
        let mut out = vec![0usize; 20];
        crew.tiles(&mut out, &borders, |i, slice| {
            assert_eq!(slice.len(), borders[i + 1] - borders[i]);
            slice.fill(i + 1);
        });
        for i in 0..5 {
            assert!(out[borders[i]..borders[i + 1]].iter().all(|&x| x == i + 1));
        }
    }

    #[test]
    fn pieces_cover_everything_once() {
        let crew = Crew::new(2).unwrap();
        for len in [0, 16, 48, 1008] {
            let (mut a, mut b) = (vec![0.0; len], vec![0.0; len]);
            crew.pieces([&mut a, &mut b], 16, 64, |first, [a, b]| {
                for (i, (a, b)) in a.iter_mut().zip(b).enumerate() {
                    *a += (first + i) as f32;
                    *b += 1.0;
                }
            });
            assert!(a.iter().enumerate().all(|(i, &x)| x == i as f32) && b.iter().all(|&x| x == 1.0));
        }
    }
}
