//! Complete layers by the engine: variants, directions, lanes of different lengths, residuals, dropout between layers.
//!
//! `gradients` holds every output and gradient to the oracle; `bits` the promise of equal bits over threads, splits,
//! tiers, batches and neighbours. Sizes differ pairwise.

mod cases;

mod gradients;

mod bits;
