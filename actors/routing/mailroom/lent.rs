//! Stanzas that other nodes have lent, for a component that is connected here.
//!
//! They wait for the connection only, and in memory: when it ends, they go back to the nodes that keep them. The relays of these
//! nodes bound them, so the limits of the queue do not count for them. They are settled or given back here without regard to
//! what waits here itself, so no node waits for another one that waits for it.

use std::time::Duration;

use xmpp::{Domain, Stanza};

use super::{
    Mailroom,
    rules::READ_WITHIN,
    seat::{Seat, State},
};
use crate::{
    flow::batch::Batch,
    routing::queue::{Bounds, LeftBehind, Room},
    settings::Absence,
};

/// The bounds of what is lent.
struct Terms<'a>(&'a Absence);

impl Bounds for Terms<'_> {
    fn max_stanzas(&self) -> usize {
        usize::MAX
    }

    fn max_bytes(&self) -> usize {
        usize::MAX
    }

    fn time_of(&self, stanza: &Stanza) -> Duration {
        // A connection serves the name.
        self.0.time_of(stanza).max(READ_WITHIN)
    }
}

impl Seat {
    /// Whether a connection to this node serves the name.
    pub(super) fn has_connection(&self) -> bool {
        let current = match &self.state {
            State::Absent => None,
            State::AwaitingReturn { next, .. } => next.as_ref().map(|next| &next.component),
            State::Supplied(supplied) => Some(&supplied.component),
            State::Direct(component) => Some(component),
        };
        current.is_some_and(|component| component.here().is_some())
    }

    /// Appends what another node has lent.
    fn append_lent(&mut self, batch: Batch) {
        self.lent.set_replacing(false);
        let room = Room { bounds: &Terms(&self.rules), free: usize::MAX / 2 };
        // Nothing is beyond these bounds.
        let _ = self.lent.append(batch, room);
    }

    /// Puts what another node has lent in front of what waits of it.
    pub(super) fn put_back_lent(&mut self, unwritten: Vec<Batch>) {
        self.lent.put_back(LeftBehind { unwritten, ..LeftBehind::default() }, &Terms(&self.rules));
    }
}

impl Mailroom {
    /// Delivers what another node has lent, or gives it back.
    pub(super) fn deliver_lent(&mut self, mut batch: Batch) {
        let name = self.seat_of(&batch.to).filter(|(_, seat)| seat.has_connection()).map(|(name, _)| name);
        let Some(name) = name else { return batch.give_back() };
        batch.release();
        if let Some(batch) = self.pass_on(&name, batch)
            && let Some(seat) = self.seats.get_mut(&name)
        {
            seat.append_lent(batch);
            self.look_after(&name);
        }
    }

    /// A connection no longer serves a name. What other nodes have lent goes back to them.
    pub(super) fn give_back_lent(&mut self, name: &Domain) {
        if let Some(seat) = self.seats.get_mut(name).filter(|seat| !seat.has_connection()) {
            give_back(seat.lent.take_all());
        }
    }

    /// Gives back what a connection has not written of what other nodes have lent; gives the rest of what it returned. What
    /// may have arrived is settled for these nodes: this one sends it again.
    pub(super) fn without_lent(doubtful: &mut Vec<Batch>, unwritten: Vec<Batch>) -> Vec<Batch> {
        let now = clock::now();
        // What a node has taken back is sent by that node.
        doubtful.retain(|batch| batch.receipt.admits(now));
        doubtful.iter_mut().filter(|batch| batch.receipt.is_of_a_parcel()).for_each(Batch::keep_lent);
        let (lent, own) = unwritten.into_iter().partition(|batch| batch.receipt.is_of_a_parcel());
        give_back(lent);
        own
    }

    /// Puts a portion back that a connection has not taken.
    pub(super) fn put_back_portion(&mut self, name: &Domain, batches: Vec<Batch>) {
        let (lent, own): (Vec<Batch>, _) =
            batches.into_iter().partition(|batch| batch.receipt.is_of_a_parcel());
        self.seats.put_back(name, own);
        match self.seats.get_mut(name) {
            Some(seat) => seat.put_back_lent(lent),
            None => give_back(lent),
        }
    }
}

/// Gives stanzas back to the nodes that have lent them.
pub(super) fn give_back(batches: Vec<Batch>) {
    batches.into_iter().for_each(Batch::give_back);
}
