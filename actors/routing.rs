//! Where a stanza goes, and where it waits: the router, the promise queue and the services of the node itself.

pub mod promise;
pub mod router;
pub mod service;
pub mod shrink;
