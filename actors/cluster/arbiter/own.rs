//! The record and the lease of this node.

use super::{
    Config, Disagreement, Output,
    io::{Io, Purpose},
};
use crate::{
    Incarnation, NodeName,
    engine::{Answer, EngineError, Op},
    record::NodeRecord,
};
use std::time::{Duration, Instant};

/// What is known about the record of this node at the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    Unknown,
    Absent,
    At(u64),
}

/// Another process has written the record of this node.
struct Rival {
    revision: u64,
    since: Instant,
}

pub(super) struct Own {
    config: Config,
    beat: Duration,
    incarnation: Incarnation,
    /// The runs of this process, to recognise a record that it wrote itself. Only the newest are kept.
    runs: Vec<Incarnation>,
    number: u64,
    known: Known,
    asking: bool,
    next: Instant,
    lease: Option<Instant>,
    /// When the record of this run was sent for the first time. Others may have seen it since.
    begun: Option<Instant>,
    /// This process has written the record at least once.
    joined: bool,
    rival: Option<Rival>,
    /// The node stops: of what is found under its name, only what this process wrote is deleted.
    leaving: bool,
    refills: bool,
    refill_ends: Option<Instant>,
    /// The table of nodes was read since the start.
    listed: bool,
    /// Why the broker refuses the record. Forgotten when it has accepted it.
    refusal: Option<String>,
}

impl Own {
    pub(super) fn new(config: Config, beat: Duration, now: Instant, io: &mut Io) -> Self {
        let incarnation = Incarnation(io.random());
        Self {
            config,
            beat,
            incarnation,
            runs: vec![incarnation],
            number: 0,
            known: Known::Unknown,
            asking: false,
            next: now,
            lease: None,
            begun: None,
            joined: false,
            rival: None,
            leaving: false,
            refills: false,
            refill_ends: None,
            listed: false,
            refusal: None,
        }
    }

    pub(super) fn name(&self) -> &NodeName {
        &self.config.own
    }

    pub(super) fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// The rest of the lease.
    pub(super) fn lease(&self, now: Instant) -> Option<Duration> {
        self.lease.and_then(|until| until.checked_duration_since(now)).filter(|rest| !rest.is_zero())
    }

    /// Another process has the name of this node.
    pub(super) fn has_rival(&self) -> bool {
        self.rival.is_some()
    }

    /// Why the broker refuses the record of this node, if it does.
    pub(super) fn refusal(&self) -> Option<&str> {
        self.refusal.as_deref()
    }

    /// Nothing new is granted, since other nodes may not have written their claims yet.
    pub(super) fn refills(&self) -> bool {
        self.refills || self.refill_ends.is_some() || !self.listed
    }

    pub(super) fn reconfigure(&mut self, secret: String, names: String, now: Instant) {
        self.config.secret = secret;
        self.config.names = names;
        self.next = self.next.min(now);
    }

    pub(super) fn is_up(&mut self, now: Instant) {
        self.known = Known::Unknown;
        self.next = now;
    }

    pub(super) fn is_down(&mut self) {
        self.known = Known::Unknown;
    }

    pub(super) fn begin_refill(&mut self) {
        self.refills = true;
        self.refill_ends = None;
        self.known = Known::Unknown;
    }

    /// The table of nodes was read; `refills`: a node there writes its claims again.
    pub(super) fn listed(&mut self, refills: bool, now: Instant) {
        if !self.listed && refills && self.refill_ends.is_none() {
            self.refill_ends = Some(now + self.beat * REFILL_BEATS);
        }
        self.listed = true;
    }

    /// Whether a refill has just ended.
    pub(super) fn ends_refill(&mut self, now: Instant) -> bool {
        let ends = self.refill_ends.is_some_and(|at| at <= now);
        if ends {
            self.refill_ends = None;
            self.refills = false;
        }
        ends
    }

    /// Ends the lease if its time is over. Then the node begins another run.
    pub(super) fn expires(&mut self, now: Instant, io: &mut Io) {
        if self.lease.is_some_and(|until| until <= now) {
            self.lose(now, io);
        } else if self.lease.is_none()
            && self.begun.is_some_and(|sent| sent + self.beat * BEATS_OF_LEASE <= now)
        {
            // Others may have seen the record of this run, and may take it for dead before it had a lease.
            self.begins_run(io);
        }
    }

    fn lose(&mut self, now: Instant, io: &mut Io) {
        self.lease = None;
        self.next = now;
        self.begins_run(io);
        io.tell(Output::LeaseLost);
    }

    fn begins_run(&mut self, io: &mut Io) {
        self.begun = None;
        self.incarnation = Incarnation(io.random());
        if self.runs.len() == RUNS {
            self.runs.remove(0);
        }
        self.runs.push(self.incarnation);
    }

    pub(super) fn next_tick(&self, up: bool) -> Option<Instant> {
        let beat = (up && !self.asking).then_some(self.next);
        [beat, self.lease, self.refill_ends].into_iter().flatten().min()
    }

