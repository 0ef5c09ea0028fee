//! The sender of parcels to one node: numbers them, sends them until they have arrived, and keeps what is not settled.

mod check;
mod round_trip;
mod slots;

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use bytes::Bytes;

use self::{
    check::check,
    round_trip::RoundTrip,
    slots::{Held, Slots},
};
use super::{
    FRAME,
    codec::{self, Meta, encoded_bound},
    frame::{Control, Echo, Header, Over, Parcel},
    lie::Lie,
    ranges::Ranges,
    returned::Returned,
};

/// The sending end of a session. `C` is what the sender keeps for a parcel and gets back.
#[derive(Debug)]
pub struct Outbound<C> {
    header: Header,
    /// Bytes that may be unsettled before there is no room.
    window: usize,
    /// A frame with several parcels has at most so many bytes.
    frame_bytes: usize,
    began: Instant,
    /// What is not settled.
    slots: Slots<C>,
    unsettled_bytes: usize,
    /// The highest number that was sent.
    sent: u64,
    /// All up to this number have been received.
    received: u64,
    /// What is to be sent again.
    lost: BTreeSet<u64>,
    /// The last frame that was sent.
    frame: u64,
    /// All settlements up to this number have been seen.
    seen: u64,
    /// When the receiver is to be told so, if nothing else is sent.
    tell_seen_at: Option<Instant>,
    /// When the oldest parcel that has not been received is sent again.
    resend_at: Option<Instant>,
    /// How often that happened since something was received.
    timeouts: u32,
    /// When the receiver is to be asked, if nothing is heard of it.
    ask_at: Option<Instant>,
    round_trip: RoundTrip,
    resent: u64,
}

/// What a report of the receiver says about parcels for the first time.
#[derive(Debug, PartialEq, Eq)]
pub struct Reported<C> {
    /// What is settled, in order.
    pub settled: Vec<C>,
    /// What comes back.
    pub returned: Vec<GivenBack<C>>,
}

impl<C> Default for Reported<C> {
    fn default() -> Self {
        Self { settled: Vec::new(), returned: Vec::new() }
    }
}

/// A parcel that the receiver gives back.
#[derive(Debug, PartialEq, Eq)]
pub struct GivenBack<C> {
    /// What the sender kept for it.
    pub custody: C,
    /// The stanzas that were not delivered, counted from 0 over all batches; all others are settled. `None`: nothing of it was
    /// delivered.
    pub stanzas: Option<Ranges>,
}

/// What a session leaves.
#[derive(Debug, PartialEq, Eq)]
pub struct Ended<C> {
    /// What the end reports.
    pub reported: Reported<C>,
    /// The rest, in order.
    pub unsettled: Vec<Unsettled<C>>,
}

/// A parcel of which the receiver has said neither.
#[derive(Debug, PartialEq, Eq)]
pub struct Unsettled<C> {
    /// What the sender kept for it.
    pub custody: C,
    /// The other node may have delivered it, or a part of it.
    pub in_doubt: bool,
}

impl<C> Outbound<C> {
    /// Begins a session. Its number in `header` is larger than that of the last session of this run with this node.
    /// `window`: see [`has_room`](Self::has_room).
    pub fn new(header: Header, window: usize, now: Instant) -> Self {
        Self {
            header,
            window,
            frame_bytes: FRAME,
            began: now,
            slots: Slots::default(),
            unsettled_bytes: 0,
            sent: 0,
            received: 0,
            lost: BTreeSet::new(),
            frame: 0,
            seen: 0,
            tell_seen_at: None,
            resend_at: None,
            timeouts: 0,
            ask_at: None,
            round_trip: RoundTrip::default(),
            resent: 0,
        }
    }

    /// The nodes and the session of its frames.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Takes a parcel of at most [`PARCEL`](super::PARCEL) bytes, or with a single stanza. `bytes` count against the window
    /// until it is settled. Gives its number.
    pub fn send(&mut self, parcel: Parcel, bytes: usize, custody: C, now: Instant) -> u64 {
        self.unsettled_bytes += bytes;
        self.slots.push(Held { custody, bytes, parcel: Some(parcel), since: now, sent: None })
    }

    /// The carrier takes frames of at most so many bytes from now on. A parcel that does not fit into one is not divided.
    pub fn limit_frames(&mut self, bytes: usize) {
        self.frame_bytes = FRAME.min(bytes);
    }

    /// An upper bound for the longest frame with a single parcel that may have to be sent, in bytes.
    pub fn longest_alone(&self) -> usize {
        let longest = self.slots.parcels().map(encoded_bound).max();
        longest.map_or(0, |bytes| codec::HEADER + bytes)
    }

