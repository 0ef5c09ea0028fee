//! The network part of a node: DNS, TCP, TLS and certificates.
//!
//! Architecture Invariant: no actor. The actors use this crate; it does not know them.

pub mod certificate;
pub mod dns;
pub mod happy_eyeballs;
pub mod site;
pub mod stream;
pub mod stream_id;
pub mod tls;
