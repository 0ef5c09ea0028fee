//! The claims of this node: pairs of domains, or seats of components.
//!
//! Each key has a wish (wanted or not), what is known of its record at the broker, and at most one open request.
//! [`Holdings::step`] compares the two and does the next thing, whatever happened before.

mod kind;
mod step;

use super::{
    io::Io,
    members::{Members, Standing},
    own::Own,
};
use crate::{
    Incarnation,
    engine::{Answer, EngineError},
    record::{self, ClaimRecord, RecordError},
};
pub(super) use kind::Claimed;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::{Duration, Instant},
};

/// What is known of the record of a key.
#[derive(Clone, Debug)]
enum Known {
    /// Nothing, and there was never a request: most keys are free, so it is created at once.
    Fresh,
    /// Nothing: it is read.
    Unknown,
    Absent,
    /// This node has written it in this run, and no later request of it is open: nothing that is executed late can match
    /// this revision.
    Ours(u64),
    /// Somebody has written it, perhaps an earlier request of this node.
    Found(ClaimRecord, u64),
    /// A newer version of the program wrote it, for this reason it cannot be read.
    Newer(String),
    /// No version of the program wrote it.
    Damaged(u64),
}

/// An open request.
enum Asked {
    Read,
    Write(Incarnation),
    Delete,
}

struct Holding {
    /// Somebody here wants it.
    wanted: bool,
    /// Since when an answer is owed.
    owed: Option<Instant>,
    /// `Granted` was told, and nothing else since.
    granted: bool,
    known: Known,
    /// The revision of the last write of this node, if nothing was doubted since.
    confirmed: Option<u64>,
    /// A request of this node may be executed until then.
    doubt: Option<Instant>,
    asked: Option<Asked>,
    /// Nothing is sent before that.
    pause: Option<Instant>,
    queued: bool,
    /// Why the last request failed.
    failure: Option<String>,
}

impl Holding {
    fn new(known: Known) -> Self {
        Self {
            wanted: false,
            owed: None,
            granted: false,
            known,
            confirmed: None,
            doubt: None,
            asked: None,
            pause: None,
            queued: false,
            failure: None,
        }
    }
}

/// What a step may look at.
pub(super) struct Scene<'a> {
    pub(super) now: Instant,
    pub(super) up: bool,
    pub(super) own: &'a Own,
    pub(super) members: &'a mut Members,
    pub(super) io: &'a mut Io,
    pub(super) stopping: bool,
}

/// All claims of one kind.
pub(super) struct Holdings<K> {
    beat: Duration,
    held: BTreeMap<K, Holding>,
    /// Keys of records, for the sweep.
    keys: BTreeSet<String>,
    queue: VecDeque<K>,
    timers: BTreeSet<(Instant, K)>,
    /// Keys whose record names a run that is being judged.
    awaiting: BTreeSet<K>,
    /// Requests on their way.
    open: usize,
    granted: usize,
    audited: Option<K>,
    number: u64,
}

impl<K: Claimed> Holdings<K> {
    pub(super) fn new(beat: Duration) -> Self {
        Self {
            beat,
            held: BTreeMap::new(),
            keys: BTreeSet::new(),
            queue: VecDeque::new(),
            timers: BTreeSet::new(),
            awaiting: BTreeSet::new(),
            open: 0,
            granted: 0,
            audited: None,
            number: 0,
        }
    }

    pub(super) fn want(&mut self, what: &K, now: Instant) {
        let holding = self.held.entry(what.clone()).or_insert_with(|| Holding::new(Known::Fresh));
        self.keys.insert(record::key(&what.to_string()));
        holding.wanted = true;
        holding.owed.get_or_insert(now);
        self.timers.insert((now + self.beat * ANSWER_BEATS, what.clone()));
        self.enqueue(what);
    }

    /// Deletes the record of something that this node does not want.
    pub(super) fn disowns(&mut self, what: &K) {
        self.keys.insert(record::key(&what.to_string()));
        self.held.entry(what.clone()).or_insert_with(|| Holding::new(Known::Unknown));
        self.enqueue(what);
    }

    pub(super) fn release(&mut self, what: &K) {
        if let Some(holding) = self.held.get_mut(what) {
            holding.wanted = false;
            holding.owed = None;
            holding.pause = None;
            self.granted -= usize::from(std::mem::take(&mut holding.granted));
            self.enqueue(what);
        }
    }

