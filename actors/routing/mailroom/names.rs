//! The names of the components: each seat is that of a component, whichever of its names a stanza is for.

use xmpp::Domain;

use super::{Mailroom, Moved, answers::Reason, seat::Seat};
use crate::flow::{account::Outcome, batch::Batch};

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

    /// Takes stanzas out of the queues that are for names which their components do not serve any more.
    pub(super) fn give_up_names(&mut self) {
        let waiting = self.seats.iter().filter(|(_, seat)| !seat.queue.is_empty());
        let components: Vec<Domain> = waiting.map(|(component, _)| component.clone()).collect();
        for component in components {
            let all = self.seats.take_all(&component);
            let (own, others) = self.split_by_component(&component, all);
            self.seats.put_back(&component, own);
            self.note_unwritten(&component);
            self.move_on(others);
        }
    }
}
