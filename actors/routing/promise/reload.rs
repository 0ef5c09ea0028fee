//! Reload: stanzas that the new configuration forbids are answered, those for names that the node serves itself from now on
//! are given up, and everything else goes on with it.

use actix::{Context, Handler};
use xmpp::{Domain, DomainPair};

use super::{Adopt, LOG, MoveOut, MovedOut, Promise, State, answers::count, overflow::Why};
use crate::{
    dial::error::AttemptError,
    flow::{account::Outcome, batch::Batch},
    streams::outgoing,
};
use mailbox::Queued;

impl Handler<Queued<Adopt>> for Promise {
    type Result = ();

    fn handle(&mut self, adopt: Queued<Adopt>, _: &mut Context<Self>) {
        let Adopt { dial, bounds } = adopt.into_message();
        self.slots.set_limits(dial.dials());
        self.slots.set_names(dial.rules());
        self.schedule.set_names(dial.rules());
        self.waiting.set_bounds(bounds.clone());
        self.schedule.set_bounds(bounds);
        self.dial = dial;
        let pairs = self.pairs.iter().map(|(pair, _)| pair);
        let forbidden: Vec<DomainPair> = pairs.filter(|pair| !self.permits(pair)).cloned().collect();
        for pair in forbidden {
            let waiting = self.take_all(&pair, &AttemptError::Denied);
            self.answer(waiting, &AttemptError::Denied, Outcome::Answered);
            self.end_pair(&pair);
        }
        if let Some(adopt) = self.dial.policies() {
            for (_, known) in self.pairs.iter() {
                // A session that has just ended does not need it.
                match &known.state {
                    State::HandingOver(session) | State::Slow(session) => drop(session.signal(adopt.clone())),
                    State::Attempting(session) => drop(session.signal(adopt.clone())),
                    State::Claiming { .. }
                    | State::AwaitingSlot { .. }
                    | State::AwaitingReturn
                    | State::Pausing => {}
                }
            }
        }
        self.start_waiting();
    }
}

impl Handler<Queued<MoveOut>> for Promise {
    type Result = ();

    fn handle(&mut self, move_out: Queued<MoveOut>, _: &mut Context<Self>) {
        let MoveOut { local, heirs } = move_out.into_message();
        self.local = local;
        let known = self.pairs.iter().map(|(pair, _)| pair);
        let known: Vec<DomainPair> = known.filter(|pair| self.is_local(pair)).cloned().collect();
        let mut batches = Vec::new();
        for pair in known {
            batches.extend(self.take_to_move(&pair));
            self.end_pair(&pair);
        }
        // Pairs for which there was no room.
        let held: Vec<DomainPair> =
            self.waiting.held_pairs().filter(|pair| self.is_local(pair)).cloned().collect();
        for pair in held {
            batches.extend(self.waiting.take_all(&pair));
        }
        self.move_out(batches, heirs);
        self.start_waiting();
    }
}

impl Promise {
    /// Whether the node serves the remote domain of the pair itself, since a reload.
    pub(super) fn is_local(&self, pair: &DomainPair) -> bool {
        self.local.contains(&pair.remote)
    }

    /// Ends the link or the pause of a pair for which nothing is to wait any more.
    fn end_pair(&mut self, pair: &DomainPair) {
        match self.pairs.state(pair) {
            Some(State::HandingOver(session) | State::Slow(session)) => {
                drop(session.signal(outgoing::Forbid));
            }
            Some(State::Claiming { .. } | State::AwaitingSlot { .. } | State::Pausing) => self.remove(pair),
            // Decided when the attempt ends or the stanzas return.
            Some(State::Attempting(_) | State::AwaitingReturn) | None => {}
        }
    }

    /// Takes out all stanzas of a pair, in order. Those on the disk are moved when they are read.
    pub(super) fn take_to_move(&mut self, pair: &DomainPair) -> Vec<Batch> {
        let mut batches = self.waiting.take_queue(pair);
        if let Some(taken) = self.waiting.take_overflow(pair) {
            batches.extend(self.end(pair, taken, || Why::Moved));
        }
        // What is held.
        batches.extend(self.waiting.take_all(pair));
        batches
    }

    /// Gives stanzas for local names to the router. Those that a lost link carried may have arrived at the remote server that
    /// had the name, so they are answered.
    pub(super) fn move_out(&mut self, batches: Vec<Batch>, heirs: Vec<Domain>) {
        let (doubtful, mut batches): (Vec<_>, Vec<_>) =
            batches.into_iter().partition(|batch| batch.sends.may_have_arrived);
        self.answer_in_doubt(doubtful);
        if self.stopping {
            self.leave_or_answer(std::mem::take(&mut batches));
        }
        if !batches.is_empty() {
            log::info!(
                target: LOG, stanzas = count(&batches);
                "moved: this node serves their domains since a reload"
            );
        }
        if !batches.is_empty() || !heirs.is_empty() {
            // If the router is gone, the process ends.
            let _ = self.owners.moved_out.signal(MovedOut { batches, heirs });
        }
    }
}
