//! The account of all that is taken in, and of each domain that has something waiting.

use std::{collections::HashMap, sync::Arc, time::Duration};

use actix::{Context, Handler};
use xmpp::Domain;

use super::{LogAccount, Router};
use crate::{
    flow::{
        batch::Batch,
        ledger::{LedgerEntry, Totals},
    },
    observe::recorder::RecorderHandle,
    routing::shrink,
};
use mailbox::Queued;
use status::{amount::Amount, report};

/// The sheets on which all that is taken in is entered.
pub(super) struct Account {
    pub(super) all: Arc<Totals>,
    /// Of the domains that have something waiting, or had a moment ago.
    pub(super) domains: HashMap<Domain, Arc<Totals>>,
    pub(super) every: Option<Duration>,
    /// Who keeps the figures of domains that are forgotten here.
    pub(super) notes: RecorderHandle,
}

impl Account {
    /// Enters what has come under the domain it is for.
    pub(super) fn take_in(&mut self, batch: &mut Batch) {
        batch.slip = self.enter(&batch.to, batch.amount());
    }

    /// Enters so much under a domain.
    pub(super) fn enter(&mut self, domain: &Domain, amount: Amount) -> LedgerEntry {
        if self.domains.len() >= SWEEP_FROM && self.domains.len() == self.domains.capacity() {
            self.forget_idle();
        }
        LedgerEntry::take_in(&self.all, self.domains.entry(domain.clone()).or_default(), amount)
    }

    /// Forgets the domains of which nothing waits: their figures stand in the sum, and with the recorder.
    pub(super) fn forget_idle(&mut self) {
        let idle = self.domains.extract_if(|_, sheet| Arc::strong_count(sheet) == 1);
        let accounts: Vec<_> = idle.map(|(domain, sheet)| (domain, report::Figures::from(&*sheet))).collect();
        if !accounts.is_empty() {
            self.notes.settle(accounts);
        }
        shrink::map(&mut self.domains);
    }

    pub(super) fn log(&mut self) {
        self.all.log("*");
        let mut busy: Vec<_> = self.domains.iter().filter(|(_, sheet)| sheet.waiting().stanzas > 0).collect();
        busy.sort_by_key(|(_, sheet)| std::cmp::Reverse(sheet.waiting().stanzas));
        for (domain, sheet) in busy.into_iter().take(DOMAINS_LOGGED) {
            sheet.log(domain.as_str());
        }
        self.forget_idle();
    }
}

impl Handler<Queued<LogAccount>> for Router {
    type Result = ();

    fn handle(&mut self, log: Queued<LogAccount>, _: &mut Context<Self>) {
        let LogAccount { token: _token } = log.open();
        self.account.log();
    }
}

/// Below this many domains a sweep of the account is not worth its time.
const SWEEP_FROM: usize = 1024;

/// Domains whose own account is logged: those with the most that waits.
const DOMAINS_LOGGED: usize = 10;
