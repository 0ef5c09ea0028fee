//! Stanzas on their way: connections, batches, outboxes, and the ledger that accounts for every stanza.

pub(crate) mod accept;
pub(crate) mod batch;
pub(crate) mod close;
pub(crate) mod fan_out;
pub(crate) mod journal;
pub(crate) mod ledger;
pub mod link;
pub(crate) mod outbox;
pub(crate) mod refused;
pub(crate) mod route;
pub(crate) mod throttle;
pub(crate) mod trace;
