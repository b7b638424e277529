//! Every suite, from a bare machine.
fn main() {}
