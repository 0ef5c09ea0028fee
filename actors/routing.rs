//! Decides where stanzas go, and keeps those that have to wait: the router, the promise, the mailroom and
//! the node's own service.

mod capacity;
pub(crate) mod journal;
pub mod mailroom;
mod overflow;
pub mod promise;
mod queue;
pub mod router;
pub mod service;
