//! Decides where stanzas go, and keeps those that have to wait: the router, the promise and the node's own
//! service.

mod capacity;
pub(crate) mod journal;
pub mod promise;
pub mod router;
pub mod service;
