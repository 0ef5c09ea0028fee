//! The recorder keeps the last events of each remote domain, for `nuncio explain`.
//!
//! The actors that deal with remote domains send it the events of a link and the error answers, and do not wait: a full
//! mailbox loses events and counts them. Its memory is bounded in domains, events of a domain and bytes of text.
//!
//! Unauthenticated peers can cause events for any domain: claims. A claim never displaces the event of a proven domain.
//! One eighth of the places for domains is for domains that were only claimed, and one eighth of the events of a domain
//! is for claims.

mod events;
mod handle;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::Arc,
};

use actix::{Actor, Context, Handler};
use tokio::sync::oneshot;
use xmpp::{Domain, DomainPair};

use self::events::Events;
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
    /// The claimed domains and then the proven ones, each by the time of the last event.
    ranks: BTreeMap<Rank, Domain>,
    /// The number of domains that were only claimed.
    claims: usize,
    /// Counts the events.
    events: u64,
    /// Counts the records that were lost.
    meter: Arc<Meter>,
}

/// The place of a domain in the order of removal. A claim does not move a proven domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    proven: bool,
    event: u64,
}

struct Kept {
    rank: Rank,
    events: Events,
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
        match self.domains.get(&remote).map(|known| known.rank) {
            Some(known) if known.proven && claimed => {}
            Some(known) => self.promote(&remote, known, rank),
            None if self.make_room(rank.proven) => {
                self.claims += usize::from(claimed);
                self.ranks.insert(rank, remote.clone());
                let kept = Kept { rank, events: Events::default(), account: Account::default() };
                self.domains.insert(remote.clone(), kept);
            }
            None => return,
        }
        if let Some(kept) = self.domains.get_mut(&remote) {
            kept.events.enter(event, claimed, self.bounds.events);
        }
    }

    /// Moves a domain from the rank `known` to a newer one. If it was only claimed until now and is proven, it needs the
    /// place of a proven domain.
    fn promote(&mut self, remote: &Domain, known: Rank, rank: Rank) {
        if rank.proven && !known.proven {
            // Never fails: `reserved` leaves at least one place to proven domains.
            self.make_room(true);
            self.claims -= 1;
        }
        self.ranks.remove(&known);
        self.ranks.insert(rank, remote.clone());
        if let Some(kept) = self.domains.get_mut(remote) {
            kept.rank = rank;
        }
    }

    /// Makes a place for a proven or a claimed domain. If all places of that kind are taken, the oldest domain of the
    /// same kind is removed. Returns `false` if there are no places of that kind.
    fn make_room(&mut self, proven: bool) -> bool {
        let for_claims = reserved(self.bounds.domains);
        let (taken, places) = if proven {
            (self.domains.len() - self.claims, self.bounds.domains - for_claims)
        } else {
            (self.claims, for_claims)
        };
        if taken < places {
            return true;
        }
        let of_kind = Rank { proven, event: 0 }..=Rank { proven, event: u64::MAX };
        let oldest = self.ranks.range(of_kind).next().map(|(rank, remote)| (*rank, remote.clone()));
        let Some((rank, remote)) = oldest else { return false };
        self.ranks.remove(&rank);
        self.domains.remove(&remote);
        self.claims -= usize::from(!proven);
        true
    }

    fn progress(&self, pair: &DomainPair) -> Option<Progress> {
        let of_pair = |event: &&Event| event.local.as_deref() == Some(pair.local.as_str());
        let events = self.domains.get(&pair.remote)?.events.iter().rev();
        let step = events.filter(of_pair).find(|event| event.what.is_step())?;
        Some(Progress { what: step.what, address: step.address })
    }
}

impl Actor for Recorder {
    type Context = Context<Self>;
}

impl Handler<Queued<Record>> for Recorder {
    type Result = ();

    fn handle(&mut self, record: Queued<Record>, _: &mut Context<Self>) {
        self.record(record.into_message());
    }
}

impl Handler<Queued<Settled>> for Recorder {
    type Result = ();

    fn handle(&mut self, settled: Queued<Settled>, _: &mut Context<Self>) {
        let Settled { accounts } = settled.into_message();
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
        let Recall { remote, answer } = recall.into_message();
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
        let Locate { pairs, answer } = locate.into_message();
        let _ = answer.send(pairs.iter().map(|pair| self.progress(pair)).collect());
    }
}

/// The part of this many places that is for claims: one eighth. Of fewer than eight places, claims get none.
fn reserved(places: usize) -> usize {
    places / 8
}
