//! The actors that own a stream, and those that accept and verify streams.

pub(crate) mod accepted;
pub mod component;
mod connection;
pub(crate) mod incoming;
pub(crate) mod listener;
pub(crate) mod outgoing;
pub(crate) mod verifier;
