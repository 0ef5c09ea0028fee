//! The recorder keeps the last events of each remote domain, for `nuncio explain`.
//!
//! The actors that deal with remote domains send it the events of a link and the error answers, and do not wait: a full
//! mailbox loses events and counts them. Its memory is bounded in domains, events of a domain and bytes of text. Domains
//! that were only claimed, without proof, have at most one eighth of the places.

mod handle;

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    net::SocketAddr,
    sync::Arc,
};

use actix::{Actor, Context, Handler};
use tokio::sync::oneshot;
use xmpp::{Domain, DomainPair};

pub use self::handle::RecorderHandle;
use crate::settings::Recording;
use mailbox::{Meter, Queued};
use status::{
    event::{Event, EventKind},
    report::Account,
};

/// Record an event of a remote domain.
#[derive(Debug)]
pub struct Record {
    /// The remote domain.
    pub remote: Domain,
    /// The peer only claimed the domain.
    pub claimed: bool,
    /// The event.
    pub event: Event,
}

/// Nothing waits for these domains any more: add their accounts to the record.
#[derive(Debug)]
pub struct Settled {
    /// The figures of each domain since it was settled last.
    pub accounts: Vec<(Domain, Account)>,
}

/// Show the record of a domain.
#[derive(Debug)]
pub struct Recall {
    /// The remote domain.
    pub remote: Domain,
    /// Gets the record; `None` if there is none.
    pub answer: oneshot::Sender<Option<History>>,
}

/// Show the progress of the attempts of these pairs.
#[derive(Debug)]
pub struct Locate {
    /// Pairs with an attempt under way.
    pub pairs: Vec<DomainPair>,
    /// Gets the progress of each, in the same order; `None` if there is no record.
    pub answer: oneshot::Sender<Vec<Option<Progress>>>,
}

/// The progress of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Its last step.
    pub what: EventKind,
    /// The address of the remote server.
    pub address: Option<SocketAddr>,
}

/// The record of a domain.
#[derive(Debug)]
pub struct History {
    /// The oldest event first.
    pub events: Vec<Event>,
    /// The settled part of its account.
    pub account: Account,
    /// Events of all domains that a full mailbox lost.
    pub lost: u64,
}

/// The recorder actor.
pub struct Recorder {
    bounds: Recording,
    domains: HashMap<Domain, Kept>,
    /// The order in which domains are forgotten: claimed ones first, then by the time of the last event.
    ranks: BTreeMap<Rank, Domain>,
    claims: usize,
    /// Counts the events.
    events: u64,
    meter: Arc<Meter>,
}

/// The place of a domain in the order of forgetting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    proven: bool,
    event: u64,
}

struct Kept {
    rank: Rank,
    events: VecDeque<Event>,
    account: Account,
}

impl Recorder {
    /// An empty recorder.
    pub fn new(bounds: Recording, meter: Arc<Meter>) -> Self {
        Self { bounds, domains: HashMap::new(), ranks: BTreeMap::new(), claims: 0, events: 0, meter }
    }

    fn record(&mut self, record: Record) {
        let Record { remote, claimed, event } = record;
        if self.bounds.domains == 0 || self.bounds.events == 0 {
            return;
        }
        self.events += 1;
        let rank = Rank { proven: !claimed, event: self.events };
        if self.domains.contains_key(&remote) {
            self.promote(&remote, rank);
        } else {
            self.make_room(claimed);
            self.claims += usize::from(claimed);
            self.ranks.insert(rank, remote.clone());
            let kept = Kept { rank, events: VecDeque::new(), account: Account::default() };
            self.domains.insert(remote.clone(), kept);
        }
        if let Some(kept) = self.domains.get_mut(&remote) {
            kept.enter(event, self.bounds.events);
        }
    }

    /// Moves a domain to its new place. A domain that was proven once stays proven.
    fn promote(&mut self, remote: &Domain, rank: Rank) {
        let Some(record) = self.domains.get_mut(remote) else { return };
        self.ranks.remove(&record.rank);
        let proven = record.rank.proven || rank.proven;
        self.claims -= usize::from(proven && !record.rank.proven);
        record.rank = Rank { proven, ..rank };
        self.ranks.insert(record.rank, remote.clone());
    }

