//! The seat of one component: its queue, and the connection that serves its name.

use std::time::{Duration, Instant};

use super::rules::Terms;
use crate::{
    flow::batch::{Batch, ReadPermit},
    routing::{
        overflow::Overflow,
        queue::{Bounds, Queue},
    },
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
    /// Stanzas of other nodes that came while the return of a relay is awaited. They are older than the queue: this node has
    /// sent them to the node where the component was, or a third one has. The budgets of their relays bound them.
    pub(super) ahead: Vec<Batch>,
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
    /// Connections have ended, and return what they have not written.
    AwaitingReturn {
        /// Those connections, in the order of their ends. At least one.
        of: Vec<Awaited>,
        /// The connection that serves the name meanwhile.
        next: Option<Supplied>,
    },
    /// A connection gets what waits as it asks for it.
    Supplied(Supplied),
    /// The router sends to this connection itself.
    Direct(Carrier),
}

/// A connection that has ended and returns stanzas.
#[derive(Debug)]
pub(super) struct Awaited {
    component: Carrier,
    /// Where the stanzas go.
    place: Place,
}

/// Where stanzas go that a connection returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In front of [`Seat::ahead`]: the connection has got nothing else.
    Ahead,
    /// Between [`Seat::ahead`] and the queue.
    BeforeQueue,
}

/// What [`Seat::end_return`] says about a return that was awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) place: Place,
    /// Another return is still awaited.
    pub(super) is_awaiting: bool,
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
        let awaited = Awaited { component: component.clone(), place: Place::BeforeQueue };
        Self::AwaitingReturn { of: vec![awaited], next: None }
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
            ahead: Vec::new(),
            rules,
            state: State::Absent,
            absent_since: now,
            unread: Vec::new(),
            awaited_reloads: 0,
        }
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.overflow.is_empty()
    }

    /// What waits, in memory and in the journal.
    pub(super) fn amount(&self) -> Amount {
        let in_memory = Amount { stanzas: self.queue.len() as u64, bytes: self.queue.bytes() as u64 };
        in_memory.plus(self.overflow.amount())
    }

    /// When a stanza expires next; possibly nothing happens then.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.queue.next_expiry().into_iter().chain(self.overflow.next_expiry()).min()
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
        let Amount { stanzas, bytes } = self.amount();
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

    /// Whether the return of a relay is awaited, so that stanzas of other nodes go ahead of the queue.
    pub(super) fn awaits_relay(&self) -> bool {
        matches!(&self.state, State::AwaitingReturn { of, .. } if of.iter().any(Awaited::is_relay))
    }

    /// Takes the first stanzas that go ahead, of about so many bytes, if a connection has asked for some. Gives the
    /// connection.
    pub(super) fn take_ahead(&mut self) -> Option<(Carrier, Vec<Batch>)> {
        let State::AwaitingReturn { of, next: Some(next) } = &mut self.state else { return None };
        // What a connection returns is older. It does that at once; a relay may wait for these stanzas.
        if self.ahead.is_empty() || !of.iter().all(Awaited::is_relay) {
            return None;
        }
        let (room, mut bytes) = (next.asked.take()?, 0);
        let beyond = self.ahead.iter().position(|batch| {
            let is_beyond = bytes >= room;
            bytes += batch.amount().bytes as usize;
            is_beyond
        });
        let behind = self.ahead.split_off(beyond.unwrap_or(self.ahead.len()));
        let portion = std::mem::replace(&mut self.ahead, behind);
        next.stanzas += portion.iter().map(|batch| batch.stanzas.len()).sum::<usize>();
        Some((next.component.clone(), portion))
    }

    /// Takes out what goes ahead and has waited for its time.
    pub(super) fn take_expired_ahead(&mut self, now: Instant) -> Vec<Batch> {
        let terms = Terms { rules: &self.rules, is_served: self.state.is_served(), returning: false };
        let mut expired = Vec::new();
        for batch in &mut self.ahead {
            let since = batch.since;
            expired.push(batch.extract(|stanza| since + terms.time_of(stanza) <= now));
        }
        expired.retain(|batch| !batch.stanzas.is_empty());
        self.ahead.retain(|batch| !batch.stanzas.is_empty());
        expired
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
            State::AwaitingReturn { of, next } => {
                let Some(lost) = next.take_if(|next| next.component.is(component)) else { return };
                if returns && lost.stanzas > 0 {
                    of.push(Awaited { component: component.clone(), place: Place::Ahead });
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
        matches!(&self.state, State::AwaitingReturn { of, .. } if of.iter().any(|it| it.component.is(component)))
    }

    /// The stanzas of this connection have returned. `None`: they were not expected.
    pub(super) fn end_return(&mut self, component: &Carrier) -> Option<Ended> {
        let State::AwaitingReturn { of, next } = &mut self.state else { return None };
        let Awaited { place, .. } = of.remove(of.iter().position(|it| it.component.is(component))?);
        let is_awaiting = !of.is_empty();
        if !is_awaiting {
            self.state = next.take().map_or(State::Absent, State::Supplied);
        }
        Some(Ended { place, is_awaiting })
    }
}

impl Awaited {
    fn is_relay(&self) -> bool {
        self.component.node().is_some()
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
