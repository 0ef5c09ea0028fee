//! The actors of a node.
pub mod certificate;
pub mod connect;
pub mod dns;
pub mod settings;
pub mod tls;
