//! Plain f64 loops: the arbiter of every kernel and cell. No dependencies.
