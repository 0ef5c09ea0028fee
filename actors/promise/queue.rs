//! What waits for the link of one domain pair: in order, each stanza with its time, within bounds.
//!
//! Architecture Invariant: plain data. Why it waits, and what is said to the senders, the promise knows.

use std::{collections::VecDeque, time::Instant};

use xmpp::{Stanza, stanza::Kind};

use crate::{
    account::{Outcome, Slip},
    batch::{self, Batch, Kept},
    settings::Promise as Bounds,
};

/// The stanzas that wait.
#[derive(Debug)]
pub(super) struct Queue {
    waiting: VecDeque<Waiting>,
    bytes: usize,
    slip: Slip,
}

#[derive(Debug)]
struct Waiting {
    kept: Kept,
    until: Instant,
}

impl Queue {
    pub(super) fn new() -> Self {
        Self { waiting: VecDeque::new(), bytes: 0, slip: Slip::none() }
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many stanzas of the batch, from its first on, fit; `free` bytes are left for all queues together.
    pub(super) fn room_in(&self, batch: &Batch, bounds: &Bounds, free: usize) -> usize {
        let stanzas = bounds.max_stanzas.saturating_sub(self.waiting.len());
        let bytes = bounds.max_bytes.saturating_sub(self.bytes).min(free);
        let mut needed = 0;
        let fits = |stanza: &&Stanza| {
            needed += stanza.bytes().len();
            needed <= bytes
        };
        batch.stanzas.iter().take(stanzas).take_while(fits).count()
    }

    /// Takes a batch to the end of the queue; its source reads on.
    pub(super) fn admit(&mut self, batch: Batch, bounds: &Bounds) {
        let (taken, since) = (batch.slip.held().stanzas > 0, batch.since);
        self.slip.merge(batch.slip);
        for stanza in batch.stanzas {
            self.replace_older_state(&stanza);
            self.bytes += stanza.bytes().len();
            let until = since + time_of(&stanza, bounds);
            // A few bytes that wait must not keep in memory all that one read brought.
            let kept = Kept { stanza: stanza.detached(), taken, since };
            self.waiting.push_back(Waiting { kept, until });
        }
    }

    /// Puts what a dead link gave back in front of everything; its time has gone on meanwhile.
    pub(super) fn put_back(&mut self, returned: Vec<Batch>, bounds: &Bounds) {
        let mut front = Self::new();
        for batch in returned {
            front.admit(batch, bounds);
        }
        self.slip.merge(front.slip.split(front.slip.held()));
        self.bytes += front.bytes;
        front.waiting.append(&mut self.waiting);
        self.waiting = front.waiting;
    }

    /// Takes out everything, in order.
    pub(super) fn take_all(&mut self) -> Vec<Batch> {
        self.take_where(|_| true)
    }

    /// Takes out the IQ requests, whose senders want an answer soon.
    pub(super) fn take_requests(&mut self) -> Vec<Batch> {
        self.take_where(|waiting| waiting.kept.stanza.is_request())
    }

    /// Takes out what has waited its time.
    pub(super) fn take_expired(&mut self, now: Instant) -> Vec<Batch> {
        self.take_where(|waiting| waiting.until <= now)
    }

    /// When the next stanza will have waited its time.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.waiting.iter().map(|waiting| waiting.until).min()
    }

    /// Since when the oldest has been waiting.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.waiting.iter().map(|waiting| waiting.kept.since).min()
    }

    /// Gives up the newest until at most `bytes` are left: presence first, then what its sender does not want stored
    /// (XEP-0334), then the rest.
    pub(super) fn shed(&mut self, bytes: usize) -> Vec<Batch> {
        let mut batches = Vec::new();
        for class in [Class::Presence, Class::NotToBeStored, Class::Other] {
            let mut surplus = self.bytes.saturating_sub(bytes);
            let mut chosen = vec![false; self.waiting.len()];
            for (waiting, chosen) in self.waiting.iter().zip(&mut chosen).rev() {
                if surplus > 0 && Class::of(&waiting.kept.stanza) == class {
                    surplus = surplus.saturating_sub(waiting.kept.stanza.bytes().len());
                    *chosen = true;
                }
            }
            let mut chosen = chosen.into_iter();
            batches.extend(self.take_where(|_| chosen.next().unwrap_or(false)));
        }
        batches
    }

    fn take_where(&mut self, mut wanted: impl FnMut(&Waiting) -> bool) -> Vec<Batch> {
        let all = self.waiting.drain(..).collect::<Vec<_>>();
        let (out, left): (Vec<_>, Vec<_>) = all.into_iter().partition(|waiting| wanted(waiting));
        self.waiting = left.into();
        self.bytes -= out.iter().map(|waiting| waiting.kept.stanza.bytes().len()).sum::<usize>();
        batch::batches(out.into_iter().map(|waiting| waiting.kept), &mut self.slip)
    }

    /// Presence that only updates a state makes the one before it pointless.
    fn replace_older_state(&mut self, newer: &Stanza) {
        if !is_state(newer) {
            return;
        }
        let same = |waiting: &Waiting| {
            let older = &waiting.kept.stanza;
            is_state(older) && older.from() == newer.from() && older.to() == newer.to()
        };
        if let Some(place) = self.waiting.iter().rposition(same)
            && let Some(older) = self.waiting.remove(place)
        {
            self.bytes -= older.kept.stanza.bytes().len();
            self.slip.settle(Outcome::Dropped, older.kept.amount());
        }
    }
}

/// What is given up first when there is too much.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Presence,
    NotToBeStored,
    Other,
}

