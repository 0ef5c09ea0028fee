//! Limits of log lines about connections to the component port that serve no name.

use std::{collections::HashMap, sync::Arc};

use xmpp::{Domain, Served};

use super::LOG;
use crate::observe::log_limit::{self, LogLimiter};

/// One limit for each configured component, so that a misconfigured component hides no other one, and one for the
/// rest.
#[derive(Clone, Debug)]
pub struct LogLimits {
    names: Arc<Served<Arc<LogLimiter>>>,
    others: Arc<LogLimiter>,
    /// TLS is up.
    pub(crate) secured: Arc<LogLimiter>,
    /// The TLS handshake failed.
    pub(crate) insecure: Arc<LogLimiter>,
}

impl LogLimits {
    /// The limits for these configured names, each with its component.
    pub fn of(names: &Served<Domain>) -> Self {
        let mut limiters: HashMap<&Domain, Arc<LogLimiter>> = HashMap::new();
        let mut limiter = |component| {
            let summary = "more component connections were refused";
            let limiter = limiters
                .entry(component)
                .or_insert_with(|| LogLimiter::about(LOG, log_limit::FEW, summary, component.as_str()));
            Arc::clone(limiter)
        };
        let names = names.iter().map(|(name, component)| (name.clone(), limiter(component))).collect();
        let others = "more component connections failed before authentication";
        Self {
            names: Arc::new(names),
            others: LogLimiter::new(LOG, log_limit::FEW, others),
            secured: LogLimiter::new(LOG, log_limit::FEW, "more component connections were secured"),
            insecure: LogLimiter::new(LOG, log_limit::FEW, "more TLS handshakes of components failed"),
        }
    }

    /// Counts a line about a connection that claimed this name; returns whether it may be written.
    pub(super) fn count_line(&self, claimed: Option<&Domain>) -> bool {
        claimed.and_then(|name| self.names.announced(name)).unwrap_or(&self.others).count_line()
    }
}
