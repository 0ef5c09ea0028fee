//! The protocol between the nodes of a cluster, which serve the same domains together.
//!
//! - [`name`]: the name of a node, and the number of one of its runs.
//!
//! Everything here is plain data and machines without actors; the actors are in the crate `actors`.

pub mod name;
