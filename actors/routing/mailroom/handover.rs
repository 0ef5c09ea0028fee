//! The handover of a queue to a connection, and the return of stanzas from a connection that ended.

use actix::{Context, Handler};
use xmpp::Domain;

use super::{
    Expect, HandedOver, LOG, Mailroom, Release, TakeOver,
    answers::Reason,
    delay::{stamp_kept, stamp_repeated},
    seat::{Seat, State},
    seconds,
};
use crate::{
    flow::{account::Outcome, batch::Batch},
    streams::component::{self, Carrier, Open, Retire, SendPortion},
};
use mailbox::Queued;

impl Mailroom {
    /// Answers the request of a connection, if there is one: with a portion, or with the end of the handover. Gives whether
    /// it was a portion.
    pub(super) fn supply(&mut self, name: &Domain) -> bool {
        let seat = self.seats.get_mut(name).filter(|seat| !seat.awaits_promise());
        let Some(seat) = seat else { return false };
        let (has_portion, is_empty) = (!seat.queue.is_empty() || !seat.lent.is_empty(), seat.is_empty());
        let State::Supplied(supplied) = &mut seat.state else { return false };
        if !has_portion && !is_empty {
            // Order is kept: what is on the disk is in front of all that comes. It is being read.
            return false;
        }
        let Some(room) = supplied.asked.take() else { return false };
        let component = supplied.component.clone();
        if has_portion {
            let portion = self.seats.take_portion(name, room);
            self.send(name, &component, portion);
            return true;
        }
        supplied.is_handed_over = true;
        if let Some(absence) = supplied.absence.filter(|_| supplied.stanzas > 0) {
            log::info!(
                target: LOG, name:% = name, stanzas = supplied.stanzas, absent:% = seconds(absence);
                "handed over"
            );
        }
        // If the router is gone, the process ends.
        let _ = self.owners.handed_over.signal(HandedOver { name: name.clone(), component });
        false
    }

    /// Passes on what crosses the end of a handover: nothing waits in front of it. Gives back what is to wait.
    pub(super) fn pass_on(&self, name: &Domain, batch: Batch) -> Option<Batch> {
        let seat = self.seats.get(name).filter(|seat| seat.is_empty() && !seat.awaits_promise());
        let Some(component) = seat.and_then(Seat::handed_over) else { return Some(batch) };
        // A connection that has panicked: it waits for the next one.
        component.signal(SendPortion { batches: vec![batch] }).err()?.into_inner().batches.pop()
    }

    /// Sends stanzas to a connection before it is open. If it has panicked, they wait for the next one.
    fn send(&mut self, name: &Domain, component: &Carrier, mut batches: Vec<Batch>) {
        let now = clock::now();
        if let Some(seat) = self.seats.get_mut(name) {
            batches.iter_mut().for_each(|batch| stamp_kept(batch, &seat.rules, now));
            if let Some(supplied) = seat.supplied(component) {
                supplied.stanzas += batches.iter().map(|batch| batch.stanzas.len()).sum::<usize>();
            }
        }
        if let Err(refused) = component.signal(SendPortion { batches }) {
            self.put_back_portion(name, refused.into_inner().batches);
        }
    }

    /// Puts back what a connection returned. A stanza that was written several times in vain is answered.
    fn put_back(&mut self, name: &Domain, doubtful: Vec<Batch>, unwritten: Vec<Batch>) {
        let (exhausted, mut again): (Vec<_>, Vec<_>) =
            doubtful.into_iter().partition(|batch| batch.sends.is_exhausted(false));
        self.answer(exhausted, &Reason::Exhausted, Outcome::Answered);
        let repeated: usize = again.iter().map(|batch| batch.stanzas.len()).sum();
        for batch in &mut again {
            batch.entry.repeat(batch.entry.held());
            stamp_repeated(batch);
        }
        again.extend(unwritten);
        let stanzas: usize = again.iter().map(|batch| batch.stanzas.len()).sum();
        if stanzas > 0 {
            log::info!(
                target: LOG, name:% = name, stanzas = stanzas, repeated = repeated;
                "queued again"
            );
        }
        self.seats.put_back(name, again);
        self.look_after(name);
    }
}

impl Mailroom {
    /// Gives what a connection returned for names that other components serve now to these: in front of their queues, if
    /// they await it.
    fn pass_to_heirs(
        &mut self,
        name: &Domain,
        component: &Carrier,
        mut doubtful: Vec<Batch>,
        mut unwritten: Vec<Batch>,
    ) {
        let waiting = self.seats.iter().filter(|(heir, seat)| *heir != name && seat.awaits(component));
        let heirs: Vec<Domain> = waiting.map(|(heir, _)| heir.clone()).collect();
        for heir in heirs {
            if !self.seats.get_mut(&heir).is_some_and(|seat| seat.end_return(component)) {
                continue;
            }
            let (mut own_doubtful, rest) = self.split_by_component(&heir, doubtful);
            doubtful = rest;
            let (mut own_unwritten, rest) = self.split_by_component(&heir, unwritten);
            unwritten = rest;
            if let Some(totals) = self.gained.get(&heir) {
                own_doubtful
                    .iter_mut()
                    .chain(&mut own_unwritten)
                    .for_each(|batch| batch.entry.move_to(totals));
            }
            self.put_back(&heir, own_doubtful, own_unwritten);
        }
        doubtful.extend(unwritten);
        self.move_on(doubtful);
    }
}

