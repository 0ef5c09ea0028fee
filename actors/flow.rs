//! Stanzas on their way: connections, batches, outboxes, the account of every stanza, and the ways to other nodes.

pub(crate) mod accept;
pub(crate) mod account;
pub(crate) mod batch;
pub(crate) mod claims;
pub(crate) mod close;
pub(crate) mod fence;
pub(crate) mod ferry;
pub(crate) mod journal;
pub mod link;
pub(crate) mod outbox;
pub(crate) mod refused;
pub(crate) mod route;
pub(crate) mod throttle;
pub(crate) mod trace;
