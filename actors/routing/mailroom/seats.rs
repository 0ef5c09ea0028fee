//! The seats of all components, and the bounds of their queues.
//!
//! Architecture Invariant: no message is sent here. The caller answers the stanzas that are taken out.

mod overflow;

use std::{collections::HashMap, time::Instant};

use xmpp::Domain;

use super::{rules::Terms, seat::Seat};
use crate::{
    flow::batch::{Batch, ReadPermit},
    routing::{
        overflow::{Footprint, TakenOut},
        queue::{Bound, LeftBehind, Queue, Rest},
    },
    settings::Absence,
};

/// The seats of all components.
#[derive(Debug)]
pub(super) struct Seats {
    known: HashMap<Domain, Seat>,
    /// What all queues take.
    total: Footprint,
    total_bytes: usize,
    /// Queues that are full overflow to the journal.
    can_overflow: bool,
}

/// What waited for a name that is gone.
#[derive(Debug)]
pub(super) struct Gone {
    pub(super) name: Domain,
    /// What was in memory.
    pub(super) batches: Vec<Batch>,
    /// What other nodes have lent.
    pub(super) lent: Vec<Batch>,
    /// The part in the journal.
    pub(super) overflow: TakenOut,
}

/// The limit that keeps a stanza from being queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    /// Stanzas for the component.
    Stanzas,
    /// Bytes for the component.
    Bytes,
    /// Bytes for all components.
    TotalBytes,
    /// The part of the journal for queues that are full in memory.
    Journal,
    /// The memory for the entries of stanzas in the journal: a quarter of that for all components.
    Entries,
    /// Bytes for the component that the journal has not written yet.
    Unwritten,
}

impl Limit {
    /// Its key in the configuration.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Stanzas => "absence.max_stanzas",
            Self::Bytes | Self::Unwritten => "absence.max_bytes",
            Self::TotalBytes | Self::Entries => "absence.total_bytes",
            Self::Journal => "journal.max_bytes",
        }
    }

    /// The limit for the sender of a stanza.
    pub(super) fn text(self) -> String {
        let key = self.key();
        match self {
            Self::Stanzas | Self::Bytes | Self::TotalBytes | Self::Journal => key.to_owned(),
            Self::Entries => format!("a quarter of {key}, for stanzas that are in the journal"),
            Self::Unwritten => format!("{key}, for stanzas that the journal has not written yet"),
        }
    }

    /// What does not fit, with the limits.
    fn of_rest(rest: Rest) -> Vec<(Self, Batch)> {
        let without_memory = rest.without_memory.map(|batch| (Self::TotalBytes, batch));
        let refused = rest.refused.into_iter().map(|(bound, batch)| (Self::from(bound), batch));
        refused.chain(without_memory).collect()
    }
}

impl From<Bound> for Limit {
    fn from(bound: Bound) -> Self {
        match bound {
            Bound::Stanzas => Self::Stanzas,
            Bound::Bytes => Self::Bytes,
            Bound::Memory => Self::TotalBytes,
            Bound::Disk => Self::Journal,
            Bound::Entries => Self::Entries,
            Bound::Unwritten => Self::Unwritten,
        }
    }
}

impl Seats {
    pub(super) fn new(total_bytes: usize) -> Self {
        Self { known: HashMap::new(), total: Footprint::default(), total_bytes, can_overflow: false }
    }

    /// Sets the names and their rules. Returns the names that are gone, with what waited for them.
    pub(super) fn adopt(
        &mut self,
        components: impl IntoIterator<Item = (Domain, Absence)>,
        total_bytes: usize,
        now: Instant,
    ) -> Vec<Gone> {
        self.total_bytes = total_bytes;
        let mut before = std::mem::take(&mut self.known);
        for (name, rules) in components {
            let seat = match before.remove(&name) {
                Some(mut seat) => {
                    seat.rules = rules;
                    seat.release_reader();
                    seat
                }
                None => Seat::new(rules, now),
            };
            self.known.insert(name, seat);
        }
        let gone = before.into_iter().map(|(name, mut seat)| {
            self.total.replace(Footprint::of(&seat.queue, &seat.overflow), Footprint::default());
            let (batches, lent) = (seat.queue.take_all(), seat.lent.take_all());
            Gone { name, batches, lent, overflow: seat.overflow.take_all() }
        });
        gone.collect()
    }

