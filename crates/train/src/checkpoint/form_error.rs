//! Why bytes are not a snapshot: what was found, where, what was expected, what to do.
//!
//! Names and text from a file are printed through [`escaped`], so that a stranger's file cannot write to the terminal.

use thiserror::Error;

/// A reason to refuse bytes as a snapshot, or a snapshot as bytes. Offsets count from the start of the file.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FormError {
    /// Fewer than the eight bytes of the header's length.
    #[error("{size_bytes} bytes are no safetensors file: it starts with 8 bytes that give the length of its header")]
    TooShort {
        /// Length of the file.
        size_bytes: u64,
    },
    /// A pickle, as `torch.save` writes.
    #[error(
        "this is a PyTorch pickle, not a safetensors file; pickles are never opened here, because they can run code: \
         save as safetensors first, with `safetensors.torch.save_file(model.state_dict(), path)`"
    )]
    Pickle,
    /// The header does not fit into the file.
    #[error("byte 0: the header is said to have {header_bytes} bytes, but the file has {size_bytes} in all")]
    HeaderBeyondFile {
        /// Length that the first eight bytes give.
        header_bytes: u64,
        /// Length of the file.
        size_bytes: u64,
    },
    /// The header is longer than any that is read or written here.
    #[error("byte 0: a header of {header_bytes} bytes is more than the {cap_bytes} that are read or written")]
    HeaderTooLarge {
        /// Length of the header.
        header_bytes: u64,
        /// The most that is accepted.
        cap_bytes: u64,
    },
    /// The header is not UTF-8.
    #[error("byte {offset}: the header is not UTF-8")]
    NotUtf8 {
        /// First byte that is not.
        offset: u64,
    },
    /// The header is not JSON of the right form; repeated keys come here too.
    #[error("byte {offset}: the header is not what safetensors asks for: {reason}")]
    Header {
        /// Where the parser stopped.
        offset: u64,
        /// Its reason, escaped.
        reason: String,
    },
    /// A snapshot to be written lists a name twice.
    #[error("tensor {} is there twice", escaped(.tensor))]
    Duplicate {
        /// Tensor name.
        tensor: String,
    },
    /// More tensors than any model here can have.
    #[error("more than {cap} tensors")]
    TooManyTensors {
        /// The most that is accepted.
        cap: usize,
    },
    /// A name that is empty, too long, reserved, or, on writing, has control characters.
    #[error("tensor name {} is {fault}", escaped(.tensor))]
    Name {
        /// Tensor name.
        tensor: String,
        /// What is wrong with it.
        fault: &'static str,
    },
    /// Numbers of another type.
    #[error(
        "tensor {} has {dtype} numbers; only F32 is read: convert it first (`model.float()` in PyTorch)",
        escaped(.tensor)
    )]
    Dtype {
        /// Tensor name.
        tensor: String,
        /// Its type as the file calls it, escaped.
        dtype: String,
    },
    /// A tensor without elements.
    #[error("tensor {} of shape {shape:?} has no elements", escaped(.tensor))]
    Empty {
        /// Tensor name.
        tensor: String,
        /// Its shape.
        shape: Vec<u64>,
    },
    /// The product of the shape does not fit into 64 bits.
    #[error("tensor {} of shape {shape:?} has more bytes than can be counted", escaped(.tensor))]
    ShapeOverflow {
        /// Tensor name.
        tensor: String,
        /// Its shape.
        shape: Vec<u64>,
    },
    /// Shape and data differ in length.
    #[error("tensor {} of shape {shape:?} needs {needed_bytes} bytes but has {found_bytes}", escaped(.tensor))]
    ShapeBytes {
        /// Tensor name.
        tensor: String,
        /// Its shape.
        shape: Vec<u64>,
        /// Four times the product of the shape.
        needed_bytes: u64,
        /// What its offsets, or its buffer, span.
        found_bytes: u64,
    },
    /// Tensors overlap, leave a hole or are out of order.
    #[error(
        "tensor {} lies at data bytes {begin}..{end}, but the one before it ends at {expected}: \
         tensors must follow each other in the order of the header, without hole or overlap",
        escaped(.tensor)
    )]
    Offsets {
        /// Tensor name.
        tensor: String,
        /// First data byte as the header has it.
        begin: u64,
        /// End of its data as the header has it.
        end: u64,
        /// Where it must begin.
        expected: u64,
    },
    /// The file is shorter or longer than header and tensors say.
    #[error("the file has {found_bytes} bytes where header and tensors make {needed_bytes}: {}",
        if .found_bytes < .needed_bytes { "it is cut off" } else { "something follows the last tensor" })]
    Length {
        /// What header and tensors add up to.
        needed_bytes: u64,
        /// Length of the file.
        found_bytes: u64,
    },
    /// The `gatemill` record does not hold what it must.
    #[error("the `gatemill` record in the header is wrong: {reason}")]
    Record {
        /// What is wrong with it, escaped.
        reason: String,
    },
    /// The record was changed after it was written.
    #[error("the `gatemill` record in the header is damaged: its checksum is {found}, but {expected} was saved")]
    RecordChecksum {
        /// Of the record as it is.
        found: String,
        /// As saved in it, escaped.
        expected: String,
    },
    /// A tensor was changed after it was written.
    #[error(
        "tensor {} at byte {offset} is damaged: its checksum is {found}, but {expected} was saved",
        escaped(.tensor)
    )]
    TensorChecksum {
        /// Tensor name.
        tensor: String,
        /// First byte of its data in the file.
        offset: u64,
        /// Of the tensor as it is.
        found: String,
        /// As saved in the record, escaped.
        expected: String,
    },
    /// Written by a later Gatemill.
    #[error("format version {found}: this Gatemill reads up to {known}; a newer Gatemill is needed")]
    NewerVersion {
        /// Version of the file.
        found: u64,
        /// Highest version that this build reads.
        known: u64,
    },
    /// A checkpoint needs its record, and there is none.
    #[error("there is no `gatemill` record in the header: weights alone are no checkpoint")]
    NoRecord,
    /// Memory for a tensor cannot be had.
    #[error("no memory for the {needed_bytes} bytes of tensor {}", escaped(.tensor))]
    NoMemory {
        /// Tensor name.
        tensor: String,
        /// What it needs.
        needed_bytes: u64,
    },
    /// The system failed to read.
    #[error("byte {offset}: {source}")]
    Read {
        /// Where the read began.
        offset: u64,
        /// The system's error.
        source: std::io::Error,
    },
}

/// At most this many characters of a stranger's text are printed.
pub(super) const PRINTED_CHARS: usize = 120;

/// Text from a file, quoted, with control characters and invisible ones escaped, cut where it is long.
pub(super) fn escaped(text: &str) -> String {
    let mut printed = String::from("\"");
    for (n, c) in text.chars().enumerate() {
        if n == PRINTED_CHARS {
            printed.push_str("...");
            break;
        }
        printed.extend(c.escape_debug());
    }
    printed.push('"');
    printed
}
