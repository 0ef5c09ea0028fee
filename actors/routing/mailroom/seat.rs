//! The seat of one component: its queue, and the connection that serves its name.

use std::time::{Duration, Instant};

use crate::{
    flow::batch::ReadPermit,
    routing::{overflow::Overflow, queue::Queue},
    settings::Absence,
    streams::component::Carrier,
};
use status::amount::Amount;

/// The seat of one component.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) queue: Queue,
    /// The part of the queue for which there is no room in memory: behind all that is there.
    pub(super) overflow: Overflow,
    /// What other nodes have lent, for the connection that serves the name. Empty if none to this node does.
    pub(super) lent: Queue,
    pub(super) rules: Absence,
    pub(super) state: State,
    /// When the last connection ended; before the first one, when the name became known.
    pub(super) absent_since: Instant,
    /// Read permits of the connection: it does not read its error answers, so it is not read either.
    unread: Vec<ReadPermit>,
    /// Reloads that have given remote names to the component, and after which the promise has not given up what waited for
    /// them: that is older than the queue.
    awaited_reloads: usize,
}

/// The connection of a component.
#[derive(Debug)]
pub(super) enum State {
    /// No connection serves the name.
    Absent,
    /// A connection has ended, and returns what it has not written.
    AwaitingReturn {
        /// That connection.
        of: Carrier,
        /// The connection that serves the name meanwhile.
        next: Option<Supplied>,
    },
    /// A connection gets what waits as it asks for it.
    Supplied(Supplied),
    /// The router sends to this connection itself.
    Direct(Carrier),
}

/// A connection that gets its stanzas from here.
#[derive(Debug)]
pub(super) struct Supplied {
    pub(super) component: Carrier,
    /// Bytes that it has asked for, if it waits for an answer.
    pub(super) asked: Option<usize>,
    /// The router has been told that nothing waits.
    pub(super) is_handed_over: bool,
    /// The time for which no connection had served the name. `None`: the connection is slow.
    pub(super) absence: Option<Duration>,
    /// Stanzas that it has got.
    pub(super) stanzas: usize,
}

impl State {
    /// This connection has ended, and has had the queue.
    fn awaiting(component: &Carrier) -> Self {
        Self::AwaitingReturn { of: component.clone(), next: None }
    }

    /// Whether a connection serves the name.
    pub(super) fn is_served(&self) -> bool {
        match self {
            Self::Absent | Self::AwaitingReturn { next: None, .. } => false,
            Self::AwaitingReturn { next: Some(_), .. } | Self::Supplied(_) | Self::Direct(_) => true,
        }
    }
}

impl Seat {
    /// A seat without a connection.
    pub(super) fn new(rules: Absence, now: Instant) -> Self {
        Self {
            queue: Queue::new(),
            overflow: Overflow::default(),
            lent: Queue::new(),
            rules,
            state: State::Absent,
            absent_since: now,
            unread: Vec::new(),
            awaited_reloads: 0,
        }
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.overflow.is_empty() && self.lent.is_empty()
    }

    /// What waits, in memory and in the journal.
    pub(super) fn amount(&self) -> Amount {
        let lent = Amount { stanzas: self.lent.len() as u64, bytes: self.lent.bytes() as u64 };
        self.own().plus(lent)
    }

    /// The same without what other nodes have lent.
    fn own(&self) -> Amount {
        let in_memory = Amount { stanzas: self.queue.len() as u64, bytes: self.queue.bytes() as u64 };
        in_memory.plus(self.overflow.amount())
    }

