//! Claims: in a cluster, one node makes the link of each pair. A pair without a link is claimed first; if another node has
//! it, a relay takes the place of the session.
//!
//! The claim of a pair lasts as long as the pair is known here, or has a session: so no other node dials while this one
//! waits for the end of a pause.

use std::{collections::HashMap, sync::Arc, time::Duration};

use actix::{Context, Handler};
use cluster::name::NodeName;
use xmpp::DomainPair;

use super::{LOG, Promise, State};
use crate::{
    dial::error::AttemptError,
    flow::{
        claims::{Claim, Claims, Conflict, Freeze, Granted, HeldBy, NO_LEASE, Renounce, Unknown},
        ferry::Ferry,
    },
    routing::capacity,
    streams::outgoing::{Carrier, Dismiss, Handled, Outgoing, Relay, Yield},
};
use mailbox::{Mailbox, Queued, drain};

/// The claims of this node.
#[derive(Debug)]
pub(super) struct Claiming {
    claims: Claims,
    /// The number of the last claim.
    number: u64,
    held: HashMap<DomainPair, Held>,
}

/// A claim.
#[derive(Debug)]
struct Held {
    number: u64,
    state: Answer,
    /// The session of the pair, if it has one.
    session: Option<Mailbox<Outgoing>>,
}

/// The answer to a claim.
#[derive(Clone, Debug)]
enum Answer {
    /// None yet.
    Awaited,
    /// This node makes the link.
    Granted,
    /// This node had the claim when it lost its lease, and has no links without one: the next attempt claims again.
    Frozen,
    /// This node had the claim. Now this node has it.
    Lost(NodeName),
}

impl Claiming {
    pub(super) fn new(claims: Claims) -> Self {
        Self { claims, number: 0, held: HashMap::new() }
    }

    /// The claim with this number, if the pair has not been claimed again since.
    fn claim(&mut self, pair: &DomainPair, number: u64) -> Option<&mut Held> {
        self.held.get_mut(pair).filter(|held| held.number == number)
    }

    /// Claims a pair. Gives the number.
    fn begin(&mut self, pair: &DomainPair) -> u64 {
        self.number += 1;
        let held = Held { number: self.number, state: Answer::Awaited, session: None };
        self.held.insert(pair.clone(), held);
        // If the actor of the cluster is gone, the process ends.
        let _ = self.claims.claim.signal(Claim { pair: pair.clone(), number: self.number });
        self.number
    }

    /// Forgets a claim. Gives the cluster up what it may have granted.
    fn end(&mut self, pair: &DomainPair) {
        let Some(Held { number, state, .. }) = self.held.remove(pair) else { return };
        if !matches!(state, Answer::Lost(_)) {
            let _ = self.claims.renounce.signal(Renounce { pair: pair.clone(), number });
        }
        capacity::shrink_map(&mut self.held);
    }
}

impl Promise {
    /// Has the pair wait until it is known that this node makes its link. False: it makes it.
    pub(super) fn claims_first(&mut self, pair: &DomainPair, requested: bool, delay: Duration) -> bool {
        let Some(claiming) = &mut self.claiming else { return false };
        if claiming.held.get(pair).is_some_and(|held| matches!(held.state, Answer::Granted)) {
            return false;
        }
        let number = claiming.begin(pair);
        self.enter(pair, State::Claiming { number, requested, delay });
        true
    }

    /// The pair is forgotten.
    pub(super) fn renounce(&mut self, pair: &DomainPair) {
        if let Some(claiming) = &mut self.claiming {
            claiming.end(pair);
        }
    }

    /// Notes the session of a pair, which the cluster may want to be closed.
    pub(super) fn note_session(&mut self, pair: &DomainPair, session: &Carrier) {
        if let Some(claiming) = &mut self.claiming
            && let Some(held) = claiming.held.get_mut(pair)
        {
            held.session = session.here().cloned();
        }
    }

    /// Whether another node got the claim of a pair while this one made an attempt.
    pub(super) fn has_lost_claim(&self, pair: &DomainPair) -> bool {
        self.lost_to(pair).is_some()
    }

    fn lost_to(&self, pair: &DomainPair) -> Option<&NodeName> {
        match &self.claiming.as_ref()?.held.get(pair)?.state {
            Answer::Lost(node) => Some(node),
            Answer::Awaited | Answer::Granted | Answer::Frozen => None,
        }
    }

    /// Has a new session closed that this node must not have: another node has got its pair in the meantime, or the lease is
    /// lost and there are no links without it. What waits claims the pair again.
    pub(super) fn yield_link(&self, pair: &DomainPair, session: &Carrier) {
        let Some(session) = session.here() else { return };
        // A session that has ended needs nothing.
        if let Some(node) = self.lost_to(pair) {
            let _ = session.signal(Yield { node: node.clone() });
        } else if self.is_frozen(pair) {
            dismiss(session);
        }
    }

