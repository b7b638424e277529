//! Suites that look at Gatemill from outside.
