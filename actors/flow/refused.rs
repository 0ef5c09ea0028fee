//! Stanzas that a stream refused, on their way to the log and the account.

use std::{collections::BTreeMap, fmt, sync::Arc};

use xmpp::{
    Domain,
    stanza::{Denied, Reason, Refused},
};

use crate::observe::log_limit::LogLimiter;
use status::{
    address::Host,
    amount::Amount,
    report::{Denials, DeniedStanza, Time},
};

/// Refused stanzas of one read, by the local domain they are counted under and by the reason.
#[derive(Debug, Default)]
pub struct RefusedStanzas {
    amounts: BTreeMap<(Domain, Reason), RefusedAmounts>,
    /// Those that the rules of components do not permit, by a name of the component.
    denials: BTreeMap<Domain, Denials>,
}

/// Refused stanzas of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RefusedAmounts {
    /// Stanzas that were answered with an error.
    pub answered: Amount,
    /// Stanzas that may not be answered: errors, results, elements that are no stanzas, and stanzas without a
    /// sender.
    pub dropped: Amount,
}

impl RefusedStanzas {
    /// Whether nothing was refused.
    pub fn is_empty(&self) -> bool {
        self.amounts.is_empty()
    }

    /// Counts a refused stanza that came from a peer at this address.
    pub fn enter(&mut self, refused: &Refused, address: impl FnOnce() -> Host) {
        if let Some(Denied { from, to, by_component }) = &refused.denied {
            let denials = self.denials.entry(refused.local.clone()).or_default();
            let count = if *by_component { &mut denials.from_component } else { &mut denials.from_remote };
            *count += 1;
            let (from, to) = (from.clone(), to.clone());
            denials.last = Some(DeniedStanza { at: Time::now(), from, to, address: address() });
        }
        let entry = self.amounts.entry((refused.local.clone(), refused.reason)).or_default();
        let kind = if refused.answer.is_some() { &mut entry.answered } else { &mut entry.dropped };
        *kind = kind.plus(Amount { stanzas: 1, bytes: refused.bytes as u64 });
    }

    /// The number of refused stanzas.
    pub fn stanzas(&self) -> u64 {
        self.amounts.values().map(|entry| entry.answered.stanzas + entry.dropped.stanzas).sum()
    }

    /// What the rules of components do not permit, by a name of the component.
    pub fn into_denials(self) -> impl Iterator<Item = (Domain, Denials)> {
        self.denials.into_iter()
    }

    /// The amounts by local domain and reason.
    pub fn iter(&self) -> impl Iterator<Item = (&Domain, Reason, RefusedAmounts)> {
        self.amounts.iter().map(|((domain, reason), entry)| (domain, *reason, *entry))
    }
}

/// Logs a refused stanza of a server, within the limit: its users can cause many.
pub(crate) fn log(target: &str, limit: &Arc<LogLimiter>, address: &impl fmt::Display, refused: &Refused) {
    if limit.count_line() {
        log::info!(
            target: target, address:% = address, local:% = refused.local, remote:% = refused.remote,
            reason = refused.reason.as_str(), answered = refused.answer.is_some(),
            why = refused.text.as_str();
            "refused a stanza"
        );
    }
}

/// The same for a stanza of a component, which is named by its configured name.
pub(crate) fn log_of_component(
    target: &str,
    limit: &Arc<LogLimiter>,
    address: &impl fmt::Display,
    refused: &Refused,
) {
    if limit.count_line() {
        log::info!(
            target: target, name:% = refused.local, address:% = address, reason = refused.reason.as_str(),
            answered = refused.answer.is_some(), why = refused.text.as_str();
            "refused a stanza"
        );
    }
}
