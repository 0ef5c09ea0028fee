//! The actors by which a node works together with the other nodes of its cluster.
//!
//! - [`cluster`]: the actor that owns the client of the message broker. It knows the nodes, who holds which pair of domains,
//!   and to which node each component is connected.
//! - [`ferry`]: one actor for each other node. It brings parcels of stanzas there, and takes parcels from there.
//! - [`questions`]: what the commands of one node ask the others.
//! - [`events`]: the task that brings the events of the broker to the actor, a bounded number at a time.

pub(crate) mod cluster;
mod events;
pub(crate) mod ferry;
pub(crate) mod questions;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use ::cluster::engine::Engine;

/// The client of the message broker. The actor of the cluster sends requests, and each ferry its frames.
pub(crate) type SharedEngine = Arc<dyn Engine + Sync>;

/// The target of log lines about other nodes.
const LOG: &str = "nuncio::cluster";
