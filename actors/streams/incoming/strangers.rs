//! How much peers that have not proved who they are, and users of those that have, can make the log say.

use std::sync::Arc;

use super::LOG;
use crate::observe::log_limit::{self, LogLimiter};

/// Lines that peers can cause without proving who they are, or that their users can cause.
#[derive(Clone, Debug)]
pub struct Strangers {
    /// TLS is up.
    pub secured: Arc<LogLimiter>,
    /// TLS did not come about.
    pub insecure: Arc<LogLimiter>,
    pub(super) asked: Arc<LogLimiter>,
    pub(super) refused: Arc<LogLimiter>,
    pub(super) closed: Arc<LogLimiter>,
    /// Stanzas of authenticated servers: what their users can cause.
    pub(super) stanzas: Arc<LogLimiter>,
}

impl Default for Strangers {
    fn default() -> Self {
        let few = |what| LogLimiter::new(LOG, log_limit::FEW, what);
        Self {
            // After a restart all the servers that one knows may come at once; the line of each that authenticates itself
            // says the same again.
            secured: few("more connections were secured"),
            insecure: few("more connections failed to become TLS"),
            asked: few("more dialback keys were shown to be verified"),
            refused: few("more requests of servers that have not authenticated themselves were refused"),
            closed: few("more streams ended without authentication"),
            stanzas: few("more stanzas of other servers were refused"),
        }
    }
}
