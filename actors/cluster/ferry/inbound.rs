//! The receiver of parcels from one node: gives each out once, in order, and reports what has come and what is settled.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use bytes::Bytes;

use super::{
    codec,
    frame::{Control, Echo, Final, Header, Over, Parcel, Parcels, Settlements},
    lie::Lie,
    ranges::Ranges,
    returned::Returned,
};

/// The receiving end of a session.
#[derive(Debug)]
pub struct Inbound {
    /// Of the answers.
    header: Header,
    /// Bytes that may be unsettled, or wait for a number before them. What is beyond is not received: it comes again.
    limit: usize,
    /// All up to this number were given out.
    received: u64,
    /// Parcels that have come before one with a lower number.
    early: BTreeMap<u64, Parcel>,
    early_bytes: usize,
    /// The bytes of what was given out and is not settled, by number.
    unsettled: BTreeMap<u64, usize>,
    unsettled_bytes: usize,
    /// All settled numbers.
    settled: Ranges,
    /// In no report yet.
    fresh: Part,
    /// Parts that were reported, and that the sender has not seen, with their numbers.
    unseen: VecDeque<(u64, Part)>,
    /// The number of the last part.
    part: u64,
    /// The sender has seen the parts up to this number.
    seen: u64,
    /// When unseen parts are repeated, and the time until the next repetition.
    repeat: Option<(Instant, Duration)>,
    /// When a report is due.
    report_at: Option<Instant>,
    /// The last frame with parcels, and when it came.
    latest: Option<(u64, u64, Instant)>,
    /// The session is over.
    over: Option<Bytes>,
    tell_over: bool,
}

/// A part of what has become of parcels.
#[derive(Debug, Default)]
struct Part {
    settled: Ranges,
    returned: Returned,
}

impl Part {
    fn is_empty(&self) -> bool {
        self.settled.is_empty() && self.returned.is_empty()
    }

    fn merge(&mut self, other: &Self) {
        self.settled.merge(&other.settled);
        self.returned.merge(&other.returned);
    }
}

impl Inbound {
    /// Begins a session with its first frame, whose header is `header`; `answers` is that of the answers.
    pub fn new(answers: Header, limit: usize) -> Self {
        Self {
            header: answers,
            limit,
            received: 0,
            early: BTreeMap::new(),
            early_bytes: 0,
            unsettled: BTreeMap::new(),
            unsettled_bytes: 0,
            settled: Ranges::new(),
            fresh: Part::default(),
            unseen: VecDeque::new(),
            part: 0,
            seen: 0,
            repeat: None,
            report_at: None,
            latest: None,
            over: None,
            tell_over: false,
        }
    }

    /// The nodes and the session of its answers.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Handles a frame. Gives the parcels that are next, in order, each once.
    ///
    /// # Errors
    ///
    /// The frame cannot be right. Nothing of it was taken; the session is to be ended.
    pub fn handle(&mut self, frame: Parcels, now: Instant) -> Result<Vec<(u64, Parcel)>, Lie> {
        if self.over.is_some() {
            self.tell_over = true;
            return Ok(Vec::new());
        }
        let last = check(&frame, self.part)?;
        self.note_seen(frame.seen, now);
        let Parcels { frame, at, wants_answer, first, parcels, .. } = frame;
        if self.latest.is_none_or(|(latest, ..)| latest < frame) {
            self.latest = Some((frame, at, now));
        }
        let has_parcels = !parcels.is_empty();
        let (highest, had) = (self.highest(), self.received);
        let mut is_news = false;
        for (number, parcel) in (first..=last).zip(parcels) {
            is_news |= self.take(number, parcel);
        }
        let parcels = self.next_parcels();
        // A gap, a repetition, and what there was no room for.
        let is_unusual = first > highest + 1 || has_parcels && (!is_news || first <= had);
        if wants_answer || has_parcels && is_unusual {
            self.report_within(Duration::ZERO, now);
        } else if has_parcels {
            self.report_within(REPORT_RECEIVED, now);
        }
        Ok(parcels)
    }

