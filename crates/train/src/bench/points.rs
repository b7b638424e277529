//! The standard grid: five sizes, three cells, and what the weights must be after three steps.
//!
//! The hashes hold for any number of threads on the tiers that share their bits (design section 2). They depend on
//! everything that a training run's bits depend on, and on the seeded text of `text.rs`. To make them anew, after a change
//! of bits that CHANGELOG.md tells: `cargo test -p gatemill-suite --test grid -- --include-ignored` fails with what it finds.

use super::Sizes;
use crate::config::CellKind;

/// V of the grid: that of tiny Shakespeare.
pub const VOCAB: usize = 65;

/// A size of the grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// `C1` to `C5`.
    pub name: &'static str,
    /// L
    pub layers: usize,
    /// H
    pub hidden: usize,
    /// T
    pub seq: usize,
    /// B
    pub batch: usize,
    /// `weights_sha256` after the warm-up: LSTM, GRU, RNN.
    sha256: [&'static str; 3],
}

impl Point {
    /// The cells, in the order of the hashes.
    pub const CELLS: [CellKind; 3] = [CellKind::Lstm, CellKind::Gru, CellKind::Rnn];

    /// The grid.
    pub const GRID: [Point; 5] = [
        Point {
            name: "C1",
            layers: 1,
            hidden: 128,
            seq: 50,
            batch: 50,
            sha256: [
                "30742f50d5db6fe5bc38652d1b8476b2ccdc842d303a6d7ecae9dde0aefb364b",
                "0603768de48ee80f53aab5b392e941fc801fefa52c5a8645bb7286e4858b5a4e",
                "eebfcd99568fa5a42191f2db458735474b7a06a978e9ad0072650bc141600161",
            ],
        },
        Point {
            name: "C2",
            layers: 2,
            hidden: 256,
            seq: 64,
            batch: 32,
            sha256: [
                "a0d9b08c3b7f1df5112f21fba10fe7cf900fbfb6d6f252835744be758f539a93",
                "e487b0128d19ffb162c7e22028b0fa6018b8effeb682467b006fc17d933f5aa1",
                "bc5440f20ebc60de1d56d8e0fae35b895dad80f3cda50aa491a2a0bf1d225896",
            ],
        },
        Point {
            name: "C3",
            layers: 2,
            hidden: 512,
            seq: 100,
            batch: 64,
            sha256: [
                "42eab081082db5e85bf3a0de8f743565435509219b9321bfb07ccf54c6c574cf",
                "df56c170503303c161a60c463fe17a6734774df4617dd0fa6914323f91e8aa4f",
                "485eb44ebca10fd9bd7d6f64c62c4a0fcf7b94c4ee5a853e60900cb24f272ca4",
            ],
        },
        Point {
            name: "C4",
            layers: 3,
            hidden: 512,
            seq: 100,
            batch: 100,
            sha256: [
                "43877827d23ef819287eb3858688a4ef8fbecac37b9d9f6375a8e7940effc37d",
                "56e2e44e790b83b4b1160f99923b9e57eee0b08ac1e62562c87de433635ec837",
                "d83d840f95ad5e918af3dd2d0b1de2757e34d8a6af8733e8bdce05708df4d2b1",
            ],
        },
        Point {
            name: "C5",
            layers: 1,
            hidden: 1024,
            seq: 128,
            batch: 64,
            sha256: [
                "7e8eb8aebd9a6f67be1e5080becae56130ca400a676f0bc60ed9b60193e5ab41",
                "f03e825f36f63571aaf669c90151ec8547d53ed33e0b5028984eade9e2f2db54",
                "a6456575dee0774b721966c2122adfd014ae354df8e8b0f84d0a3af8f109ded1",
            ],
        },
    ];

    /// Its sizes with a cell.
    pub fn sizes(&self, cell: CellKind) -> Sizes {
        let Self { layers, hidden, seq, batch, .. } = *self;
        Sizes { cell, layers, hidden, seq, batch, vocab: VOCAB }
    }
    /// The point that has these sizes.
    pub fn of(sizes: &Sizes) -> Option<&'static Point> {
        Self::GRID.iter().find(|point| point.sizes(sizes.cell) == *sizes)
    }
    /// The hash that is committed for these sizes.
    pub fn committed(sizes: &Sizes) -> Option<&'static str> {
        let cell = Self::CELLS.iter().position(|&cell| cell == sizes.cell)?;
        Some(Self::of(sizes)?.sha256[cell])
    }
}
