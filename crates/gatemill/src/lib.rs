//! A fast, bit-reproducible CPU engine for recurrent networks: the library's face.