    pub(super) fn get(&self, name: &Domain) -> Option<&Seat> {
        self.known.get(name)
    }

    pub(super) fn get_mut(&mut self, name: &Domain) -> Option<&mut Seat> {
        self.known.get_mut(name)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Domain, &Seat)> {
        self.known.iter()
    }

    /// The names without a connection.
    pub(super) fn absent(&self) -> Vec<Domain> {
        let now = clock::now();
        let absent = self.known.iter().filter(|(_, seat)| seat.absence(now).is_some());
        absent.map(|(name, _)| name.clone()).collect()
    }

    /// The names for which a stanza may have expired.
    pub(super) fn due(&self, now: Instant) -> Vec<Domain> {
        let due = self.known.iter().filter(|(_, seat)| seat.next_expiry().is_some_and(|at| at <= now));
        due.map(|(name, _)| name.clone()).collect()
    }

    /// Appends a batch to the queue of its component. Gives back what does not fit, with the limits.
    pub(super) fn append(&mut self, name: &Domain, batch: Batch) -> Vec<(Limit, Batch)> {
        let returning = batch.returning;
        let reader = returning.then(|| batch.permit.clone());
        let rest = self.with(name, returning, |queue| queue.append_in_memory_only(batch));
        self.hold_reader(name, reader);
        rest.map(Limit::of_rest).unwrap_or_default()
    }

    /// Error answers of this read of a connection were appended.
    fn hold_reader(&mut self, name: &Domain, reader: Option<ReadPermit>) {
        if let Some((seat, reader)) = self.get_mut(name).zip(reader) {
            seat.hold_reader(reader);
        }
    }

    /// Puts stanzas that a connection returned in front. They were accepted once, so they are not refused.
    pub(super) fn put_back(&mut self, name: &Domain, unwritten: Vec<Batch>) {
        self.with(name, false, |queue| {
            queue.queue.put_back(LeftBehind { unwritten, ..LeftBehind::default() }, queue.bounds);
        });
    }

    /// Offers everything to the journal once more.
    pub(super) fn offer_again(&mut self) {
        self.known.values_mut().for_each(|seat| seat.queue.offer_again());
    }

    /// Takes out all stanzas, in order.
    pub(super) fn take_all(&mut self, name: &Domain) -> Vec<Batch> {
        self.take(name, Queue::take_all)
    }

    /// Takes out the next stanzas: about so many bytes. If stanzas of this node and of others wait, each get half of them.
    pub(super) fn take_portion(&mut self, name: &Domain, bytes: usize) -> Vec<Batch> {
        let Some(seat) = self.get_mut(name) else { return Vec::new() };
        let (has_own, has_lent) = (!seat.queue.is_empty(), !seat.lent.is_empty());
        let mut portion = match (has_own, has_lent) {
            (_, false) => Vec::new(),
            (true, true) => seat.lent.take_first(bytes / 2),
            (false, true) => seat.lent.take_first(bytes),
        };
        if has_own {
            let lent: u64 = portion.iter().map(|batch| batch.amount().bytes).sum();
            let rest = bytes.saturating_sub(usize::try_from(lent).unwrap_or(usize::MAX));
            portion.extend(self.take(name, |queue| queue.take_first(rest)));
        }
        portion
    }

