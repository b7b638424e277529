//! Tiles: a flat output cut at listed borders, each piece a plain `&mut` slice with one owner.

use crate::Crew;

fn cut<T: Send>(out: &mut [T], borders: &[usize], first: usize, f: &(impl Fn(usize, &mut [T]) + Sync)) {
    match borders.len() {
        0 | 1 => {}
        2 => f(first, out),
        n => {
            let half = n / 2;
            let (a, b) = out.split_at_mut(borders[half] - borders[0]);
            rayon::join(|| cut(a, &borders[..=half], first, f), || cut(b, &borders[half..], first + half, f));
        }
    }
}

fn halve<const N: usize>(
    slices: [&mut [f32]; N],
    block: usize,
    first: usize,
    leaf: usize,
    f: &(impl Fn(usize, [&mut [f32]; N]) + Sync),
) {
    let len = slices[0].len();
    if len <= leaf {
        return f(first, slices);
    }
    let mid = (len / 2).next_multiple_of(block);
    if mid >= len {
        return f(first, slices);
    }
    let mut low: [&mut [f32]; N] = std::array::from_fn(|_| &mut [][..]);
    let mut high: [&mut [f32]; N] = std::array::from_fn(|_| &mut [][..]);
    for ((slice, low), high) in slices.into_iter().zip(&mut low).zip(&mut high) {
        (*low, *high) = slice.split_at_mut(mid);
    }
    rayon::join(|| halve(low, block, first, leaf, f), || halve(high, block, first + mid, leaf, f));
}

impl Crew {
    /// Calls `f(i, out[borders[i]..borders[i + 1]])` for every i, on all workers. `borders` ascends from 0 to the length.
    ///
    /// Panics where the borders do not fit `out`.
    pub fn tiles<T: Send>(&self, out: &mut [T], borders: &[usize], f: impl Fn(usize, &mut [T]) + Sync) {
        assert!(borders.first() == Some(&0) && borders.last() == Some(&out.len()), "tiles: borders do not fit");
        self.install(|| cut(out, borders, 0, &f));
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
        assert!(slices.iter().all(|s| s.len() == slices[0].len()), "pieces: lengths differ");
        self.install(|| halve(slices, block, 0, leaf.max(block), &f));
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
