//! The figures of the router, for the metrics.

use std::{cmp::Reverse, sync::Arc, time::Duration};

use actix::{Context, Handler};
use tokio::sync::oneshot;
use xmpp::Domain;

use super::{
    Router,
    registration::{History, Registration},
    sessions::Way,
};
use crate::flow::account::Totals;
use mailbox::Queued;
use status::{amount::Amount, report::Time};

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
    /// The configured components, by name.
    pub components: Vec<ComponentFigures>,
}

/// The figures of a configured component.
#[derive(Debug)]
pub struct ComponentFigures {
    /// The name under which it is configured.
    pub name: Domain,
    /// Whether it is connected.
    pub is_connected: bool,
    /// When it connected, or when its last connection ended; before the first connection, when the node came to know it.
    pub since: Time,
    /// The time since the ping that it has not answered; zero: none.
    pub ping_unanswered: Duration,
    /// What was counted.
    pub(crate) history: History,
}

impl ComponentFigures {
    fn of((name, registration): (&Domain, &Registration)) -> Self {
        let ping = registration.unanswered();
        Self {
            name: name.clone(),
            is_connected: registration.is_connected(),
            since: registration.since(),
            ping_unanswered: ping.map(|ping| ping.since.before(Time::now())).unwrap_or_default(),
            history: registration.history().clone(),
        }
    }
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
        let mut components: Vec<ComponentFigures> = self.registrations().map(ComponentFigures::of).collect();
        components.sort_by(|a, b| a.name.cmp(&b.name));
        // The receiver may be gone.
        let _ = answer.send(Figures {
            account: Arc::clone(&self.accounts.all),
            busiest: waiting.into_iter().map(|(domain, amount)| (domain.clone(), amount)).collect(),
            sessions: self.sessions.values().filter(|session| session.way == Way::Direct).count(),
            components,
        });
    }
}