    /// When a stanza expires next; possibly nothing happens then.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        let lent = self.lent.next_expiry();
        self.queue.next_expiry().into_iter().chain(self.overflow.next_expiry()).chain(lent).min()
    }

    /// The time for which no connection has served the name; `None`: one does.
    pub(super) fn absence(&self, now: Instant) -> Option<Duration> {
        (!self.state.is_served()).then(|| now.saturating_duration_since(self.absent_since))
    }

    /// Error answers of this read of the connection wait in the queue. If they are beyond its limits, the connection is
    /// not read until it has read some of them.
    pub(super) fn hold_reader(&mut self, permit: ReadPermit) {
        if self.state.is_served() && self.is_beyond_limits() {
            self.unread.push(permit);
        }
    }

    /// Has the connection read again, if its queue is within its limits.
    pub(super) fn release_reader(&mut self) {
        if !self.unread.is_empty() && !self.is_beyond_limits() {
            self.unread = Vec::new();
        }
    }

    fn is_beyond_limits(&self) -> bool {
        let Amount { stanzas, bytes } = self.own();
        stanzas > self.rules.max_stanzas as u64 || bytes > self.rules.max_bytes as u64
    }

    /// A reload has given remote names to the component: what the promise gives up is awaited.
    pub(super) fn await_promise(&mut self) {
        self.awaited_reloads += 1;
    }

    /// The promise has given up what waited. Gives whether that goes in front of the queue: the connection gets its stanzas
    /// from there.
    pub(super) fn end_promise(&mut self) -> bool {
        self.awaited_reloads = self.awaited_reloads.saturating_sub(1);
        !matches!(self.state, State::Direct(_))
    }

    /// Whether what the promise gives up is awaited.
    pub(super) fn awaits_promise(&self) -> bool {
        self.awaited_reloads > 0
    }

    /// A connection serves the name, and gets its stanzas from here.
    pub(super) fn take_over(&mut self, component: Carrier, now: Instant) {
        let absence = self.absence(now);
        let supplied = Supplied { component, asked: None, is_handed_over: false, absence, stanzas: 0 };
        self.state = match std::mem::replace(&mut self.state, State::Absent) {
            State::AwaitingReturn { of, .. } => State::AwaitingReturn { of, next: Some(supplied) },
            State::Absent | State::Supplied(_) | State::Direct(_) => State::Supplied(supplied),
        };
    }

    /// The connection, if it gets its stanzas from here.
    pub(super) fn supplied(&mut self, component: &Carrier) -> Option<&mut Supplied> {
        let (State::Supplied(supplied) | State::AwaitingReturn { next: Some(supplied), .. }) =
            &mut self.state
        else {
            return None;
        };
        Some(supplied).filter(|supplied| supplied.component.is(component))
    }

    /// The connection that has been given everything and is not open yet: only stanzas that cross the end of the handover
    /// come for it.
    pub(super) fn handed_over(&self) -> Option<&Carrier> {
        match &self.state {
            State::Supplied(supplied) if supplied.is_handed_over => Some(&supplied.component),
            State::Supplied(_) | State::Absent | State::AwaitingReturn { .. } | State::Direct(_) => None,
        }
    }

    /// A connection no longer serves the name. `returns`: it returns what it has not written.
    pub(super) fn lose(&mut self, component: &Carrier, returns: bool, now: Instant) {
        match &mut self.state {
            // It got nothing yet.
            State::AwaitingReturn { next, .. } => {
                if next.take_if(|next| next.component.is(component)).is_none() {
                    return;
                }
            }
            State::Supplied(Supplied { component: current, .. }) | State::Direct(current)
                if current.is(component) =>
            {
                self.state = if returns { State::awaiting(component) } else { State::Absent };
            }
            State::Supplied(_) | State::Direct(_) | State::Absent => return,
        }
        self.unread = Vec::new();
        self.absent_since = now;
    }

    /// Awaits what a connection of another component returns, whose names this one has got. One that has a connection does
    /// not wait for it.
    pub(super) fn inherit(&mut self, component: &Carrier) {
        if matches!(self.state, State::Absent) {
            self.state = State::awaiting(component);
        }
    }

    /// Whether what this connection returns is awaited.
    pub(super) fn awaits(&self, component: &Carrier) -> bool {
        matches!(&self.state, State::AwaitingReturn { of, .. } if of.is(component))
    }

    /// The stanzas of this connection have returned. False: they were not expected.
    pub(super) fn end_return(&mut self, component: &Carrier) -> bool {
        let State::AwaitingReturn { of, next } = &mut self.state else { return false };
        if !of.is(component) {
            return false;
        }
        self.state = next.take().map_or(State::Absent, State::Supplied);
        true
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::routing::mailroom) fn rules() -> Absence {
        Absence {
            message: Duration::from_secs(300),
            presence: Duration::from_secs(60),
            iq: Duration::from_secs(10),
            max_stanzas: 100,
            max_bytes: 100_000,
            keep: None,
            redeliver: false,
        }
    }
}
