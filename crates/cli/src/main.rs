//! The gatemill command.
fn main() {}
