//! The pairs that have state, by pair and by remote domain.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use xmpp::{Domain, DomainPair};

use crate::{
    dial::attempt::Lost,
    routing::capacity,
    streams::outgoing::{Carrier, Interruption, Outgoing},
};
use mailbox::Mailbox;

/// The known pairs.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    known: HashMap<DomainPair, Pair>,
    /// The local domains of the known pairs, by remote domain, in order.
    by_remote: HashMap<Domain, Vec<Domain>>,
}

/// A known pair.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) state: State,
    /// When the pair became known.
    pub(super) since: Instant,
    /// The loss of its last session, while stanzas wait of which nobody knows whether they arrived.
    pub(super) interruption: Option<Box<Interruption>>,
}

/// How far the pair is on its way to a session.
#[derive(Debug)]
pub(super) enum State {
    /// All slots for attempts are in use.
    AwaitingSlot {
        /// An operator asked for the attempt: it is made even if nothing waits.
        requested: bool,
    },
    /// The cluster is asked which node has the link.
    Claiming {
        /// The number of the claim.
        number: u64,
        /// As for a slot.
        requested: bool,
        /// The time until the attempt, if this node makes it.
        delay: Duration,
    },
    /// An attempt is under way.
    Attempting(Mailbox<Outgoing>),
    /// The session has been given everything that waited, and the router is being informed.
    HandingOver(Carrier),
    /// The session asks for stanzas in portions, as its peer reads them.
    Slow(Carrier),
    /// A session has ended and returns the stanzas that it has not written.
    AwaitingReturn,
    /// The last attempt failed. The schedule knows when the next one is made.
    Pausing,
}

impl State {
    /// Whether a session takes what waits.
    pub(super) fn is_linked(&self) -> bool {
        match self {
            Self::HandingOver(_) | Self::Slow(_) => true,
            Self::Claiming { .. }
            | Self::AwaitingSlot { .. }
            | Self::Attempting(_)
            | Self::AwaitingReturn
            | Self::Pausing => false,
        }
    }
}

impl Pairs {
    pub(super) fn get(&self, pair: &DomainPair) -> Option<&Pair> {
        self.known.get(pair)
    }

    pub(super) fn state(&self, pair: &DomainPair) -> Option<&State> {
        self.known.get(pair).map(|known| &known.state)
    }

    /// Sets the state of a known pair.
    pub(super) fn set(&mut self, pair: &DomainPair, state: State) {
        if let Some(known) = self.known.get_mut(pair) {
            known.state = state;
        }
    }

    /// Notes the loss of the last session of a known pair.
    pub(super) fn interrupt(&mut self, pair: &DomainPair, interruption: Option<Box<Interruption>>) {
        if let Some(known) = self.known.get_mut(pair) {
            known.interruption = interruption;
        }
    }

    /// Takes the loss of the last session of a pair, which has a new one.
    pub(super) fn end_interruption(&mut self, pair: &DomainPair) -> Option<Box<Interruption>> {
        self.known.get_mut(pair).and_then(|known| known.interruption.take())
    }

    /// The lost stream for which the next attempt asks.
    pub(super) fn lost(&self, pair: &DomainPair) -> Option<&Lost> {
        self.known.get(pair)?.interruption.as_ref()?.lost.as_ref()
    }

    /// The peer does not answer the question about the lost stream: it is not asked again.
    pub(super) fn forget_lost(&mut self, pair: &DomainPair) {
        if let Some(interruption) = self.known.get_mut(pair).and_then(|known| known.interruption.as_mut()) {
            interruption.lost = None;
        }
    }

    pub(super) fn contains(&self, pair: &DomainPair) -> bool {
        self.known.contains_key(pair)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&DomainPair, &Pair)> {
        self.known.iter()
    }

    /// The known pairs with this remote domain, in the order of the local domains.
    pub(super) fn with_remote(&self, remote: &Domain) -> Vec<DomainPair> {
        let locals = self.by_remote.get(remote).into_iter().flatten();
        locals.map(|local| DomainPair { local: local.clone(), remote: remote.clone() }).collect()
    }

    pub(super) fn insert(&mut self, pair: DomainPair, state: State, now: Instant) {
        let locals = self.by_remote.entry(pair.remote.clone()).or_insert_with(|| Vec::with_capacity(1));
        if let Err(place) = locals.binary_search(&pair.local) {
            locals.insert(place, pair.local.clone());
        }
        self.known.insert(pair, Pair { state, since: now, interruption: None });
    }

    pub(super) fn remove(&mut self, pair: &DomainPair) -> Option<State> {
        if let Some(locals) = self.by_remote.get_mut(&pair.remote) {
            if let Ok(place) = locals.binary_search(&pair.local) {
                locals.remove(place);
            }
            if locals.is_empty() {
                self.by_remote.remove(&pair.remote);
            }
        }
        self.known.remove(pair).map(|known| known.state)
    }

    /// Releases memory that is no longer used.
    pub(super) fn tidy(&mut self) {
        capacity::shrink_map(&mut self.known);
        capacity::shrink_map(&mut self.by_remote);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(local: &str, remote: &str) -> DomainPair {
        DomainPair { local: Domain::new(local).unwrap(), remote: Domain::new(remote).unwrap() }
    }

    #[test]
    fn pairs_are_found_by_their_remote_domain_until_they_are_removed() {
        let (mut pairs, now) = (Pairs::default(), clock::now());
        let known =
            [pair("b.example", "r.example"), pair("a.example", "r.example"), pair("a.example", "s.example")];
        for pair in &known {
            pairs.insert(pair.clone(), State::Pausing, now);
        }
        let remote = known[0].remote.clone();
        assert_eq!(pairs.with_remote(&remote), [known[1].clone(), known[0].clone()]);
        assert!(matches!(pairs.remove(&known[0]), Some(State::Pausing)));
        assert!(pairs.remove(&known[0]).is_none());
        assert_eq!(pairs.with_remote(&remote), [known[1].clone()]);
        pairs.remove(&known[1]);
        assert!(pairs.with_remote(&remote).is_empty());
        assert_eq!((pairs.known.len(), pairs.by_remote.len()), (1, 1));
    }
}
