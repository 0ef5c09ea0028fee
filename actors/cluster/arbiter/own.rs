//! The record and the lease of this node.

mod namesake;

use super::{
    Config, Output,
    io::{Io, Purpose},
};
use crate::{
    Incarnation, NodeName,
    engine::{Answer, EngineError, Op},
    names::Names,
    record::{Load, NodeRecord, Process},
};
use namesake::Rival;
use std::time::{Duration, Instant};

/// What is known about the record of this node at the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    Unknown,
    Absent,
    At(u64),
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
    /// Another run that has the record.
    rival: Option<Rival>,
    has_ended: Box<dyn Fn(&Process) -> bool + Send>,
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
    pub(super) fn new(
        config: Config,
        beat: Duration,
        has_ended: Box<dyn Fn(&Process) -> bool + Send>,
        now: Instant,
        io: &mut Io,
    ) -> Self {
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
            has_ended,
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

    /// Why the broker refuses the record of this node, if it does.
    pub(super) fn refusal(&self) -> Option<&str> {
        self.refusal.as_deref()
    }

    /// Nothing new is granted, since other nodes may not have written their claims yet.
    pub(super) fn refills(&self) -> bool {
        self.refills || self.refill_ends.is_some() || !self.listed
    }

    pub(super) fn reconfigure(&mut self, secret: String, names: Names, now: Instant) {
        self.config.secret = secret;
        self.config.names = names;
        self.next = self.next.min(now);
    }

    pub(super) fn is_up(&mut self, now: Instant) {
        self.known = Known::Unknown;
        self.next = now;
        self.rival_could_not_beat(now);
    }

    pub(super) fn is_down(&mut self) {
        self.known = Known::Unknown;
    }

    pub(super) fn begin_refill(&mut self) {
        self.refills = true;
        self.refill_ends = None;
        self.known = Known::Unknown;
        self.rival_is_lost();
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
    pub(super) fn act(&mut self, up: bool, load: Load, now: Instant, io: &mut Io) {
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
            Known::Absent => Op::Create { key, value: self.record(load).encode() },
            Known::At(revision) => Op::Update { key, value: self.record(load).encode(), revision },
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

    fn record(&mut self, load: Load) -> NodeRecord {
        self.number += 1;
        NodeRecord {
            incarnation: self.incarnation,
            beat: self.number,
            versions: self.config.versions,
            refills: self.refills,
            secret: self.config.secret.clone(),
            names: self.config.names.summary().clone(),
            process: Some(self.config.process.clone()),
            load: Some(load),
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
                if self.is_free(now) {
                    self.known = Known::Absent;
                    self.next = now;
                    self.forgets_rival(io);
                }
                return self.joined && !self.refills;
            }
            (Purpose::OwnRead, Ok(Answer::Entry(Some(entry)))) => {
                self.found(&entry.value, entry.revision, now, io);
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
                self.rival_could_not_beat(now);
            }
        }
        false
    }
}

/// The lease ends one beat before the others take the node for dead: clocks may differ by a fifth of it.
const BEATS_OF_LEASE: u32 = 4;

/// After the broker has lost its data, each node has this time to write what it holds.
const REFILL_BEATS: u32 = 2;

/// A write that is this many runs old is not executed any more.
const RUNS: usize = 64;
