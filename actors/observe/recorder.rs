//! The flight recorder: what happened lately with each remote domain, for whoever asks why federation with it does not
//! work.
//!
//! Everybody who deals with remote domains tells it at the turns of a link's life and when stanzas are answered with an
//! error, and goes on at once: what a full mailbox does not take is lost, and counted. What it holds is bounded: so many
//! domains, so many events of each, so many bytes of text. A domain that only claims to be itself takes the place of
//! none that has proved it or that we wanted to reach, but for a small share.

mod notes;

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    net::SocketAddr,
    sync::Arc,
};

use actix::{Actor, Context, Handler};
use tokio::sync::oneshot;
use xmpp::{Domain, DomainPair};

pub use self::notes::RecorderHandle;
use crate::settings::Recording;
use mailbox::{Meter, Queued};
use status::{
    event::{Event, EventKind},
    report::Account,
};

/// This happened with a remote domain.
#[derive(Debug)]
pub struct Saw {
    /// Which.
    pub remote: Domain,
    /// Its own claim is all there is to show that it was that domain.
    pub claimed: bool,
    /// What.
    pub event: Event,
}

/// These domains have nothing waiting any more: keep what their accounts say.
#[derive(Debug)]
pub struct Settled {
    /// Each with the figures since the last time.
    pub accounts: Vec<(Domain, Account)>,
}

/// Tell what happened with a domain.
#[derive(Debug)]
pub struct Recall {
    /// Which.
    pub remote: Domain,
    /// Where the answer goes; `None`: nothing is known.
    pub answer: oneshot::Sender<Option<Memory>>,
}

/// Tell how far the attempts of these pairs are.
#[derive(Debug)]
pub struct Locate {
    /// Each of them being attempted.
    pub pairs: Vec<DomainPair>,
    /// In the same order; `None`: nothing is known.
    pub answer: oneshot::Sender<Vec<Option<Step>>>,
}

/// How far an attempt is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// What it did last.
    pub what: EventKind,
    /// The other end.
    pub address: Option<SocketAddr>,
}

/// What is remembered of a domain.
#[derive(Debug)]
pub struct Memory {
    /// The oldest first.
    pub events: Vec<Event>,
    /// What became of stanzas to it, as far as that is settled.
    pub account: Account,
    /// Events of all domains that were lost because too many came at once.
    pub lost: u64,
}

/// The actor that remembers.
pub struct Recorder {
    bounds: Recording,
    domains: HashMap<Domain, Record>,
    /// By rank, which says who is forgotten first: claims before others, then whoever was heard of longest ago.
    ranks: BTreeMap<Rank, Domain>,
    claims: usize,
    clock: u64,
    meter: Arc<Meter>,
}

/// Claims come first, then the order of the last events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    proven: bool,
    turn: u64,
}

struct Record {
    rank: Rank,
    events: VecDeque<Event>,
    account: Account,
}

impl Recorder {
    /// One that remembers nothing yet.
    pub fn new(bounds: Recording, meter: Arc<Meter>) -> Self {
        Self { bounds, domains: HashMap::new(), ranks: BTreeMap::new(), claims: 0, clock: 0, meter }
    }

    fn take(&mut self, saw: Saw) {
        let Saw { remote, claimed, event } = saw;
        if self.bounds.domains == 0 || self.bounds.events == 0 {
            return;
        }
        self.clock += 1;
        let rank = Rank { proven: !claimed, turn: self.clock };
        if self.domains.contains_key(&remote) {
            self.promote(&remote, rank);
        } else {
            self.make_room(claimed);
            self.claims += usize::from(claimed);
            self.ranks.insert(rank, remote.clone());
            let record = Record { rank, events: VecDeque::new(), account: Account::default() };
            self.domains.insert(remote.clone(), record);
        }
        if let Some(record) = self.domains.get_mut(&remote) {
            record.enter(event, self.bounds.events);
        }
    }

    /// Gives a domain its new place; proven once is proven.
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

    fn step(&self, pair: &DomainPair) -> Option<Step> {
        let of_pair = |event: &&Event| event.local.as_deref() == Some(pair.local.as_str());
        let events = self.domains.get(&pair.remote)?.events.iter().rev();
        let step = events.filter(of_pair).find(|event| event.what.is_step())?;
        Some(Step { what: step.what, address: step.address })
    }
}

impl Record {
    /// Enters an event at the end; of bounces for the same reason there is one entry that counts.
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

impl Handler<Queued<Saw>> for Recorder {
    type Result = ();

    fn handle(&mut self, saw: Queued<Saw>, _: &mut Context<Self>) {
        self.take(saw.open());
    }
}

impl Handler<Queued<Settled>> for Recorder {
    type Result = ();

    fn handle(&mut self, settled: Queued<Settled>, _: &mut Context<Self>) {
        let Settled { accounts } = settled.open();
        for (domain, figures) in accounts {
            // Of domains of our own there is no record.
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
        let memory = self.domains.get(&remote).map(|record| Memory {
            events: record.events.iter().cloned().collect(),
            account: record.account,
            lost: self.meter.refused(),
        });
        // Whoever asked may have given up.
        let _ = answer.send(memory);
    }
}

impl Handler<Queued<Locate>> for Recorder {
    type Result = ();

