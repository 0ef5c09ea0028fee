//! Stanzas on their way: connections, batches, outboxes, and the account of every stanza.

pub(crate) mod accept;
pub(crate) mod account;
pub(crate) mod batch;
pub(crate) mod close;
pub(crate) mod journal;
pub mod link;
pub(crate) mod outbox;
pub(crate) mod refused;
pub(crate) mod route;
pub(crate) mod throttle;
pub(crate) mod trace;