    /// Takes out the stanzas whose time is over.
    pub(super) fn take_expired(&mut self, name: &Domain, now: Instant) -> Vec<Batch> {
        let mut expired = self.get_mut(name).map(|seat| seat.lent.take_expired(now)).unwrap_or_default();
        expired.extend(self.take(name, |queue| queue.take_expired(now)));
        expired
    }

    fn take(&mut self, name: &Domain, take: impl FnOnce(&mut Queue) -> Vec<Batch>) -> Vec<Batch> {
        self.with(name, false, |queue| take(queue.queue)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use xmpp::{Stanza, xml::Element};

    use super::{super::seat::tests::rules, *};

    fn name(name: &str) -> Domain {
        Domain::new(name).unwrap()
    }

    fn batch(to: &str, count: usize) -> Batch {
        let stanza = |id: usize| {
            let element = Element::new("message", "jabber:server").with("from", "a@a.example");
            Stanza::from_element(&element.with("to", format!("b@{to}")).with("id", id.to_string())).unwrap()
        };
        Batch::between(name("a.example"), name(to), (0..count).map(stanza).collect())
    }

    fn seats(rules: &Absence, total_bytes: usize) -> Seats {
        let mut seats = Seats::new(total_bytes);
        let names = ["b.example", "c.example"].map(|known| (name(known), rules.clone()));
        assert!(seats.adopt(names, total_bytes, clock::now()).is_empty());
        seats
    }

    #[test]
    fn each_limit_is_named() {
        let length = batch("b.example", 1).stanzas[0].bytes().len();
        let full = |rules: Absence, total_bytes| {
            let mut seats = seats(&rules, total_bytes);
            let rest = seats.append(&name("b.example"), batch("b.example", 5)).pop().unwrap();
            (rest.1.stanzas.len(), rest.0)
        };
        assert_eq!(full(Absence { max_stanzas: 3, ..rules() }, 1 << 20), (2, Limit::Stanzas));
        assert_eq!(full(Absence { max_bytes: 2 * length, ..rules() }, 1 << 20), (3, Limit::Bytes));
        assert_eq!(full(rules(), 500), (4, Limit::TotalBytes));
    }

    #[test]
    fn more_error_answers_wait_than_other_stanzas() {
        let returning = |count| Batch { returning: true, ..batch("b.example", count) };
        let mut seats = seats(&Absence { max_stanzas: 2, ..rules() }, 1 << 20);
        assert!(seats.append(&name("b.example"), returning(10)).is_empty());
        let (limit, rest) = seats.append(&name("b.example"), returning(10)).pop().unwrap();
        assert_eq!((limit, rest.stanzas.len()), (Limit::Stanzas, 10));
    }

    #[test]
    fn the_total_is_shared_and_falls_when_stanzas_are_taken_out() {
        let mut seats = seats(&rules(), 1200);
        assert!(seats.append(&name("b.example"), batch("b.example", 2)).is_empty());
        let (limit, rest) = seats.append(&name("c.example"), batch("c.example", 2)).pop().unwrap();
        assert_eq!((rest.stanzas.len(), limit), (1, Limit::TotalBytes));
        assert_eq!(seats.take_all(&name("b.example")).len(), 1);
        assert!(seats.append(&name("c.example"), batch("c.example", 1)).is_empty());
        let later = clock::now() + Duration::from_secs(301);
        assert_eq!(seats.due(later), [name("c.example")]);
        assert_eq!(seats.take_expired(&name("c.example"), later).len(), 2);
        assert_eq!(seats.total, Footprint::default());
    }

    #[test]
    fn a_name_that_is_gone_gives_up_its_queue() {
        let mut seats = seats(&rules(), 1 << 20);
        assert!(seats.append(&name("b.example"), batch("b.example", 2)).is_empty());
        let gone = seats.adopt([(name("c.example"), rules())], 1 << 20, clock::now());
        assert_eq!((gone.len(), gone[0].batches[0].stanzas.len(), seats.total.weight), (1, 2, 0));
    }
}
