//! Bytes on disk to lanes of token ids.