    /// Whether fewer bytes are unsettled than the window has. [`send`](Self::send) takes more nevertheless.
    pub fn has_room(&self) -> bool {
        self.unsettled_bytes < self.window
    }

    /// The bytes that are not settled.
    pub fn unsettled_bytes(&self) -> usize {
        self.unsettled_bytes
    }

    /// The parcels that are not settled.
    pub fn unsettled(&self) -> usize {
        self.slots.len()
    }

    /// When the oldest parcel that is not settled was given to the sender.
    pub fn oldest(&self) -> Option<Instant> {
        self.slots.oldest()
    }

    /// The time from a frame to its answer. `None` before the first one.
    pub fn round_trip(&self) -> Option<Duration> {
        self.round_trip.smoothed()
    }

    /// How many parcels were sent again.
    pub fn resent(&self) -> u64 {
        self.resent
    }

    /// Handles a report of the receiver. Gives what it has settled and gives back.
    ///
    /// # Errors
    ///
    /// The report cannot be true. Nothing of it was applied; the session is to be ended.
    pub fn handle(&mut self, control: &Control, now: Instant) -> Result<Reported<C>, Lie> {
        check(control, self.sent, self.frame)?;
        if let Some(echo) = control.echo {
            self.round_trip.measure(self.began, echo, now);
        }
        if control.received > self.received {
            self.received = control.received;
            self.slots.received(self.received);
            self.lost = self.lost.split_off(&(self.received + 1));
            self.timeouts = 0;
            self.resend_at = (self.received < self.sent).then(|| now + self.timeout());
        }
        // A report that is older than another one says nothing new.
        if control.received == self.received {
            self.find_lost(control, now);
        }
        let settled = self.settle(&control.settlements.settled);
        let returned = self.take_back(&control.settlements.returned);
        self.note_seen(control, now);
        self.ask_later(now);
        Ok(Reported { settled, returned })
    }

    /// The next frame, if there is one by now. The sender takes frames until there is none, unless its carrier is down.
    pub fn poll(&mut self, now: Instant) -> Option<Bytes> {
        self.time_out(now);
        let numbers = self.next_numbers();
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        let asks = is_due(self.ask_at);
        if numbers.is_empty() && !asks && !is_due(self.tell_seen_at) {
            return None;
        }
        self.frame += 1;
        let meta = Meta {
            frame: self.frame,
            at: micros(now.saturating_duration_since(self.began)),
            seen: self.seen,
            wants_answer: asks,
            first: numbers.first().copied().unwrap_or(self.sent + 1),
        };
        let mut parcels = Vec::with_capacity(numbers.len());
        for &number in &numbers {
            self.resent += u64::from(number <= self.sent);
            self.sent = self.sent.max(number);
            self.lost.remove(&number);
            if let Some(held) = self.slots.get_mut(number) {
                held.sent = Some((self.frame, now));
            }
        }
        for number in numbers {
            if let Some(Held { parcel: Some(parcel), since, .. }) = self.slots.get(number) {
                parcels.push((parcel, now.saturating_duration_since(*since)));
            }
        }
        let frame = codec::encode_parcels(&self.header, &meta, &parcels);
        self.tell_seen_at = None;
        self.ask_later(now);
        if self.received < self.sent && self.resend_at.is_none() {
            self.resend_at = Some(now + self.timeout());
        }
        Some(frame)
    }

    /// When [`poll`](Self::poll) may have a frame, if nothing else happens.
    pub fn next_tick(&self) -> Option<Instant> {
        [self.tell_seen_at, self.resend_at, self.ask_at].into_iter().flatten().min()
    }

    /// The carrier works again: frames may be lost, so the next [`poll`](Self::poll) sends the oldest and asks for an answer.
    pub fn reconnected(&mut self, now: Instant) {
        self.timeouts = 0;
        if self.received < self.sent {
            self.resend_at = Some(now);
        } else if !self.slots.is_empty() {
            self.ask_at = Some(now);
        }
    }

    /// Copies the stanzas out of the buffers in which they were read, if they were given before `until` and have not been
    /// received: a few bytes must not keep a whole buffer in memory for the time of an outage.
    pub fn detach(&mut self, until: Instant) {
        self.slots.detach(until);
    }

    /// Ends the session. `over`: what the receiver says about it, if it has ended it.
    pub fn end(mut self, over: Option<&Over>) -> Ended<C> {
        let known = match over {
            Some(Over::Known(known)) if known.received <= self.sent => Some(known),
            _ => None,
        };
        let returned = known.filter(|known| known.returned.highest().is_none_or(|it| it <= known.received));
        let returned = returned.map(|known| self.take_back(&known.returned)).unwrap_or_default();
        let (mut settled, mut unsettled) = (Vec::new(), Vec::new());
        for (number, Held { custody, sent, .. }) in self.slots.into_all() {
            let is_settled =
                known.is_some_and(|known| number <= known.received && known.settled.contains(number));
            if is_settled {
                settled.push(custody);
            } else {
                let in_doubt = known.map_or_else(|| sent.is_some(), |known| known.in_doubt.contains(number));
                unsettled.push(Unsettled { custody, in_doubt });
            }
        }
        Ended { reported: Reported { settled, returned }, unsettled }
    }

