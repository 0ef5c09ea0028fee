//! Limits of log lines that peers without authentication can cause, and users of authenticated servers.

use std::sync::Arc;

use super::LOG;
use crate::observe::log_limit::{self, LogLimiter};

/// Limits of log lines that peers can cause without authentication, or that their users can cause.
#[derive(Clone, Debug)]
pub(crate) struct LogLimits {
    /// TLS is up.
    pub secured: Arc<LogLimiter>,
    /// The TLS handshake failed.
    pub insecure: Arc<LogLimiter>,
    pub(super) asked: Arc<LogLimiter>,
    pub(super) refused: Arc<LogLimiter>,
    pub(super) closed: Arc<LogLimiter>,
    /// Refused stanzas of authenticated servers, which their users can cause.
    pub(super) stanzas: Arc<LogLimiter>,
    /// Stanzas were acknowledged that the journal may not have.
    pub(super) unwritten: Arc<LogLimiter>,
}

impl Default for LogLimits {
    fn default() -> Self {
        let few = |summary| LogLimiter::new(LOG, log_limit::FEW, summary);
        Self {
            // After a restart all known servers may connect at once. The line about the authentication of
            // each repeats this one.
            secured: few("more connections were secured"),
            insecure: few("more TLS handshakes failed"),
            asked: few("more dialback keys were received"),
            refused: few("more requests of unauthenticated servers were refused"),
            closed: few("more streams ended without authentication"),
            unwritten: few("more acknowledgements did not wait for the journal"),
            stanzas: few("more stanzas of other servers were refused"),
        }
    }
}
