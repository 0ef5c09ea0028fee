//! The figures of the router, for the metrics.

use std::{cmp::Reverse, sync::Arc};

use actix::{Context, Handler};
use tokio::sync::oneshot;
use xmpp::Domain;

use super::{Router, sessions::Way};
use crate::flow::account::Totals;
use mailbox::Queued;
use status::amount::Amount;

/// Report the account, the sessions and the components.
#[derive(Debug)]
pub struct ShowFigures {
    /// The number of domains to name.
    pub busiest: usize,
    /// Receives the figures.
    pub answer: oneshot::Sender<Figures>,
}

/// The figures of the router.
#[derive(Debug)]
pub struct Figures {
    /// The account of all domains. Its numbers go on changing.
    pub account: Arc<Totals>,
    /// The domains for which the most stanzas wait, in descending order.
    pub busiest: Vec<(Domain, Amount)>,
    /// Sessions that get stanzas from the router. The promise counts the others.
    pub sessions: usize,
    /// Pairs whose stanzas another node of the cluster gets, because it has the link.
    pub relays: usize,
    /// The configured components, and whether each is connected.
    pub components: Vec<(Domain, bool)>,
}

impl Handler<Queued<ShowFigures>> for Router {
    type Result = ();

    fn handle(&mut self, show: Queued<ShowFigures>, _: &mut Context<Self>) {
        let ShowFigures { busiest, answer } = show.into_message();
        let waiting = self.accounts.by_domain.iter().map(|(domain, totals)| (domain, totals.waiting()));
        let mut waiting: Vec<_> = waiting.filter(|(_, amount)| amount.stanzas > 0).collect();
        let by_stanzas = |(_, amount): &(&Domain, Amount)| Reverse(amount.stanzas);
        if waiting.len() > busiest {
            waiting.select_nth_unstable_by_key(busiest, by_stanzas);
            waiting.truncate(busiest);
        }
        waiting.sort_by_key(by_stanzas);
        let components = self.registrations();
        let mut components: Vec<(Domain, bool)> =
            components.map(|(name, registration)| (name.clone(), registration.is_connected())).collect();
        components.sort();
        // The receiver may be gone.
        let _ = answer.send(Figures {
            account: Arc::clone(&self.accounts.all),
            busiest: waiting.into_iter().map(|(domain, amount)| (domain.clone(), amount)).collect(),
            sessions: self.sessions.values().filter(|it| it.way == Way::Direct && it.is_here()).count(),
            relays: self.sessions.values().filter(|session| !session.is_here()).count(),
            components,
        });
    }
}
