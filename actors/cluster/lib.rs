//! The protocol between the nodes of a cluster, which serve the same domains together.
//!
//! - [`name`]: the name of a node, and the number of one of its runs.
//! - [`engine`]: what a node needs of a message broker, and the clients of brokers.
//! - [`record`]: what the nodes keep at the broker.
//! - [`text`]: fingerprints, and texts that other nodes have written.
//! - [`names`]: the domains and components that nodes serve, and which of them differ.
//! - [`arbiter`]: who is a member, who holds which pair of domains, where components are connected.
//! - [`ferry`]: stanzas on their way to another node.
//! - [`question`]: questions of an operator to the other nodes.
//!
//! Everything here is plain data and machines without actors; the actors are in the crate `actors`.

pub mod arbiter;
pub mod engine;
pub mod ferry;
pub mod name;
pub mod names;
pub mod question;
pub mod record;
pub mod text;

pub use name::{Incarnation, NodeName};