    fn is_frozen(&self, pair: &DomainPair) -> bool {
        let held = self.claiming.as_ref().and_then(|claiming| claiming.held.get(pair));
        held.is_some_and(|held| matches!(held.state, Answer::Frozen))
    }

    /// The claim of a pair is answered. Gives the state in which it waited, if it still does.
    fn answered(&mut self, pair: &DomainPair, number: u64) -> Option<(bool, Duration)> {
        match self.pairs.state(pair) {
            Some(&State::Claiming { number: awaited, requested, delay }) if awaited == number => {
                Some((requested, delay))
            }
            _ => None,
        }
    }

    /// Whether nothing waits for the answer any more: then the pair is forgotten.
    fn is_obsolete(&mut self, pair: &DomainPair, requested: bool) -> bool {
        let is_obsolete = self.stopping || !requested && self.waiting.is_idle(pair);
        if is_obsolete {
            self.remove(pair);
        }
        is_obsolete
    }

    /// Starts a relay for a pair, and gives it what waits.
    fn relay(&mut self, pair: &DomainPair, ferry: Ferry) {
        let Some(meter) = self.owners.cluster.as_ref().map(|cluster| cluster.relays.clone()) else { return };
        let (node, owners, own_pair) = (ferry.node.clone(), Arc::clone(&self.of_sessions), pair.clone());
        let relay = self
            .workers
            .start_actor(&meter, &pair.to_string(), move |own| Relay::new(own_pair, ferry, owners, own));
        self.established(pair, Carrier::There(relay, node), Handled::NotAsked);
    }
}

impl Handler<Queued<Granted>> for Promise {
    type Result = ();

    fn handle(&mut self, granted: Queued<Granted>, _: &mut Context<Self>) {
        let Granted { pair, number } = granted.into_message();
        let claim = self.claiming.as_mut().and_then(|claiming| claiming.claim(&pair, number));
        let Some(held) = claim else { return };
        held.state = Answer::Granted;
        if let Some((requested, delay)) = self.answered(&pair, number)
            && !self.is_obsolete(&pair, requested)
        {
            self.begin_after(&pair, requested, delay);
        }
    }
}

impl Handler<Queued<HeldBy>> for Promise {
    type Result = ();

    fn handle(&mut self, held_by: Queued<HeldBy>, _: &mut Context<Self>) {
        let HeldBy { pair, number, ferry } = held_by.into_message();
        let waited = self.answered(&pair, number);
        let Some(claiming) = self.claiming.as_mut().filter(|_| waited.is_some()) else { return };
        claiming.held.remove(&pair);
        if let Some((requested, _)) = waited
            && !self.is_obsolete(&pair, requested)
        {
            self.relay(&pair, ferry);
        }
    }
}

impl Handler<Queued<Unknown>> for Promise {
    type Result = ();

    fn handle(&mut self, unknown: Queued<Unknown>, _: &mut Context<Self>) {
        let Unknown { pair, number, why } = unknown.into_message();
        let waited = self.answered(&pair, number);
        let Some(claiming) = self.claiming.as_mut().filter(|_| waited.is_some()) else { return };
        claiming.held.remove(&pair);
        if let Some((requested, _)) = waited
            && !self.is_obsolete(&pair, requested)
        {
            log::debug!(target: LOG, pair:% = pair, why = why.as_str();
                "the cluster cannot say which node has the link");
            self.failed(&pair, AttemptError::NodesUnreachable);
        }
    }
}

impl Handler<Queued<Conflict>> for Promise {
    type Result = ();

    fn handle(&mut self, conflict: Queued<Conflict>, _: &mut Context<Self>) {
        let Conflict { pair, number, node } = conflict.into_message();
        let claim = self.claiming.as_mut().and_then(|claiming| claiming.claim(&pair, number));
        let Some(held) = claim else { return };
        held.state = Answer::Lost(node.clone());
        if let Some(session) = held.session.take() {
            // A session that has ended needs nothing: its stanzas claim the pair again.
            let _ = session.signal(Yield { node });
        }
    }
}

impl Handler<Queued<Freeze>> for Promise {
    type Result = ();

    /// The router closes the links that it knows. This actor has those of which it still hands over the queue, and the
    /// attempts, which are closed when they have a link.
    fn handle(&mut self, freeze: Queued<Freeze>, _: &mut Context<Self>) {
        freeze.into_message();
        let Some(claiming) = &mut self.claiming else { return };
        for held in claiming.held.values_mut().filter(|held| matches!(held.state, Answer::Granted)) {
            held.state = Answer::Frozen;
            if let Some(session) = &held.session {
                dismiss(session);
            }
        }
    }
}

fn dismiss(session: &Mailbox<Outgoing>) {
    // A session that has ended needs nothing: its stanzas claim the pair again.
    let _ = session.signal(Dismiss { reason: NO_LEASE, token: drain::tokens().0 });
}
