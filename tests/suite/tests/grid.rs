//! The committed hashes of `gatemill bench`'s grid hold on every tier that shares its bits, for any number of threads.

use gatemill_suite::{fma_tiers, tiers};
use gatemill_train::bench::{Point, weights_after_warm_up};
use std::sync::Arc;

/// Compares points of the grid on some numbers of threads. Panics with the hashes that were found.
fn hold(points: &[Point], threads: &[usize]) {
    if fma_tiers().is_empty() {
        println!("{:?}: no tier that the hashes bind", tiers());
    }
    for kernels in fma_tiers() {
        for &threads in threads {
            let crew = Arc::new(gatemill_suite::crew(threads));
            let hash = |point: &Point, cell| {
                let sizes = point.sizes(cell);
                let found = weights_after_warm_up(&sizes, &crew, kernels).unwrap_or_else(|e| panic!("{sizes}: {e}"));
                (found, Point::committed(&sizes).unwrap_or_default().to_owned())
            };
            let (found, committed): (Vec<_>, Vec<_>) =
                points.iter().flat_map(|point| Point::CELLS.map(|cell| hash(point, cell))).unzip();
            assert_eq!(found, committed, "{kernels:?}, {threads} threads: {found:#?}");
        }
    }
}

#[test]
fn the_smallest_point_of_the_grid_has_its_hashes() {
    hold(&Point::GRID[..1], &[1, 2, 3]);
}

#[test]
#[ignore = "long form: cargo xtask torture"]
fn every_point_of_the_grid_has_its_hashes() {
    hold(&Point::GRID, &[1, 2]);
}
