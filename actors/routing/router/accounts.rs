//! The accounts: of all domains together, and of each domain for which something waits.

use std::{collections::HashMap, sync::Arc, time::Duration};

use actix::{Context, Handler};
use xmpp::Domain;

use super::{LogAccount, Router};
use crate::{
    flow::{
        account::{self, Totals},
        batch::Batch,
    },
    observe::recorder::RecorderHandle,
    routing::capacity,
};
use mailbox::Queued;
use status::{amount::Amount, report};

/// The accounts in which each stanza is entered that is taken in.
pub(super) struct Accounts {
    /// The totals of all domains.
    pub(super) all: Arc<Totals>,
    /// The totals of the domains for which something waits, or did a moment ago.
    pub(super) by_domain: HashMap<Domain, Arc<Totals>>,
    /// The interval at which the accounts are logged, if they have changed.
    pub(super) interval: Option<Duration>,
    /// The totals of all domains in the last line.
    pub(super) logged: Option<report::Account>,
    /// Keeps the figures of domains that are forgotten here.
    pub(super) recorder: RecorderHandle,
}

impl Accounts {
    /// Enters a new batch under the domain that it is for.
    pub(super) fn take_in(&mut self, batch: &mut Batch) {
        batch.entry = self.enter(&batch.to, batch.amount());
    }

    /// Enters an amount under a domain.
    pub(super) fn enter(&mut self, domain: &Domain, amount: Amount) -> account::Entry {
        if self.by_domain.len() >= FORGET_FROM && self.by_domain.len() == self.by_domain.capacity() {
            self.forget_idle();
        }
        account::Entry::take_in(&self.all, self.by_domain.entry(domain.clone()).or_default(), amount)
    }

    /// Forgets the domains for which nothing waits. Their figures are in the totals of all domains, and the
    /// recorder gets them.
    fn forget_idle(&mut self) {
        let idle = self.by_domain.extract_if(|_, totals| Arc::strong_count(totals) == 1);
        let accounts: Vec<_> =
            idle.map(|(domain, totals)| (domain, report::Account::from(&*totals))).collect();
        if !accounts.is_empty() {
            self.recorder.settle(accounts);
        }
        capacity::shrink_map(&mut self.by_domain);
    }

    /// Logs the accounts as [`log`](Self::log) does, if something waits or has changed since the last time.
    pub(super) fn log_changes(&mut self) {
        let waits = self.all.waiting() != Amount::default();
        if waits || self.logged != Some(report::Account::from(&*self.all)) {
            self.log();
        } else {
            self.forget_idle();
        }
    }

    /// Logs the totals of all domains, and of those for which the most waits.
    pub(super) fn log(&mut self) {
        self.logged = Some(report::Account::from(&*self.all));
        self.all.log("*");
        let totals = self.by_domain.iter();
        let mut busy: Vec<_> = totals.filter(|(_, totals)| totals.waiting().stanzas > 0).collect();
        busy.sort_by_key(|(_, totals)| std::cmp::Reverse(totals.waiting().stanzas));
        for (domain, totals) in busy.into_iter().take(DOMAINS_LOGGED) {
            totals.log(domain.as_str());
        }
        self.forget_idle();
    }
}

impl Handler<Queued<LogAccount>> for Router {
    type Result = ();

    fn handle(&mut self, log: Queued<LogAccount>, _: &mut Context<Self>) {
        let LogAccount { token: _token } = log.into_message();
        self.accounts.log();
    }
}

/// Below this number of domains the search for idle ones is not worth its time.
const FORGET_FROM: usize = 1024;

/// The number of domains whose own account is logged.
const DOMAINS_LOGGED: usize = 10;
