//! Any bytes, read as a model or checkpoint file.
//!
//! Invariants checked:
//! 1. reading never panics and never allocates more than the file's length justifies (`-malloc_limit_mb`);
//! 2. a file that is read can be written again, and written, read, written it gives the same bytes; only names that no
//!    writer would write and a header at its size limit may be refused;
//! 3. one flipped bit anywhere in a file with checksums is an error.
#![no_main]

use gatemill_train::checkpoint::FormError;
use gatemill_train::checkpoint::form::{decode, encode};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(read) = decode(bytes) else { return };
    let written = match encode(&read.snapshot) {
        Ok(written) => written,
        Err(FormError::Name { .. } | FormError::HeaderTooLarge { .. }) => return,
        Err(error) => panic!("read, but refused by the writer: {error}"),
    };
    let again = decode(&written).unwrap_or_else(|error| panic!("written, but refused by the reader: {error}"));
    assert_eq!(again.odd_values, read.odd_values);
    // Bytes, not values: NaN is to keep its payload.
    assert!(encode(&again.snapshot).is_ok_and(|twice| twice == written), "written twice, different bytes");

    if read.snapshot.meta.is_some() {
        // A position that the input decides, so that a find repeats.
        let sum = bytes.iter().fold(0_usize, |sum, &byte| sum.wrapping_mul(31).wrapping_add(usize::from(byte)));
        let (at, bit) = ((sum / 8) % written.len(), sum % 8);
        let mut flipped = written;
        flipped[at] ^= 1 << bit;
        assert!(decode(&flipped).is_err(), "bit {bit} of byte {at} flipped, and read all the same");
    }
});
