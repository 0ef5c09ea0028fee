//! Parts that tests and benchmarks of the actors share: a node without sockets, and sessions without a
//! negotiation over the network.

#![allow(clippy::expect_used, clippy::panic, reason = "a test cannot go on without them")]

mod node;
mod null_listener;
mod session;

pub use node::{SECRET, Setup, start};
pub use session::{dial, policy, session};