    /// Reads or renews the record if that is due.
    pub(super) fn act(&mut self, up: bool, now: Instant, io: &mut Io) {
        if !up || self.asking || now < self.next {
            return;
        }
        self.asking = true;
        let key = self.config.own.to_string();
        if self.known != Known::Unknown {
            self.begun.get_or_insert(now);
        }
        let op = match self.known {
            Known::Unknown => return io.ask(Op::Read { key }, Purpose::OwnRead, now),
            Known::Absent => Op::Create { key, value: self.record().encode() },
            Known::At(revision) => Op::Update { key, value: self.record().encode(), revision },
        };
        io.ask(op, Purpose::OwnWrite { incarnation: self.incarnation }, now);
    }

    /// Deletes the record, once nothing of the node is left. Whether it is gone.
    pub(super) fn leaves(&mut self, up: bool, now: Instant, io: &mut Io) -> bool {
        if self.asking || (up && now < self.next) {
            return false;
        }
        if !std::mem::replace(&mut self.leaving, true) && !self.joined {
            self.known = Known::Unknown;
        }
        let key = self.config.own.to_string();
        match self.known {
            _ if !up || self.rival.is_some() => {}
            Known::Absent => {}
            Known::Unknown => {
                self.asking = true;
                io.ask(Op::Read { key }, Purpose::OwnRead, now);
                return false;
            }
            Known::At(revision) => {
                self.asking = true;
                io.ask(Op::Delete { key, revision }, Purpose::OwnDelete, now);
                return false;
            }
        }
        self.lease = None;
        io.tell(Output::Left);
        true
    }

    fn record(&mut self) -> NodeRecord {
        self.number += 1;
        NodeRecord {
            incarnation: self.incarnation,
            beat: self.number,
            versions: self.config.versions,
            refills: self.refills,
            secret: self.config.secret.clone(),
            names: self.config.names.clone(),
        }
    }

    /// Takes an answer. Whether it shows that the broker has lost records.
    pub(super) fn answered(
        &mut self,
        purpose: Purpose,
        sent: Instant,
        answer: Result<Answer, EngineError>,
        now: Instant,
        io: &mut Io,
    ) -> bool {
        self.asking = false;
        match (purpose, answer) {
            (Purpose::OwnWrite { incarnation }, Ok(Answer::Written { revision })) => {
                self.known = Known::At(revision);
                self.joined = true;
                self.refusal = None;
                if incarnation != self.incarnation {
                    // The lease was lost meanwhile: this record is of the run before.
                    self.next = now;
                    return false;
                }
                if self.refills && self.refill_ends.is_none() {
                    self.refill_ends = Some(now + self.beat * REFILL_BEATS);
                }
                self.next = sent + self.beat;
                let until = sent + self.beat * BEATS_OF_LEASE;
                if until > now {
                    self.lease = Some(until);
                    io.tell(Output::LeaseHeld { incarnation, until });
                }
            }
            (Purpose::OwnRead, Ok(Answer::Entry(None))) => {
                self.known = Known::Absent;
                self.next = now;
                self.rival = None;
                return self.joined && !self.refills;
            }
            (Purpose::OwnRead, Ok(Answer::Entry(Some(entry)))) => {
                let run = NodeRecord::decode(&entry.value).ok().map(|record| record.incarnation);
                self.found(run, entry.revision, now, io);
            }
            (Purpose::OwnDelete, Ok(Answer::Deleted)) => self.known = Known::Absent,
            (_, Ok(_)) => {
                // A conflict: somebody wrote the record, perhaps a late request of this node.
                self.known = Known::Unknown;
                self.next = now;
            }
            (_, Err(error)) => {
                if let EngineError::Refused(reason) = error {
                    self.refusal = Some(reason);
                }
                self.known = Known::Unknown;
                self.next = now + io.pause(self.beat / 3);
            }
        }
        false
    }

    /// The record is there. It is replaced at once if this process wrote it, or if it is of the process before. If another
    /// process has taken it since, this one waits until it is dead: the one that started last has the name.
    fn found(&mut self, run: Option<Incarnation>, revision: u64, now: Instant, io: &mut Io) {
        self.next = now;
        if self.leaving && run.is_none_or(|run| !self.runs.contains(&run)) {
            self.rival = Some(Rival { revision, since: now });
            return;
        }
        if !self.joined || run.is_none_or(|run| self.runs.contains(&run)) {
            self.known = Known::At(revision);
            self.rival = None;
            return;
        }
        match &mut self.rival {
            Some(rival) if rival.revision == revision => {
                if now >= rival.since + self.config.lease {
                    self.known = Known::At(revision);
                    self.rival = None;
                    return;
                }
            }
            Some(rival) => *rival = Rival { revision, since: now },
            None => {
                self.rival = Some(Rival { revision, since: now });
                io.tell(Output::Disagrees { node: self.config.own.clone(), about: Disagreement::SameName });
                if self.lease.is_some() {
                    self.lose(now, io);
                }
            }
        }
        self.known = Known::Unknown;
        self.next = now + self.beat;
    }
}

/// The lease ends one beat before the others take the node for dead: clocks may differ by a fifth of it.
const BEATS_OF_LEASE: u32 = 4;

/// After the broker has lost its data, each node has this time to write what it holds.
const REFILL_BEATS: u32 = 2;

/// A write that is this many runs old is not executed any more.
const RUNS: usize = 64;