    /// A parcel that was given out is settled. A number that was not, or was settled before, has no effect.
    pub fn settle(&mut self, number: u64, now: Instant) {
        if self.take_unsettled(number, now) {
            self.settled.insert(number, number);
            self.fresh.settled.insert(number, number);
        }
    }

    /// A parcel that was given out goes back to the sender. `stanzas`: those of it that were not delivered, while all others
    /// are settled; `None`: nothing of it was delivered.
    pub fn give_back(&mut self, number: u64, stanzas: Option<Ranges>, now: Instant) {
        if self.take_unsettled(number, now) {
            self.fresh.returned.insert(number, stanzas);
        }
    }

    /// The parcels that were given out, and are neither settled nor given back.
    pub fn unsettled(&self) -> usize {
        self.unsettled.len()
    }

    /// The next report, if one is due. The receiver takes reports until there is none.
    pub fn poll(&mut self, now: Instant) -> Option<Bytes> {
        if let Some(over) = &self.over {
            return std::mem::take(&mut self.tell_over).then(|| over.clone());
        }
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        let repeats = is_due(self.repeat.map(|(at, _)| at));
        if !repeats && !is_due(self.report_at) {
            return None;
        }
        self.report_at = None;
        if repeats {
            let longer = self.repeat.map_or(REPEAT, |(_, wait)| (wait * 2).min(LONGEST_REPEAT));
            self.repeat = Some((now + longer, longer));
        }
        let settlements = self.settlements(repeats);
        if self.unseen.is_empty() {
            self.repeat = None;
        } else if self.repeat.is_none() {
            self.repeat = Some((now + REPEAT, REPEAT));
        }
        let highest = self.highest();
        let control = Control {
            received: self.received,
            highest,
            missing: self.missing(),
            room: self.limit.saturating_sub(self.unsettled_bytes) as u64,
            settlements,
            echo: self.latest.map(|(frame, at, arrived)| {
                let held = now.saturating_duration_since(arrived).as_micros();
                Echo { frame, at, held: u64::try_from(held).unwrap_or(u64::MAX) }
            }),
        };
        Some(codec::encode_control(&self.header, &control))
    }

    /// When [`poll`](Self::poll) may have a report, if nothing else happens.
    pub fn next_tick(&self) -> Option<Instant> {
        let repeat = self.repeat.map(|(at, _)| at);
        [self.report_at, repeat].into_iter().flatten().min().filter(|_| self.over.is_none())
    }

    /// Ends the session: nothing more is taken or settled. Gives the frame that says so, and gives it again for each
    /// further frame of the session. `in_doubt` says whether a parcel that is not settled may have been delivered in part.
    pub fn end(&mut self, in_doubt: impl Fn(u64) -> bool) -> Bytes {
        if let Some(over) = &self.over {
            return over.clone();
        }
        let doubtful =
            self.unsettled.keys().filter(|number| in_doubt(**number)).map(|&number| (number, number));
        let in_doubt = doubtful.collect();
        let mut returned = std::mem::take(&mut self.fresh.returned);
        self.unseen.iter().for_each(|(_, part)| returned.merge(&part.returned));
        let known =
            Final { received: self.received, settled: std::mem::take(&mut self.settled), returned, in_doubt };
        let over = codec::encode_over(&self.header, &Over::Known(known));
        self.over = Some(over.clone());
        self.early.clear();
        self.unsettled.clear();
        (self.early_bytes, self.unsettled_bytes) = (0, 0);
        over
    }

    /// Whether it has been ended.
    pub fn is_over(&self) -> bool {
        self.over.is_some()
    }

    /// Takes a parcel that was not received before, if there is room.
    fn take(&mut self, number: u64, parcel: Parcel) -> bool {
        if number <= self.received || self.early.contains_key(&number) {
            return false;
        }
        // What comes out of turn leaves room for the parcels before it. A long parcel needs no room of its length.
        let is_next = number == self.received + 1;
        let early_bytes = if is_next { 0 } else { self.early_bytes };
        if self.unsettled_bytes + early_bytes >= self.limit {
            return false;
        }
        self.early_bytes += cost(&parcel);
        self.early.insert(number, parcel);
        true
    }

