//! Limits of log lines about connections to the component port that serve no name.

use std::{collections::HashMap, sync::Arc};

use xmpp::Domain;

use super::LOG;
use crate::observe::log_limit::{self, LogLimiter};

/// One limit for each configured name, so that a misconfigured component hides no other one, and one for the
/// rest.
#[derive(Clone, Debug)]
pub struct LogLimits {
    names: Arc<HashMap<Domain, Arc<LogLimiter>>>,
    others: Arc<LogLimiter>,
    /// TLS is up.
    pub(crate) secured: Arc<LogLimiter>,
    /// The TLS handshake failed.
    pub(crate) insecure: Arc<LogLimiter>,
}

impl LogLimits {
    /// The limits for these configured names.
    pub fn of(names: impl Iterator<Item = Domain>) -> Self {
        let limiter = |name: Domain| {
            let summary = "more component connections were refused";
            let limiter = LogLimiter::about(LOG, log_limit::FEW, summary, name.as_str());
            (name, limiter)
        };
        let others = "more component connections failed before authentication";
        Self {
            names: Arc::new(names.map(limiter).collect()),
            others: LogLimiter::new(LOG, log_limit::FEW, others),
            secured: LogLimiter::new(LOG, log_limit::FEW, "more component connections were secured"),
            insecure: LogLimiter::new(LOG, log_limit::FEW, "more TLS handshakes of components failed"),
        }
    }

    /// Counts a line about a connection that claimed this name; returns whether it may be written.
    pub(super) fn count_line(&self, claimed: Option<&Domain>) -> bool {
        claimed.and_then(|name| self.names.get(name)).unwrap_or(&self.others).count_line()
    }
}