    /// Finds what was sent before a frame that has arrived, has not arrived itself, and for which the receiver has room.
    fn find_lost(&mut self, control: &Control, now: Instant) {
        let Some(Echo { frame: arrived, .. }) = control.echo else { return };
        // A parcel that has overtaken others shows their loss only if they do not come soon.
        let patience = self.round_trip.smoothed().unwrap_or_default();
        let mut room = usize::try_from(control.room).unwrap_or(usize::MAX);
        for number in self.received + 1..=self.sent {
            let Some(held) = self.slots.get(number).filter(|_| room > 0) else { break };
            room = room.saturating_sub(held.bytes);
            let was_before = |(frame, at)| frame < arrived && now.saturating_duration_since(at) >= patience;
            let has_arrived = number <= control.highest && !control.missing.contains(number);
            if !has_arrived && held.sent.is_some_and(was_before) {
                self.lost.insert(number);
            }
        }
    }

    fn settle(&mut self, settled: &Ranges) -> Vec<C> {
        let mut custodies = Vec::new();
        for (first, last) in settled.iter() {
            for held in self.slots.take(first, last) {
                self.unsettled_bytes -= held.bytes;
                custodies.push(held.custody);
            }
        }
        custodies
    }

    fn take_back(&mut self, returned: &Returned) -> Vec<GivenBack<C>> {
        let whole = returned.whole.iter().map(|(first, last)| (first, last, None));
        let parts = returned.parts.iter().map(|(&number, stanzas)| (number, number, Some(stanzas)));
        let mut back = Vec::new();
        for (first, last, stanzas) in whole.chain(parts) {
            for held in self.slots.take(first, last) {
                self.unsettled_bytes -= held.bytes;
                back.push(GivenBack { custody: held.custody, stanzas: stanzas.cloned() });
            }
        }
        back
    }

    fn note_seen(&mut self, control: &Control, now: Instant) {
        let (first, last) = (control.settlements.first, control.settlements.last);
        if first > last {
            return;
        }
        if first <= self.seen.saturating_add(1) {
            self.seen = self.seen.max(last);
        }
        self.tell_seen_at.get_or_insert(now + TELL_SEEN);
    }

    /// Has the oldest parcel sent again that has not been received, if its time is over.
    fn time_out(&mut self, now: Instant) {
        if self.resend_at.is_none_or(|at| at > now) {
            return;
        }
        self.resend_at = None;
        if self.received < self.sent {
            self.timeouts = self.timeouts.saturating_add(1);
            // The answer says what else is missing.
            self.lost.insert(self.received + 1);
            self.resend_at = Some(now + self.timeout());
        }
    }

    fn timeout(&self) -> Duration {
        self.round_trip.timeout().saturating_mul(1 << self.timeouts.min(LARGEST_SHIFT)).min(LONGEST_TIMEOUT)
    }

    fn ask_later(&mut self, now: Instant) {
        self.ask_at = (!self.slots.is_empty()).then_some(now + ASK);
    }

    /// Successive numbers that fit into a frame: first what is lost, then what was never sent.
    fn next_numbers(&self) -> Vec<u64> {
        let first = self.lost.first().copied().unwrap_or(self.sent + 1);
        let mut numbers = Vec::new();
        let mut bytes = codec::HEADER;
        for number in first.. {
            let is_next = if first > self.sent { number > self.sent } else { self.lost.contains(&number) };
            let Some(parcel) = self.slots.get(number).and_then(|held| held.parcel.as_ref()) else { break };
            bytes += encoded_bound(parcel);
            if !is_next || !numbers.is_empty() && bytes > self.frame_bytes {
                break;
            }
            numbers.push(number);
        }
        numbers
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// When the receiver is told that its settlements have been seen. Shorter than the time after which it repeats them.
const TELL_SEEN: Duration = Duration::from_millis(50);

/// When the receiver is asked, if nothing was heard of it or sent to it and something is unsettled: it may have ended the
/// session, and its report was lost.
const ASK: Duration = Duration::from_secs(5);

/// The longest time before a parcel is sent again. A broker that restarts is away for one to six seconds.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Shorter than any time that exceeds [`LONGEST_TIMEOUT`] when it is doubled so often.
const LARGEST_SHIFT: u32 = 10;
