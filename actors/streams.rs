//! The actors that own a stream, and those that accept and verify streams.

pub(crate) mod accepted;
mod carrier;
pub mod component;
mod connection;
pub(crate) mod incoming;
pub(crate) mod listener;
pub(crate) mod outgoing;
mod relay;
pub(crate) mod resumer;
pub(crate) mod verifier;
