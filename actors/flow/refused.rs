//! Stanzas that a stream refused, on their way into the log and the account.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use xmpp::{
    Domain,
    stanza::{Reason, Refused},
};

use crate::observe::log_limit::LogLimiter;
use status::amount::Amount;

/// Refused stanzas of one read, by the local domain they are counted under and by the reason.
#[derive(Debug, Default)]
pub struct RefusedStanzas(BTreeMap<(Domain, Reason), RefusedAmounts>);

/// Refused stanzas of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RefusedAmounts {
    /// Those that were answered with an error.
    pub answered: Amount,
    /// Those that may not be answered: errors, results, no stanzas, and those without a sender.
    pub dropped: Amount,
}

impl RefusedStanzas {
    /// Whether nothing was refused.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Enters a refused stanza.
    pub fn enter(&mut self, refused: &Refused) {
        let entry = self.0.entry((refused.local.clone(), refused.reason)).or_default();
        let kind = if refused.answer.is_some() { &mut entry.answered } else { &mut entry.dropped };
        *kind = kind.plus(Amount { stanzas: 1, bytes: refused.bytes as u64 });
    }

    /// How many there are.
    pub fn stanzas(&self) -> u64 {
        self.0.values().map(|entry| entry.answered.stanzas + entry.dropped.stanzas).sum()
    }

    /// By domain and reason.
    pub fn iter(&self) -> impl Iterator<Item = (&Domain, Reason, RefusedAmounts)> {
        self.0.iter().map(|((domain, reason), entry)| (domain, *reason, *entry))
    }
}

/// Writes a line about a refused stanza, as far as `quiet` permits: the users of others can cause many.
pub(crate) fn log(target: &str, quiet: &Arc<LogLimiter>, address: SocketAddr, refused: &Refused) {
    if quiet.permits() {
        log::info!(
            target: target, address:% = address, local:% = refused.local, remote:% = refused.remote,
            reason = refused.reason.as_str(), answered = refused.answer.is_some(), why = refused.text.as_str();
            "refused a stanza"
        );
    }
}
