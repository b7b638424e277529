//! Criterion benches, each verified by the oracle.