    /// Forgets one domain if there is no room for another.
    fn make_room(&mut self, claimed: bool) {
        let full = self.domains.len() >= self.bounds.domains;
        let too_many_claims = claimed && self.claims > self.bounds.domains / CLAIMS_SHARE;
        if (full || too_many_claims)
            && let Some((rank, remote)) = self.ranks.pop_first()
        {
            self.claims -= usize::from(!rank.proven);
            self.domains.remove(&remote);
        }
    }

    fn progress(&self, pair: &DomainPair) -> Option<Progress> {
        let of_pair = |event: &&Event| event.local.as_deref() == Some(pair.local.as_str());
        let events = self.domains.get(&pair.remote)?.events.iter().rev();
        let step = events.filter(of_pair).find(|event| event.what.is_step())?;
        Some(Progress { what: step.what, address: step.address })
    }
}

impl Kept {
    /// Appends an event. Bounces with the same reason share one event, which counts them.
    fn enter(&mut self, event: Event, most: usize) {
        let counted = event.what == EventKind::Bounced;
        let place = if counted { self.events.iter().rposition(|known| known.repeats(&event)) } else { None };
        if let Some(known) = place.and_then(|place| self.events.remove(place)) {
            let (at, count) = (known.at, known.count.saturating_add(event.count));
            self.events.push_back(Event { at, count, ..event });
            return;
        }
        if self.events.len() >= most {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }
}

impl Actor for Recorder {
    type Context = Context<Self>;
}

impl Handler<Queued<Record>> for Recorder {
    type Result = ();

    fn handle(&mut self, record: Queued<Record>, _: &mut Context<Self>) {
        self.record(record.open());
    }
}

impl Handler<Queued<Settled>> for Recorder {
    type Result = ();

    fn handle(&mut self, settled: Queued<Settled>, _: &mut Context<Self>) {
        let Settled { accounts } = settled.open();
        for (domain, figures) in accounts {
            // Local domains have no record.
            if let Some(record) = self.domains.get_mut(&domain) {
                record.account = record.account.plus(figures);
            }
        }
    }
}

impl Handler<Queued<Recall>> for Recorder {
    type Result = ();

    fn handle(&mut self, recall: Queued<Recall>, _: &mut Context<Self>) {
        let Recall { remote, answer } = recall.open();
        let history = self.domains.get(&remote).map(|record| History {
            events: record.events.iter().cloned().collect(),
            account: record.account,
            lost: self.meter.refused(),
        });
        // The command may have timed out.
        let _ = answer.send(history);
    }
}

impl Handler<Queued<Locate>> for Recorder {
    type Result = ();

    fn handle(&mut self, locate: Queued<Locate>, _: &mut Context<Self>) {
        let Locate { pairs, answer } = locate.open();
        let _ = answer.send(pairs.iter().map(|pair| self.progress(pair)).collect());
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.meter.count_if_panicking();
    }
}

/// One in this many places is for domains that were only claimed.
const CLAIMS_SHARE: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn recorder(domains: usize, events: usize) -> Recorder {
        Recorder::new(Recording { domains, events }, Meter::new("recorder", 1, None))
    }

    fn domain(name: &str) -> Domain {
        Domain::new(name).unwrap()
    }

    fn proven(name: &str, event: Event) -> Record {
        Record { remote: domain(name), claimed: false, event }
    }

    fn claim(name: &str) -> Record {
        Record { remote: domain(name), claimed: true, event: Event::now(EventKind::Refused) }
    }