impl Class {
    fn of(stanza: &Stanza) -> Self {
        match stanza.kind() {
            Kind::Presence => Self::Presence,
            Kind::Message if contains(stanza, "urn:xmpp:hints") && contains(stanza, "<no-") => {
                Self::NotToBeStored
            }
            Kind::Message | Kind::Iq => Self::Other,
        }
    }
}

/// Available or unavailable, and not the joining of a room (XEP-0045 7.2), which the room answers.
fn is_state(stanza: &Stanza) -> bool {
    stanza.kind() == Kind::Presence
        && matches!(stanza.type_(), None | Some("unavailable"))
        && !contains(stanza, "http://jabber.org/protocol/muc")
}

fn contains(stanza: &Stanza, text: &str) -> bool {
    std::str::from_utf8(stanza.bytes()).is_ok_and(|stanza| stanza.contains(text))
}

fn time_of(stanza: &Stanza, bounds: &Bounds) -> std::time::Duration {
    match stanza.kind() {
        Kind::Message => bounds.message,
        Kind::Presence => bounds.presence,
        Kind::Iq => bounds.iq,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use xmpp::xml::Element;

    use super::*;

    fn bounds() -> Bounds {
        Bounds {
            max_stanzas: 5,
            max_bytes: 10_000,
            total_bytes: 100_000,
            message: Duration::from_secs(300),
            presence: Duration::from_secs(60),
            iq: Duration::from_secs(45),
            backoff_first: Duration::from_secs(1),
            backoff_longest: Duration::from_secs(300),
        }
    }

    fn stanza(name: &str, type_: &str, id: &str) -> Stanza {
        let mut stanza =
            Element::new(name, "jabber:server").with("from", "a@a.example/x").with("to", "b@b.example");
        if !type_.is_empty() {
            stanza = stanza.with("type", type_);
        }
        Stanza::from_element(&stanza.with("id", id)).unwrap()
    }

    fn queue_of(stanzas: &[Stanza]) -> Queue {
        let mut queue = Queue::new();
        for stanza in stanzas {
            queue.admit(Batch::of(stanza.clone()), &bounds());
        }
        queue
    }

    fn ids(batches: &[Batch]) -> Vec<String> {
        let stanzas = batches.iter().flat_map(|batch| &batch.stanzas);
        stanzas.map(|stanza| stanza.id().unwrap().into_owned()).collect()
    }

    #[test]
    fn each_class_waits_its_own_time() {
        let now = Instant::now();
        let mut queue =
            queue_of(&[stanza("message", "", "m"), stanza("presence", "", "p"), stanza("iq", "get", "i")]);
        assert_eq!(ids(&queue.take_expired(now + Duration::from_secs(44))), [""; 0]);
        assert_eq!(ids(&queue.take_expired(now + Duration::from_secs(46))), ["i"]);
        assert_eq!(ids(&queue.take_expired(now + Duration::from_secs(61))), ["p"]);
        assert_eq!(ids(&queue.take_expired(now + Duration::from_secs(301))), ["m"]);
        assert_eq!((queue.bytes(), queue.is_empty()), (0, true));
    }

    #[test]
    fn a_newer_presence_replaces_the_older_of_the_same_two() {
        let mut queue = queue_of(&[
            stanza("presence", "", "1"),
            stanza("message", "", "2"),
            stanza("presence", "unavailable", "3"),
        ]);
        assert_eq!(ids(&queue.take_all()), ["2", "3"]);
    }

    #[test]
    fn a_subscription_or_the_joining_of_a_room_is_never_replaced() {
        let join = Element::new("presence", "jabber:server")
            .with("from", "a@a.example/x")
            .with("to", "b@b.example")
            .with("id", "2")
            .with_child(Element::new("x", "http://jabber.org/protocol/muc"));
        let join = Stanza::from_element(&join).unwrap();
        let mut queue = queue_of(&[stanza("presence", "subscribe", "1"), join, stanza("presence", "", "3")]);
        assert_eq!(ids(&queue.take_all()), ["1", "2", "3"]);
    }

    #[test]
    fn what_is_given_up_is_presence_first_and_the_newest_first() {
        let mut queue = queue_of(&[
            stanza("message", "", "1"),
            stanza("presence", "subscribe", "2"),
            stanza("message", "", "3"),
            stanza("message", "", "4"),
        ]);
        let one = queue.bytes() / 4;
        assert_eq!(ids(&queue.shed(queue.bytes() - one)), ["2"]);
        assert_eq!(ids(&queue.shed(one)), ["3", "4"], "the newest, and answered in order");
        assert_eq!(ids(&queue.take_all()), ["1"]);
    }

    #[test]
    fn what_a_dead_link_gives_back_comes_first() {
        let mut queue = queue_of(&[stanza("message", "", "3")]);
        let returned = vec![Batch::of(stanza("message", "", "1")), Batch::of(stanza("message", "", "2"))];
        queue.put_back(returned, &bounds());
        assert_eq!(ids(&queue.take_all()), ["1", "2", "3"]);
        assert_eq!(queue.bytes(), 0);
    }

    #[test]
    fn a_batch_fits_as_far_as_there_is_room() {
        let queue = queue_of(&[stanza("message", "", "1"), stanza("message", "", "2")]);
        let mut batch = Batch::of(stanza("message", "", "3"));
        batch.stanzas.extend((4..10).map(|id| stanza("message", "", &id.to_string())));
        assert_eq!(queue.room_in(&batch, &bounds(), 10_000), 3, "by the number of stanzas");
        let one = batch.stanzas[0].bytes().len();
        assert_eq!(queue.room_in(&batch, &bounds(), 2 * one), 2, "by the bytes left for all");
    }
}
