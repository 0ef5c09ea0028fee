//! Stanzas on their way: connections, batches, outboxes, and the ledger that accounts for every stanza.

pub mod accept;
pub mod batch;
pub mod close;
pub mod fan_out;
pub mod ledger;
pub mod link;
pub mod outbox;
pub mod refused;
pub mod route;
pub mod throttle;
pub mod trace;
