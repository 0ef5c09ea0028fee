//! Commands of an operator: show sessions and a domain, and close sessions.

use actix::{Context, Handler};
use xmpp::{Domain, DomainPair};

use super::{Dismiss, DomainStatus, Router, ShowDomain, ShowSessions};
use crate::{
    flow::claims::{Freeze, NO_LEASE},
    streams::outgoing::{self, Outgoing},
};
use mailbox::{Mailbox, Queued, drain};
use status::{report::Account, smallest::smallest};

impl Router {
    fn sessions_with(
        &self,
        remote: Option<&Domain>,
    ) -> impl Iterator<Item = (&DomainPair, &Mailbox<Outgoing>)> {
        // A relay is no link: the node that has the link reports it, and closes it.
        let sessions =
            self.sessions.iter().filter_map(|(pair, session)| Some((pair, session.carrier.here()?)));
        sessions.filter(move |(pair, _)| remote.is_none_or(|remote| pair.remote == *remote))
    }
}

impl Router {
    /// The nearest domain above this one that is served here.
    fn above(&self, domain: &Domain) -> Option<Domain> {
        let text = domain.as_str();
        let above = text.match_indices('.').filter_map(|(dot, _)| Domain::new(&text[dot + 1..]).ok());
        above.into_iter().find(|above| domain.is_below(above) && self.local.contains(above))
    }
}

impl Handler<Queued<ShowSessions>> for Router {
    type Result = ();

    fn handle(&mut self, show: Queued<ShowSessions>, _: &mut Context<Self>) {
        let ShowSessions { of, limit, links, total } = show.into_message();
        let mut count = 0;
        let names = self.sessions_with(of.as_ref()).map(|(pair, _)| {
            count += 1;
            (&pair.remote, &pair.local)
        });
        for (remote, local) in smallest(names, limit) {
            let pair = DomainPair { local: local.clone(), remote: remote.clone() };
            if let Some(session) = self.sessions.get(&pair).and_then(|session| session.carrier.here()) {
                // A session that has just ended reports nothing.
                let _ = session.signal_quietly(outgoing::Show { links: links.clone() });
            }
        }
        // The receiver may be gone.
        let _ = total.send(count);
    }
}

impl Handler<Queued<ShowDomain>> for Router {
    type Result = ();

    fn handle(&mut self, show: Queued<ShowDomain>, _: &mut Context<Self>) {
        let ShowDomain { domain, answer } = show.into_message();
        let local = self.local.contains(&domain);
        let above = if local { None } else { self.above(&domain) };
        let account = self.accounts.by_domain.get(&domain).map(|totals| Account::from(&**totals));
        let _ = answer.send(DomainStatus { local, above, account });
    }
}

impl Handler<Queued<Freeze>> for Router {
    type Result = ();

    /// What waits then needs a claim, which the node cannot get.
    fn handle(&mut self, freeze: Queued<Freeze>, _: &mut Context<Self>) {
        freeze.into_message();
        for (_, session) in self.sessions_with(None) {
            // A session that is gone has no link.
            let _ = session.signal(outgoing::Dismiss { reason: NO_LEASE, token: drain::tokens().0 });
        }
    }
}

impl Handler<Queued<Dismiss>> for Router {
    type Result = ();

    fn handle(&mut self, dismiss: Queued<Dismiss>, _: &mut Context<Self>) {
        let Dismiss { remote, token, answer } = dismiss.into_message();
        let mut count = 0;
        for (_, session) in self.sessions_with(Some(&remote)) {
            let dismiss = outgoing::Dismiss { reason: BY_OPERATOR, token: token.clone() };
            if session.signal(dismiss).is_ok() {
                count += 1;
            }
        }
        let _ = answer.send(count);
    }
}

const BY_OPERATOR: &str = "closed by an operator";