    fn events<'a>(recorder: &'a Recorder, name: &str) -> Vec<(EventKind, &'a str, u64)> {
        let record = &recorder.domains[&domain(name)];
        record.events.iter().map(|event| (event.what, event.text.as_str(), event.count)).collect()
    }

    #[test]
    fn drops_the_oldest_event_of_a_domain_first() {
        let mut recorder = recorder(10, 2);
        for what in [EventKind::Queued, EventKind::Resolved, EventKind::Connected] {
            recorder.record(proven("b.example", Event::now(what)));
        }
        assert_eq!(
            events(&recorder, "b.example"),
            [(EventKind::Resolved, "", 0), (EventKind::Connected, "", 0)]
        );
    }

    #[test]
    fn bounces_with_the_same_reason_share_one_event() {
        let mut recorder = recorder(10, 10);
        let bounced =
            |why: &str, count| proven("b.example", Event::now(EventKind::Bounced).saying(why).of(count));
        recorder.record(bounced("expired", 1));
        let first = recorder.domains[&domain("b.example")].events[0].at;
        recorder.record(bounced("refused", 2));
        recorder.record(proven("b.example", Event::now(EventKind::Queued)));
        recorder.record(bounced("expired", 40));
        let expected = [
            (EventKind::Bounced, "refused", 2),
            (EventKind::Queued, "", 0),
            (EventKind::Bounced, "expired", 41),
        ];
        assert_eq!(events(&recorder, "b.example"), expected);
        assert_eq!(recorder.domains[&domain("b.example")].events[2].at, first);
    }

    #[test]
    fn forgets_the_domain_with_the_oldest_last_event_first() {
        let mut recorder = recorder(3, 10);
        for name in ["a.example", "b.example", "c.example", "a.example", "d.example"] {
            recorder.record(proven(name, Event::now(EventKind::Queued)));
        }
        assert!(!recorder.domains.contains_key(&domain("b.example")));
        assert_eq!((recorder.domains.len(), recorder.ranks.len()), (3, 3));
    }

    #[test]
    fn claims_do_not_displace_proven_domains() {
        let mut recorder = recorder(80, 4);
        for number in 0..60 {
            recorder.record(proven(&format!("d{number}.example"), Event::now(EventKind::ConnectedToUs)));
        }
        for number in 0..1_000 {
            recorder.record(claim(&format!("stranger{number}.example")));
        }
        let proven =
            (0..60).all(|number| recorder.domains.contains_key(&domain(&format!("d{number}.example"))));
        assert!(proven && recorder.domains.len() <= 72, "{}", recorder.domains.len());
        assert!(recorder.domains.contains_key(&domain("stranger999.example")), "the last are remembered");
    }

    #[test]
    fn a_claimed_domain_that_proves_itself_is_no_claim() {
        let mut recorder = recorder(8, 4);
        recorder.record(claim("b.example"));
        assert_eq!(recorder.claims, 1);
        recorder.record(proven("b.example", Event::now(EventKind::ConnectedToUs)));
        recorder.record(claim("b.example"));
        assert_eq!(recorder.claims, 0);
        assert_eq!(events(&recorder, "b.example").len(), 3);
    }

    #[test]
    fn the_progress_of_an_attempt_is_its_last_step() {
        let mut recorder = recorder(8, 8);
        let address = ([127, 0, 0, 1], 5269).into();
        let (ours, other) = (domain("a.example"), domain("inbox.a.example"));
        recorder.record(proven("b.example", Event::now(EventKind::Connected).with(&ours).at(address)));
        recorder.record(proven("b.example", Event::now(EventKind::Queued).with(&other)));
        recorder.record(proven("b.example", Event::now(EventKind::Bounced).with(&ours)));
        let step = |local: &Domain| {
            recorder.progress(&DomainPair { local: local.clone(), remote: domain("b.example") }).unwrap()
        };
        assert_eq!(step(&ours), Progress { what: EventKind::Connected, address: Some(address) });
        assert_eq!(step(&other), Progress { what: EventKind::Queued, address: None });
    }

    #[test]
    fn records_nothing_if_a_bound_is_zero() {
        for (domains, most) in [(0, 4), (4, 0)] {
            let mut recorder = recorder(domains, most);
            recorder.record(proven("b.example", Event::now(EventKind::Queued)));
            assert!(recorder.domains.is_empty());
        }
    }
}
