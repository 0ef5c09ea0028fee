//! The names of the components: each seat is that of a component, whichever of its names a stanza is for.

use std::collections::HashSet;

use actix::{Context, Handler};
use xmpp::{Domain, Served};

use super::{Mailroom, Moved, Precede, answers::Reason, lent::give_back, seat::Seat};
use crate::flow::{account::Outcome, batch::Batch};
use mailbox::Queued;

impl Mailroom {
    /// The seat of the component that serves a name, with the name under which it is configured.
    pub(super) fn seat_of(&self, name: &Domain) -> Option<(Domain, &Seat)> {
        let component = self.names.get(name)?;
        Some((component.clone(), self.seats.get(component)?))
    }

    /// Splits batches: those for the names of a component, and those for others.
    pub(super) fn split_by_component(
        &self,
        component: &Domain,
        batches: Vec<Batch>,
    ) -> (Vec<Batch>, Vec<Batch>) {
        batches.into_iter().partition(|batch| self.names.get(&batch.to) == Some(component))
    }

    /// Has stanzas routed again whose names another component serves now, and answers those whose names are gone.
    pub(super) fn move_on(&self, batches: Vec<Batch>) {
        let (moved, gone): (Vec<_>, Vec<_>) =
            batches.into_iter().partition(|batch| self.names.get(&batch.to).is_some());
        if !moved.is_empty() {
            // A router that is gone ends the process.
            let _ = self.owners.moved.signal(Moved { batches: moved });
        }
        self.answer(gone, &Reason::Removed, Outcome::Answered);
    }

    /// Moves stanzas to the queues of the components that serve their names now, in order, and answers those whose names are
    /// gone. The router sends nothing for these names to a connection before that has asked for what is moved.
    pub(super) fn move_over(&mut self, batches: Vec<Batch>) {
        let mut gone = Vec::new();
        for mut batch in batches {
            match self.names.get(&batch.to) {
                Some(component) => {
                    if let Some(totals) = self.gained.get(component) {
                        batch.entry.move_to(totals);
                    }
                    self.deliver(batch);
                }
                None => gone.push(batch),
            }
        }
        self.answer(gone, &Reason::Removed, Outcome::Answered);
    }

    /// Components have got names that were remote: they get nothing before the promise has given up what waits for these.
    pub(super) fn await_promise(&mut self, heirs: &[Domain]) {
        for heir in heirs {
            if let Some(seat) = self.seats.get_mut(heir) {
                seat.await_promise();
            }
        }
    }

    /// Moves stanzas out of the queues that are for names which their components do not serve any more. `before`: the
    /// component that served each name.
    pub(super) fn give_up_names(&mut self, before: &Served<Domain>) {
        for component in losers(before, &self.names) {
            let others = self.take_out_others(&component);
            self.move_over(others);
            if self.seats.has_overflow(&component) {
                self.lost_names.insert(component);
            }
        }
    }

    /// Takes stanzas out of a queue that are for names which its component has lost. To be called when a part of the queue
    /// was read from the disk.
    pub(super) fn give_up_what_was_read(&mut self, component: &Domain) {
        if self.lost_names.contains(component) {
            let others = self.take_out_others(component);
            self.move_on(others);
            if !self.seats.has_overflow(component) {
                self.lost_names.remove(component);
            }
        }
    }

    /// Takes out of the part in memory what is not for this component.
    fn take_out_others(&mut self, component: &Domain) -> Vec<Batch> {
        let lent = self.seats.get_mut(component).map(|seat| seat.lent.take_all()).unwrap_or_default();
        let (own_lent, others_lent) = self.split_by_component(component, lent);
        give_back(others_lent);
        if let Some(seat) = self.seats.get_mut(component) {
            seat.put_back_lent(own_lent);
        }
        let all = self.seats.take_all(component);
        let (own, others) = self.split_by_component(component, all);
        self.seats.put_back(component, own);
        self.note_unwritten(component);
        others
    }
}

impl Handler<Queued<Precede>> for Mailroom {
    type Result = ();

    fn handle(&mut self, precede: Queued<Precede>, _: &mut Context<Self>) {
        let Precede { mut batches, heirs } = precede.into_message();
        for heir in heirs {
            let Some(seat) = self.seats.get_mut(&heir) else { continue };
            let goes_in_front = seat.end_promise();
            let is_absent = seat.absence(clock::now()).is_some();
            if goes_in_front {
                let (own, others) = self.split_by_component(&heir, batches);
                batches = others;
                let (lent, mut own): (Vec<Batch>, Vec<Batch>) =
                    own.into_iter().partition(|batch| batch.receipt.is_of_a_parcel());
                match self.seats.get_mut(&heir).filter(|seat| seat.has_connection()) {
                    Some(seat) => seat.put_back_lent(lent),
                    None => give_back(lent),
                }
                if self.stopping && is_absent {
                    self.leave_or_answer(own);
                } else {
                    own.iter_mut().for_each(Batch::release);
                    self.seats.put_back(&heir, own);
                }
            }
            self.look_after(&heir);
        }
        // A later reload has moved their names again.
        self.move_on(batches);
    }
}

/// The components that have lost a name, or some of the domains of a wildcard.
fn losers(before: &Served<Domain>, now: &Served<Domain>) -> HashSet<Domain> {
    let gone = before.iter().filter(|(name, component)| now.get(name) != Some(component));
    let taken = now.iter().filter_map(|(name, component)| before.get(name).filter(|old| *old != component));
    gone.map(|(_, component)| component).chain(taken).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(names: &[(&str, &str)]) -> Served<Domain> {
        let name = |text| Domain::named(text).unwrap();
        names.iter().map(|(served, component)| (name(served), name(component))).collect()
    }

    #[test]
    fn a_component_loses_what_is_removed_and_what_another_gets() {
        let before =
            served(&[("a.example", "a.example"), ("b.example", "a.example"), ("*.c.example", "c.example")]);
        let lost = |now: &[(&str, &str)]| {
            let mut lost: Vec<String> = losers(&before, &served(now)).iter().map(Domain::to_string).collect();
            lost.sort();
            lost
        };
        let (a, b, c) =
            (("a.example", "a.example"), ("b.example", "a.example"), ("*.c.example", "c.example"));
        assert!(lost(&[a, b, c, ("d.example", "a.example")]).is_empty());
        assert_eq!(lost(&[a, c]), ["a.example"]);
        assert_eq!(lost(&[a, b, c, ("x.c.example", "x.c.example")]), ["c.example"]);
        assert_eq!(lost(&[a, ("b.example", "b.example"), c]), ["a.example"]);
        assert_eq!(lost(&[]), ["a.example", "c.example"]);
    }
}
