//! What the router has to show to a monitoring system.

use std::{cmp::Reverse, sync::Arc};

use actix::{Context, Handler};
use tokio::sync::oneshot;
use xmpp::Domain;

use super::{Router, seats};
use crate::flow::ledger::Totals;
use mailbox::Queued;
use status::amount::Amount;

/// Show the account and how many sessions there are.
#[derive(Debug)]
pub struct ShowFigures {
    /// How many domains to name.
    pub busiest: usize,
    /// Where the answer goes.
    pub answer: oneshot::Sender<Figures>,
}

/// What the router counts.
#[derive(Debug)]
pub struct Figures {
    /// The account of all domains; its figures go on counting.
    pub account: Arc<Totals>,
    /// The domains for which the most waits, the one with the most first.
    pub busiest: Vec<(Domain, Amount)>,
    /// Sessions that take stanzas.
    pub sessions: usize,
    /// The configured components, and whether each is connected.
    pub components: Vec<(Domain, bool)>,
}

impl Handler<Queued<ShowFigures>> for Router {
    type Result = ();

    fn handle(&mut self, show: Queued<ShowFigures>, _: &mut Context<Self>) {
        let ShowFigures { busiest, answer } = show.open();
        let waiting = self.account.domains.iter().map(|(domain, sheet)| (domain, sheet.waiting()));
        let mut waiting: Vec<_> = waiting.filter(|(_, amount)| amount.stanzas > 0).collect();
        let by_stanzas = |(_, amount): &(&Domain, Amount)| Reverse(amount.stanzas);
        if waiting.len() > busiest {
            waiting.select_nth_unstable_by_key(busiest, by_stanzas);
            waiting.truncate(busiest);
        }
        waiting.sort_by_key(by_stanzas);
        let seats = seats::seats(&self.local).map(|(name, connected)| (name.clone(), connected));
        let mut components: Vec<(Domain, bool)> = seats.collect();
        components.sort();
        // Whoever asked may have given up.
        let _ = answer.send(Figures {
            account: Arc::clone(&self.account.all),
            busiest: waiting.into_iter().map(|(domain, amount)| (domain.clone(), amount)).collect(),
            sessions: self.sessions.len(),
            components,
        });
    }
}
