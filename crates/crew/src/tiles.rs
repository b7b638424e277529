//! Tiles: a flat output cut at listed borders, each piece a plain `&mut` slice with one owner. Who is free takes the next.

use crate::Crew;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The begin of a slice that is cut up among workers.
struct Begin<T>(*mut T);

// SAFETY: what is reached through it is handed to one worker a piece, and is `Send`.
unsafe impl<T: Send> Sync for Begin<T> {}

impl<T> Begin<T> {
    /// # Safety
    /// - the range is inside the slice, and no other piece that lives overlaps it.
    unsafe fn piece<'a>(&self, range: std::ops::Range<usize>) -> &'a mut [T] {
        // SAFETY: the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.0.add(range.start), range.len()) }
    }
}

impl Crew {
    /// Calls `f(i)` for every i below `count`, once, on all workers.
    fn each(&self, count: usize, f: impl Fn(usize) + Sync) {
        if count <= 1 {
            return (0..count).for_each(f);
        }
        let next = AtomicUsize::new(0);
        self.fork(&|_| {
            loop {
                match next.fetch_add(1, Ordering::Relaxed) {
                    i if i < count => f(i),
                    _ => return,
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
