//! Whole-node tests: the binary as an operator runs it, against real servers and a scripted peer.
//!
//! They need root (or `tests/run`, which arranges it), Prosody and ejabberd.

// Tests fail by panicking; this is all test code, which clippy only knows inside of `#[test]`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod federation;
mod harness;
mod support;
