//! Bytes on disk to lanes of token ids.
//!
//! ```text
//! FILE, DIR, - --expand--> files --unpack--> text
//! file --source, map--> bytes --scan--> vocabulary, counts --tokens, cache--> ids --split--> stream --lanes--> [T, B] --fetch--> chunk
//! file --examples--> inputs and outputs --divide--> training, validation, test
//! ```
//!
//! Files are mapped and copied out, never lent: another process may write or cut one at any time, and then there is an
//! error that says so, not undefined behaviour and not a bus error (`map.rs`, the only file with `unsafe`). All numbers of
//! symbols and bytes are u64. What a lane reads depends on the corpus and B alone: not on how a file is read, on
//! threads, or on whether a token cache was there.
//!
//! ```
//! use gatemill_corpus::{Corpus, Fetcher, Lanes, OpenOptions, Split};
//!
//! let text = b"in the beginning was the word".repeat(10);
//! let corpus = Corpus::from_bytes("word", text, &OpenOptions::default())?;
//! let (batch, seq) = (4, 8);
//! let mut fetcher = Fetcher::new(Lanes::new(&corpus, Split::Train, batch, seq)?, seq, 0);
//! let chunk = fetcher.next()?;
//! // Lane 0 begins with the text; time step 1 lies B ids behind time step 0.
//! assert_eq!(corpus.vocab().decode(&[chunk.inputs[0], chunk.inputs[batch]]), b"in");
//! # Ok::<(), gatemill_corpus::CorpusError>(())
//! ```
#![deny(
    unsafe_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::print_stdout
)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::print_stdout,
        reason = "tests fail by panicking"
    )
)]

mod error;

// Files.
mod expand;

mod list;

mod draft;

mod prepared;

mod unpack;

mod lossy;

// Bytes.
mod pool;

#[allow(unsafe_code, reason = "the one file that maps and copies out of maps")]
mod map;

mod source;

// Tokens.
mod vocab;

mod decomposed;

#[allow(clippy::arithmetic_side_effects, reason = "offsets and counts stay below a file's size, a u64 fixed at open")]
mod scan;

mod tokens;

mod cache;

// Lanes.
mod split;

mod fingerprint;

mod documents;

mod corpus;

mod lanes;

mod fetch;

// What a text is, before it is learned from.
#[allow(clippy::arithmetic_side_effects, reason = "offsets and counts stay below the files' sizes, u64s fixed at open")]
pub mod survey;

// Integers by seed and place.
mod random;

// The text that is made instead of read.
pub mod builtin;

// Examples: an input and what it is to give.
pub mod examples;

pub use cache::default_cache_dir;
pub use corpus::{Corpus, OpenOptions};
pub use documents::document_begins;
pub use error::{CorpusError, ErrorKind};
pub use expand::{Expanded, expand, is_standard_input};
pub use fetch::Fetcher;
pub use fingerprint::{Fingerprint, FingerprintError};
pub use lanes::{Chunk, Lanes};
pub use source::Io;
pub use split::Split;
pub use vocab::{Vocab, VocabError, VocabKind};
