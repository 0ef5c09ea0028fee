//! The actors of a node.
pub mod settings;