    fn handle(&mut self, locate: Queued<Locate>, _: &mut Context<Self>) {
        let Locate { pairs, answer } = locate.open();
        let _ = answer.send(pairs.iter().map(|pair| self.step(pair)).collect());
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.meter.count_if_panicking();
    }
}

/// Of all domains remembered, those that only claimed to be themselves may be one in so many.
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

    fn saw(name: &str, event: Event) -> Saw {
        Saw { remote: domain(name), claimed: false, event }
    }

    fn claim(name: &str) -> Saw {
        Saw { remote: domain(name), claimed: true, event: Event::now(EventKind::Refused) }
    }

    fn events<'a>(recorder: &'a Recorder, name: &str) -> Vec<(EventKind, &'a str, u64)> {
        let record = &recorder.domains[&domain(name)];
        record.events.iter().map(|event| (event.what, event.text.as_str(), event.count)).collect()
    }

    #[test]
    fn the_oldest_event_of_a_domain_goes_first() {
        let mut recorder = recorder(10, 2);
        for what in [EventKind::Queued, EventKind::Resolved, EventKind::Connected] {
            recorder.take(saw("b.example", Event::now(what)));
        }
        assert_eq!(
            events(&recorder, "b.example"),
            [(EventKind::Resolved, "", 0), (EventKind::Connected, "", 0)]
        );
    }

    #[test]
    fn bounces_for_the_same_reason_are_one_entry_that_counts() {
        let mut recorder = recorder(10, 10);
        let bounced =
            |why: &str, count| saw("b.example", Event::now(EventKind::Bounced).saying(why).of(count));
        recorder.take(bounced("expired", 1));
        let first = recorder.domains[&domain("b.example")].events[0].at;
        recorder.take(bounced("refused", 2));
        recorder.take(saw("b.example", Event::now(EventKind::Queued)));
        recorder.take(bounced("expired", 40));
        let expected = [
            (EventKind::Bounced, "refused", 2),
            (EventKind::Queued, "", 0),
            (EventKind::Bounced, "expired", 41),
        ];
        assert_eq!(events(&recorder, "b.example"), expected);
        assert_eq!(recorder.domains[&domain("b.example")].events[2].at, first);
    }

    #[test]
    fn the_domain_heard_of_longest_ago_is_forgotten_first() {
        let mut recorder = recorder(3, 10);
        for name in ["a.example", "b.example", "c.example", "a.example", "d.example"] {
            recorder.take(saw(name, Event::now(EventKind::Queued)));
        }
        assert!(!recorder.domains.contains_key(&domain("b.example")));
        assert_eq!((recorder.domains.len(), recorder.ranks.len()), (3, 3));
    }

    #[test]
    fn a_flood_of_claims_displaces_nobody_who_was_proven() {
        let mut recorder = recorder(80, 4);
        for number in 0..60 {
            recorder.take(saw(&format!("d{number}.example"), Event::now(EventKind::ConnectedToUs)));
        }
        for number in 0..1_000 {
            recorder.take(claim(&format!("stranger{number}.example")));
        }
        let proven =
            (0..60).all(|number| recorder.domains.contains_key(&domain(&format!("d{number}.example"))));
        assert!(proven && recorder.domains.len() <= 72, "{}", recorder.domains.len());
        assert!(recorder.domains.contains_key(&domain("stranger999.example")), "the last are remembered");
    }

    #[test]
    fn whoever_proves_itself_later_is_no_claim_any_more() {
        let mut recorder = recorder(8, 4);
        recorder.take(claim("b.example"));
        assert_eq!(recorder.claims, 1);
        recorder.take(saw("b.example", Event::now(EventKind::ConnectedToUs)));
        recorder.take(claim("b.example"));
        assert_eq!(recorder.claims, 0);
        assert_eq!(events(&recorder, "b.example").len(), 3);
    }

    #[test]
    fn an_attempt_is_as_far_as_its_last_step() {
        let mut recorder = recorder(8, 8);
        let address = ([127, 0, 0, 1], 5269).into();
        let (ours, other) = (domain("a.example"), domain("inbox.a.example"));
        recorder.take(saw("b.example", Event::now(EventKind::Connected).with(&ours).at(address)));
        recorder.take(saw("b.example", Event::now(EventKind::Queued).with(&other)));
        recorder.take(saw("b.example", Event::now(EventKind::Bounced).with(&ours)));
        let step = |local: &Domain| {
            recorder.step(&DomainPair { local: local.clone(), remote: domain("b.example") }).unwrap()
        };
        assert_eq!(step(&ours), Step { what: EventKind::Connected, address: Some(address) });
        assert_eq!(step(&other), Step { what: EventKind::Queued, address: None });
    }

    #[test]
    fn nothing_is_remembered_when_there_is_no_room() {
        for (domains, most) in [(0, 4), (4, 0)] {
            let mut recorder = recorder(domains, most);
            recorder.take(saw("b.example", Event::now(EventKind::Queued)));
            assert!(recorder.domains.is_empty());
        }
    }
}
