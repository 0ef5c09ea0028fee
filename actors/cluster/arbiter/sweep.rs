//! Deletes claims that nobody holds: those of runs that are over, those that a late request of this node wrote, and what is no
//! record.
//!
//! They do no harm, since whoever wants such a pair replaces the record. Without the sweep they would stay for ever.

use super::{
    io::{Io, Purpose},
    members::{Members, Standing},
    own::Own,
};
use crate::{
    engine::{Answer, EngineError, Entry, Op},
    record::{ClaimRecord, RecordError},
};
use std::time::{Duration, Instant};

enum Step {
    /// Until then.
    Pause(Instant),
    /// The record after this revision is wanted.
    Wanted(u64),
    Asked,
    /// It must be found out whether the run that wrote the record is over.
    Judged(String, Entry),
    Deletes(u64),
    /// The pass has ended.
    Ends,
}

pub(super) struct Sweep {
    beat: Duration,
    step: Step,
    /// How many records may still be read in this beat.
    left: u32,
    /// A question about a run is repeated in each beat, and given up after some.
    patience: u32,
}

impl Sweep {
    pub(super) fn new(beat: Duration, now: Instant) -> Self {
        Self { beat, step: Step::Pause(now + beat * FIRST_BEATS), left: 0, patience: 0 }
    }

    pub(super) fn beat(&mut self, now: Instant) {
        self.left = RECORDS_PER_BEAT;
        match &self.step {
            Step::Pause(until) if *until <= now => self.step = Step::Wanted(0),
            Step::Judged(_, entry) => {
                self.patience += 1;
                if self.patience > PATIENCE_BEATS {
                    self.step = Step::Wanted(entry.revision);
                }
            }
            _ => {}
        }
    }

    /// The broker is back, perhaps with claims that were given up: nobody else deletes them while this run lasts.
    pub(super) fn is_up(&mut self, now: Instant) {
        if let Step::Pause(until) = &mut self.step {
            *until = (*until).min(now + self.beat * FIRST_BEATS);
        }
    }

    /// A run was judged; [`Self::act`] looks again at once.
    pub(super) fn wakes(&mut self) {
        self.left = self.left.max(1);
    }

    pub(super) fn next_record(&mut self, answer: Result<Answer, EngineError>) {
        self.step = match answer {
            Ok(Answer::Next(Some((key, entry)))) => {
                self.patience = 0;
                Step::Judged(key, entry)
            }
            // The end of the table, or no answer: the next pass begins later.
            _ => Step::Ends,
        };
    }

    pub(super) fn deleted(&mut self) {
        if let Step::Deletes(revision) = self.step {
            self.step = Step::Wanted(revision);
        }
    }

    pub(super) fn act(
        &mut self,
        own: &Own,
        members: &mut Members,
        io: &mut Io,
        held: impl Fn(&str) -> bool,
        now: Instant,
    ) {
        while self.left > 0 {
            match &self.step {
                Step::Ends => self.step = Step::Pause(now + self.beat * PASS_BEATS),
                Step::Pause(_) | Step::Asked | Step::Deletes(_) => return,
                Step::Wanted(after) => {
                    let op = Op::Next { after: *after };
                    self.step = Step::Asked;
                    self.left -= 1;
                    io.ask(op, Purpose::Sweep, now);
                }
                Step::Judged(key, entry) => {
                    let nobodys = match &ClaimRecord::decode(&entry.value) {
                        // Another version of the program may know whose it is.
                        Err(RecordError::Form(_)) => false,
                        Err(_) => true,
                        Ok(record) if record.node == *own.name() => {
                            record.incarnation != own.incarnation() || !held(key)
                        }
                        Ok(record) => match members.judge(&record.node, record.incarnation, now) {
                            Standing::Alive => false,
                            Standing::Over => true,
                            Standing::Asked => return,
                        },
                    };
                    let (key, revision) = (key.clone(), entry.revision);
                    if nobodys && !held(&key) {
                        self.step = Step::Deletes(revision);
                        io.ask(Op::Delete { key, revision }, Purpose::SweepDelete, now);
                    } else {
                        self.step = Step::Wanted(revision);
                    }
                }
            }
        }
    }
}

/// A pass begins a minute after the start, and after the broker has come back: by then the node has written what it holds.
const FIRST_BEATS: u32 = 20;

/// A pass begins an hour after the end of the one before.
const PASS_BEATS: u32 = 1200;

/// 20 reads a second are no load for a broker, and 100,000 claims take 80 minutes.
const RECORDS_PER_BEAT: u32 = 64;

/// After so many beats without an answer about its run, a record stays for the next pass.
const PATIENCE_BEATS: u32 = 5;
