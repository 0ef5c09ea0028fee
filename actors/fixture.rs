//! Parts that tests and benchmarks of the actors share: a node without sockets, and sessions without a
//! negotiation over the network.

#![allow(clippy::expect_used, clippy::panic, reason = "a test cannot go on without them")]

mod node;
mod null_listener;
mod session;

#[cfg(test)]
pub(crate) use node::{
    ABSENCE, Beside, Core, each_its_own, environment, known, start_beside, start_component, start_core,
};
pub use node::{SECRET, Setup, start};
#[cfg(test)]
pub(crate) use null_listener::NullListener;
pub use session::{dial, policy, session};
#[cfg(test)]
pub(crate) use session::{established, established_with_acks, session_with};