/// What a connection returned, in order; the part that may have arrived is marked.
fn mark_doubtful(mut doubtful: Vec<Batch>, unwritten: Vec<Batch>) -> Vec<Batch> {
    doubtful.iter_mut().for_each(|batch| batch.sends.may_have_arrived = true);
    doubtful.extend(unwritten);
    doubtful
}

impl Handler<Queued<TakeOver>> for Mailroom {
    type Result = ();

    fn handle(&mut self, take_over: Queued<TakeOver>, _: &mut Context<Self>) {
        let TakeOver { name, component, is_told, away } = take_over.into_message();
        if is_told {
            // Behind the message that opened it.
            let _ = component.signal(component::Pull);
        }
        // A name that is gone: the router expels the connection.
        if let Some(seat) = self.seats.get_mut(&name) {
            if let Some(away) = away {
                log::info!(
                    target: component::LOG, name:% = name, away:% = seconds(away),
                    waiting = seat.amount().stanzas;
                    "component restored"
                );
            }
            seat.take_over(component, clock::now());
        }
    }
}

impl Handler<Queued<component::Requested>> for Mailroom {
    type Result = ();

    fn handle(&mut self, requested: Queued<component::Requested>, _: &mut Context<Self>) {
        let component::Requested { name, component, room } = requested.into_message();
        let Some(seat) = self.seats.get_mut(&name) else { return };
        if let Some(supplied) = seat.supplied(&component).filter(|supplied| !supplied.is_handed_over) {
            supplied.asked = Some(room);
            self.look_after(&name);
        }
    }
}

impl Handler<Queued<Release>> for Mailroom {
    type Result = ();

    fn handle(&mut self, release: Queued<Release>, _: &mut Context<Self>) {
        let Release { name, component } = release.into_message();
        if let Some(seat) = self.seats.get_mut(&name) {
            let _ = component.signal(Open);
            seat.state = State::Direct(component);
        }
    }
}

impl Handler<Queued<Expect>> for Mailroom {
    type Result = ();

    fn handle(&mut self, expect: Queued<Expect>, _: &mut Context<Self>) {
        let Expect { name, component, heirs } = expect.into_message();
        // A connection that has panicked returns nothing. What it has not written shows as the difference of the account.
        let returns = component.signal(Retire).is_ok();
        for heir in heirs.iter().filter(|_| returns) {
            if let Some(seat) = self.seats.get_mut(heir) {
                seat.inherit(&component);
            }
        }
        let Some(seat) = self.seats.get_mut(&name) else { return };
        seat.lose(&component, returns, clock::now());
        self.give_back_lent(&name);
    }
}

impl Handler<Queued<component::Returned>> for Mailroom {
    type Result = ();

    fn handle(&mut self, returned: Queued<component::Returned>, _: &mut Context<Self>) {
        let component::Returned { name, component, mut doubtful, unwritten } = returned.into_message();
        let unwritten = Self::without_lent(&mut doubtful, unwritten);
        // A reload may have taken names away from the component while the connection had stanzas for them.
        let (doubtful, doubtful_others) = self.split_by_component(&name, doubtful);
        let (unwritten, unwritten_others) = self.split_by_component(&name, unwritten);
        self.pass_to_heirs(&name, &component, doubtful_others, unwritten_others);
        let now = clock::now();
        let was_expected = self.seats.get_mut(&name).is_some_and(|seat| {
            let was_expected = seat.end_return(&component);
            if !was_expected {
                // It has panicked: it returns nothing more when the router reports its end.
                seat.lose(&component, false, now);
            }
            was_expected
        });
        self.give_back_lent(&name);
        let absence = self.seats.get(&name).map(|seat| seat.absence(now));
        let reason = match (absence, was_expected) {
            (None, _) => Reason::Removed,
            (Some(Some(_)), _) if self.stopping => {
                return self.leave_or_answer(mark_doubtful(doubtful, unwritten));
            }
            (Some(_), true) => return self.put_back(&name, doubtful, unwritten),
            // A name that was removed and added again.
            (Some(absence), false) => Reason::Away(absence.unwrap_or_default()),
        };
        for batches in [doubtful, unwritten] {
            self.answer(batches, &reason, Outcome::Answered);
        }
    }
}
