//! XOR and a bit more: two numbers from 0 to 1, and whether both lie on the same side of a half; or near the middle.
//!
//! No point lies on a border: there is a strip around each that is left out, so the classes can be told apart in full.
//! Coordinates are thousandths, so that they are written and read without loss.

use crate::examples::{Examples, Form, Names, Pair, Side};
use crate::random::{Draws, Purpose};

/// The unit of length is a thousandth.
const UNIT: u32 = 1000;
/// Nearer to the middle than this is in the middle;
const MIDDLE: u32 = 200;
/// half the width of the strips that are left out.
const STRIP: u32 = 25;
const CLASSES: [&str; 3] = ["same", "different", "middle"];

/// The class of a point; none on a border.
fn class(x: u32, y: u32) -> Option<usize> {
    let (dx, dy) = (x.abs_diff(UNIT / 2), y.abs_diff(UNIT / 2));
    let square = dx * dx + dy * dy;
    if square <= (MIDDLE - STRIP) * (MIDDLE - STRIP) {
        return Some(2);
    }
    let clear = square >= (MIDDLE + STRIP) * (MIDDLE + STRIP) && dx >= STRIP && dy >= STRIP;
    clear.then(|| usize::from((x < UNIT / 2) != (y < UNIT / 2)))
}

pub(super) fn examples(count: u32, seed: u64) -> Examples {
    let mut names = Names::new();
    let numbers = CLASSES.map(|name| names.number(name));
    let pair = |k| {
        let mut draws = Draws::new(seed, Purpose::Example, k);
        loop {
            let (x, y) = (draws.below(UNIT + 1), draws.below(UNIT + 1));
            if let Some(class) = class(x, y) {
                let number = |n: u32| (f64::from(n) / f64::from(UNIT)) as f32;
                let input = Side::Numbers(vec![number(x), number(y)]);
                return Pair { input, output: Side::Names(vec![numbers[class]]) };
            }
        }
    };
    let pairs = (0..u64::from(count)).map(pair).collect();
    Examples { form: Form::NumbersToClass, pairs, names }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corners_are_xor_and_the_middle_is_its_own() {
        assert_eq!(
            [class(0, 0), class(0, 1000), class(1000, 0), class(1000, 1000)],
            [Some(0), Some(1), Some(1), Some(0)]
        );
        assert_eq!(
            [class(500, 500), class(600, 600), class(500, 100), class(640, 640)],
            [Some(2), Some(2), None, None]
        );
    }

    #[test]
    fn every_class_comes_often() {
        let made = examples(3000, 1);
        for number in 0..3 {
            let count = made.pairs.iter().filter(|pair| pair.output == Side::Names(vec![number])).count();
            assert!(count > 300, "{} {count}", made.names.name(number));
        }
    }
}
