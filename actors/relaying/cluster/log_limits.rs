//! Limits on the lines that a broker or a node can cause which come and go all the time.

use std::sync::Arc;

use ::cluster::engine::Bucket;

use crate::{
    observe::log_limit::{FEW, LogLimiter},
    relaying::LOG,
};

/// The limits.
pub(super) struct LogLimits {
    pub(super) broker: Arc<LogLimiter>,
    pub(super) conflicts: Arc<LogLimiter>,
    pub(super) disagreements: Arc<LogLimiter>,
    /// For each table.
    pub(super) refusals: [Arc<LogLimiter>; 3],
}

impl LogLimits {
    pub(super) fn new() -> Self {
        Self {
            broker: LogLimiter::new(LOG, FEW, "more changes of the connection to the message broker"),
            conflicts: LogLimiter::new(LOG, FEW, "more links that other nodes hold are closed here"),
            disagreements: LogLimiter::new(LOG, FEW, "more disagreements between nodes"),
            refusals: Bucket::ALL.map(|table| {
                LogLimiter::about(LOG, 1, "the message broker refused more records", table.name())
            }),
        }
    }
}
