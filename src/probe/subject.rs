//! The domains of a probe, and the advice about them.

use xmpp::DomainPair;

use super::step::Finding;

/// What is probed.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    pub(crate) pair: DomainPair,
    /// The address of the remote domain in the configuration; `None`: the DNS has it.
    pub(crate) address: Option<String>,
}

impl Subject {
    /// A remote domain that is looked up in the DNS.
    pub(crate) fn of(pair: DomainPair) -> Self {
        Self { pair, address: None }
    }

    /// What to do about a finding. Our own side is always looked up in the DNS.
    pub(crate) fn advice(&self, finding: &Finding) -> String {
        let address = self.address.as_deref().filter(|_| !finding.own);
        finding.cause.advice(&self.pair, address)
    }
}
