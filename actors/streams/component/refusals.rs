//! How much is logged about connections to the component port that come to serve no name.

use std::{collections::HashMap, sync::Arc};

use xmpp::Domain;

use super::LOG;
use crate::observe::log_limit::{self, LogLimiter};

/// The limits of these log lines: one for each configured name, so that one misconfigured component hides no other,
/// and one for all else.
#[derive(Clone, Debug)]
pub struct Refusals {
    names: Arc<HashMap<Domain, Arc<LogLimiter>>>,
    others: Arc<LogLimiter>,
}

impl Refusals {
    /// For these configured names.
    pub fn of(names: impl Iterator<Item = Domain>) -> Self {
        let quiet = |name: Domain| {
            let quiet = LogLimiter::about(
                LOG,
                log_limit::FEW,
                "more component connections were refused",
                name.as_str(),
            );
            (name, quiet)
        };
        Self {
            names: Arc::new(names.map(quiet).collect()),
            others: LogLimiter::new(
                LOG,
                log_limit::FEW,
                "more component connections failed before authentication",
            ),
        }
    }

    /// Whether one more line may be written about a connection that claimed this name.
    pub(super) fn permits(&self, claimed: Option<&Domain>) -> bool {
        claimed.and_then(|name| self.names.get(name)).unwrap_or(&self.others).permits()
    }
}