    /// Takes out the parcels that are next.
    fn next_parcels(&mut self) -> Vec<(u64, Parcel)> {
        let mut next = Vec::new();
        while let Some(parcel) = self.early.remove(&(self.received + 1)) {
            let bytes = cost(&parcel);
            self.received += 1;
            self.early_bytes -= bytes;
            self.unsettled.insert(self.received, bytes);
            self.unsettled_bytes += bytes;
            next.push((self.received, parcel));
        }
        next
    }

    /// Ends the custody of a parcel that was given out. False: it was not, or has ended before.
    fn take_unsettled(&mut self, number: u64, now: Instant) -> bool {
        let Some(bytes) = self.unsettled.remove(&number) else { return false };
        self.unsettled_bytes -= bytes;
        self.report_within(REPORT_SETTLED, now);
        true
    }

    fn highest(&self) -> u64 {
        self.early.last_key_value().map_or(self.received, |(&number, _)| number)
    }

    fn missing(&self) -> Ranges {
        let mut missing = Ranges::new();
        let mut next = self.received + 1;
        for &number in self.early.keys() {
            missing.insert(next, number - 1);
            next = number + 1;
        }
        missing
    }

    fn report_within(&mut self, wait: Duration, now: Instant) {
        let at = now + wait;
        self.report_at = Some(self.report_at.map_or(at, |before| before.min(at)));
    }

    /// What has become of parcels: what is new, and with a repetition all that the sender has not seen.
    fn settlements(&mut self, repeats: bool) -> Settlements {
        let before = self.part;
        let fresh = std::mem::take(&mut self.fresh);
        if !fresh.is_empty() {
            self.part += 1;
            self.unseen.push_back((self.part, fresh));
        }
        if self.unseen.len() > MOST_UNSEEN
            && let Some((_, oldest)) = self.unseen.pop_front()
            && let Some((_, next)) = self.unseen.front_mut()
        {
            next.merge(&oldest);
        }
        let (mut first, mut all) = (self.part + 1, Part::default());
        for (number, part) in self.unseen.iter().rev().take_while(|(number, _)| repeats || *number > before) {
            first = if repeats { self.seen + 1 } else { *number };
            all.merge(part);
        }
        Settlements { first, last: self.part, settled: all.settled, returned: all.returned }
    }

    /// The sender has seen the settlements up to this part.
    fn note_seen(&mut self, seen: u64, now: Instant) {
        self.seen = self.seen.max(seen);
        while self.unseen.front().is_some_and(|(number, _)| *number <= seen) {
            self.unseen.pop_front();
            self.repeat = Some((now + REPEAT, REPEAT));
        }
        if self.unseen.is_empty() {
            self.repeat = None;
        }
    }
}

/// What a parcel counts against the limit, in bytes: one without stanzas needs memory as well.
fn cost(parcel: &Parcel) -> usize {
    parcel.bytes() + OVERHEAD
}

/// Checks the numbers of a frame. Gives that of its last parcel.
fn check(frame: &Parcels, part: u64) -> Result<u64, Lie> {
    if frame.first == 0 {
        return Err(Lie::ImpossibleNumber(0));
    }
    // The number after the last one has to exist.
    let after = frame.first.checked_add(frame.parcels.len() as u64);
    let after = after.filter(|after| *after < u64::MAX).ok_or(Lie::ImpossibleNumber(u64::MAX))?;
    if frame.seen > part {
        return Err(Lie::SeenUnsent { seen: frame.seen, sent: part });
    }
    Ok(after - 1)
}

/// When parcels are reported as received. Far shorter than the time after which the sender sends them again.
const REPORT_RECEIVED: Duration = Duration::from_millis(20);

/// When parcels are reported as settled or given back: many are, one shortly after the other.
const REPORT_SETTLED: Duration = Duration::from_millis(2);

/// When settlements are repeated that the sender has not seen. The time doubles up to the longest.
const REPEAT: Duration = Duration::from_millis(500);
const LONGEST_REPEAT: Duration = Duration::from_secs(5);

/// Parts of settlements that are remembered one by one. The sender sees them within a few round trips; older ones are
/// joined, as long as it does not answer.
const MOST_UNSEEN: usize = 256;

/// About what the tables take for a parcel, in bytes.
const OVERHEAD: usize = 128;
