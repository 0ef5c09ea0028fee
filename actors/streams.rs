//! The actors that own a stream, and those that accept and verify streams.

pub mod caller;
pub mod component;
mod connection;
pub mod incoming;
pub mod listener;
pub mod outgoing;
pub mod verifier;