    pub(super) fn release_all(&mut self) {
        let all: Vec<K> = self.held.keys().cloned().collect();
        all.iter().for_each(|what| self.release(what));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    pub(super) fn granted(&self) -> usize {
        self.granted
    }

    #[cfg(test)]
    pub(super) fn confirms(&self, what: &K) -> bool {
        self.held.get(what).is_some_and(|holding| holding.granted && holding.confirmed.is_some())
    }

    /// Whether a record with this key is of something that this node holds, wants, or is about to delete.
    pub(super) fn knows(&self, key: &str) -> bool {
        self.keys.contains(key)
    }

    /// The lease was lost, or the broker lost records: nothing is known any more.
    pub(super) fn doubt_all(&mut self) {
        for holding in self.held.values_mut().filter(|holding| !matches!(holding.known, Known::Fresh)) {
            (holding.known, holding.confirmed) = (Known::Unknown, None);
        }
        self.look_again();
    }

    /// Something changed for all: the broker is back, the lease is back, a refill has ended.
    pub(super) fn look_again(&mut self) {
        let all: Vec<K> = self.held.keys().cloned().collect();
        for what in &all {
            if let Some(holding) = self.held.get_mut(what) {
                holding.pause = None;
            }
            self.enqueue(what);
        }
    }

    /// More is known about other nodes.
    pub(super) fn look_at_awaiting(&mut self) {
        std::mem::take(&mut self.awaiting).iter().for_each(|what| self.enqueue(what));
    }

    /// Compares the next few records with the broker.
    pub(super) fn audit(&mut self, count: usize) {
        let after = self.audited.take().map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        let range = self.held.range_mut((after, std::ops::Bound::Unbounded));
        let mut audited = Vec::new();
        for (what, holding) in range.take(count) {
            if holding.granted && holding.asked.is_none() && matches!(holding.known, Known::Ours(_)) {
                holding.known = Known::Unknown;
            }
            audited.push(what.clone());
        }
        // At the end of the table it begins again.
        self.audited = (audited.len() == count).then(|| audited.last().cloned()).flatten();
        audited.iter().for_each(|what| self.enqueue(what));
    }

    pub(super) fn next_tick(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Takes the answer to a request.
    pub(super) fn answered(
        &mut self,
        what: &K,
        answer: Result<Answer, EngineError>,
        now: Instant,
        own: &Own,
        io: &mut Io,
    ) {
        self.open = self.open.saturating_sub(1);
        let Some(holding) = self.held.get_mut(what) else { return };
        let asked = holding.asked.take();
        holding.known = match (asked, answer) {
            (Some(Asked::Write(run)), Ok(Answer::Written { revision })) => {
                // The write is a fence: requests before it expect another revision.
                holding.doubt = None;
                holding.confirmed = (run == own.incarnation()).then_some(revision);
                holding.confirmed.map_or(Known::Unknown, Known::Ours)
            }
            (Some(Asked::Read), Ok(Answer::Entry(None))) => Known::Absent,
            (Some(Asked::Read), Ok(Answer::Entry(Some(entry)))) => match ClaimRecord::decode(&entry.value) {
                Ok(record) if record.what == what.to_string() => Known::Found(record, entry.revision),
                Err(error @ RecordError::Form(_)) => Known::Newer(error.to_string()),
                Ok(_) | Err(_) => Known::Damaged(entry.revision),
            },
            (Some(Asked::Delete), Ok(Answer::Deleted)) => Known::Absent,
            (_, Ok(_)) => Known::Unknown,
            (asked, Err(error)) => {
                if !matches!(asked, Some(Asked::Read)) && error == EngineError::Unreachable {
                    holding.doubt = Some(now + self.beat * DOUBT_BEATS);
                }
                holding.failure = Some(error.to_string());
                let pause = now + io.pause(self.beat / 3);
                holding.pause = Some(pause);
                self.timers.insert((pause, what.clone()));
                Known::Unknown
            }
        };
        self.enqueue(what);
    }

    /// Sends what can be sent now.
    pub(super) fn act(&mut self, scene: &mut Scene<'_>) {
        while self.timers.first().is_some_and(|(at, _)| *at <= scene.now) {
            if let Some((_, what)) = self.timers.pop_first() {
                self.enqueue(&what);
            }
        }
        while self.open < WINDOW {
            let Some(what) = self.queue.pop_front() else { return };
            self.step(&what, scene);
        }
    }

    fn enqueue(&mut self, what: &K) {
        if let Some(holding) = self.held.get_mut(what)
            && !std::mem::replace(&mut holding.queued, true)
        {
            self.queue.push_back(what.clone());
        }
    }
}

/// A wish is answered after three beats at the latest: longer than a refill, and than the restart of a broker.
pub(super) const ANSWER_BEATS: u32 = 3;

/// A request without an answer may be executed in the time of a lease after that. What is executed later still is deleted
/// by the sweep.
const DOUBT_BEATS: u32 = 5;

/// Requests on their way at a time. A broker answers more than 50,000 a second.
const WINDOW: usize = 256;
