//! Collects links: sessions, streams of other servers, connections of components and attempts under way.

use std::{collections::BTreeMap, time::Duration};

use tokio::sync::{mpsc, oneshot};
use xmpp::{Domain, DomainPair};

use super::{
    commands::{ANSWERS, Sources},
    round::Round,
};
use crate::{
    observe::recorder::{self, Progress},
    routing::{promise, router},
    streams::listener,
};
use status::{
    address::Address,
    amount::Amount,
    answer::Sessions,
    event::EventKind,
    report::{Acknowledgement, Direction, LinkReport, LinkState, Pair, Seconds, Time},
    request::{MOST, Order},
};

impl Sources {
    /// All links, or those with one domain, with the attempts under way, sorted by domain.
    pub(super) async fn links(&self, of: Option<&Domain>, limit: usize, round: &mut Round) -> Sessions {
        self.links_in(Order::Domain, of, limit, round).await
    }

    /// The same in an order. To find the most recent ones, the first [`MOST`] links are asked.
    pub(super) async fn links_in(
        &self,
        order: Order,
        of: Option<&Domain>,
        limit: usize,
        round: &mut Round,
    ) -> Sessions {
        let asked = match order {
            Order::Domain => limit,
            Order::Recent => MOST,
        };
        let (links, mut shown_links) = mpsc::channel(ANSWERS);
        let (total, sessions) = oneshot::channel();
        let show = router::ShowSessions { of: of.cloned(), limit: asked, links: links.clone(), total };
        let _ = self.router.signal_quietly(show);
        let mut accepted = Vec::new();
        for listener in self.servers.iter().chain(&self.components) {
            let (total, count) = oneshot::channel();
            let show = listener::Show { of: of.cloned(), limit: asked, links: links.clone(), total };
            let _ = listener.signal_quietly(show);
            accepted.push(count);
        }
        drop(links);
        let shown = self.shown(of, limit);
        let mut first = FirstLinks::new(order, limit);
        let (mut outgoing, mut incoming) = (0, 0);
        while let Some(link) = round.next("sessions", &mut shown_links).await {
            match link.direction {
                Direction::Outgoing => outgoing += 1,
                Direction::Incoming | Direction::Component => incoming += 1,
            }
            first.put(link);
        }
        let mut total = round.wait("router", sessions).await.unwrap_or(outgoing);
        for count in accepted {
            let count = round.wait("listener", count).await.unwrap_or(0);
            // For one domain, only the streams themselves know whether they belong to it.
            total += if of.is_none() { count } else { 0 };
        }
        total += if of.is_some() { incoming } else { 0 };
        if let Some(shown) = round.wait("promise", shown).await {
            total += shown.attempts.len();
            self.attempts(shown, round).await.into_iter().for_each(|link| first.put(link));
        }
        Sessions { links: first.links.into_values().collect(), total }
    }

    /// The attempts under way, with the progress that the recorder knows.
    async fn attempts(&self, shown: promise::Shown, round: &mut Round) -> Vec<LinkReport> {
        if shown.attempts.is_empty() {
            return Vec::new();
        }
        let (answer, steps) = oneshot::channel();
        let pairs = shown.attempts.iter().map(|(pair, _)| pair.clone()).collect();
        let _ = self.recorder.signal_quietly(recorder::Locate { pairs, answer });
        let steps = round.wait("recorder", steps).await.unwrap_or_default();
        let steps = steps.into_iter().chain(std::iter::repeat(None));
        let waiting = |pair: &DomainPair| {
            let queue = shown
                .queues
                .iter()
                .find(|queue| queue.local == pair.local.as_str() && queue.remote == pair.remote.as_str());
            queue.map_or_else(Amount::default, |queue| queue.waiting)
        };
        let attempts = shown.attempts.iter().zip(steps);
        attempts.map(|((pair, since), step)| attempted(pair, *since, step, waiting(pair))).collect()
    }
}

/// The link of an attempt under way.
fn attempted(pair: &DomainPair, since: Time, step: Option<Progress>, waiting: Amount) -> LinkReport {
    let (state, address) = match step {
        Some(Progress { what: EventKind::Connected | EventKind::Secured, address }) => {
            (LinkState::Negotiating, address)
        }
        _ => (LinkState::Connecting, None),
    };
    LinkReport {
        node: None,
        direction: Direction::Outgoing,
        state,
        pairs: vec![Pair::from(pair)],
        pairs_not_shown: 0,
        address: address.map(Address::Tcp),
        since,
        mechanism: None,
        tls: None,
        received: Amount::default(),
        sent: Amount::default(),
        waiting,
        acknowledgement: Acknowledgement::default(),
        ping_unanswered: None,
        idle: Seconds(since.before(Time::now())),
    }
}

/// The first links in an order, at most `limit` of them.
struct FirstLinks {
    order: Order,
    limit: usize,
    links: BTreeMap<Place, LinkReport>,
    count: usize,
}

/// What links are sorted by: the time without a stanza if that is the order, then the domain.
type Place = (Duration, String, Direction, Vec<Pair>, usize);

impl FirstLinks {
    fn new(order: Order, limit: usize) -> Self {
        Self { order, limit, links: BTreeMap::new(), count: 0 }
    }

    fn put(&mut self, link: LinkReport) {
        self.count += 1;
        let idle = match self.order {
            Order::Domain => Duration::ZERO,
            Order::Recent => link.idle.0,
        };
        let place = (idle, link.name().to_owned(), link.direction, link.pairs.clone(), self.count);
        self.links.insert(place, link);
        if self.links.len() > self.limit {
            self.links.pop_last();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(remote: &str, idle: u64) -> LinkReport {
        let pair =
            DomainPair { local: Domain::new("a.example").unwrap(), remote: Domain::new(remote).unwrap() };
        let idle = Seconds(Duration::from_secs(idle));
        LinkReport { idle, ..attempted(&pair, Time::now(), None, Amount::default()) }
    }

    #[test]
    fn the_first_links_are_those_of_the_order() {
        let first = |order| {
            let mut first = FirstLinks::new(order, 2);
            let links = [link("c.example", 7), link("b.example", 30), link("d.example", 1)];
            links.into_iter().for_each(|link| first.put(link));
            first.links.into_values().map(|link| link.name().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(first(Order::Domain), ["b.example", "c.example"]);
        assert_eq!(first(Order::Recent), ["d.example", "c.example"]);
    }
}
