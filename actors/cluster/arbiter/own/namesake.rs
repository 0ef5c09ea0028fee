//! Another run that has the record of this node, and when this run may take its place.
//!
//! It may be the run before: the process was killed, and started again. Or another process has the same name by mistake, and
//! runs: that one must not be disturbed. On the same machine the number of the process tells when it has ended; else its record
//! tells, which a process that runs renews with each beat. Until then this run has no lease.

use super::{Known, Own};
use crate::{
    arbiter::{Disagreement, Namesake, Output, io::Io},
    record::NodeRecord,
};
use bytes::Bytes;
use std::time::{Duration, Instant};

pub(super) struct Rival {
    namesake: Namesake,
    revision: u64,
    /// Since when the record has not changed, as far as the broker could be asked.
    since: Instant,
    /// How often it has changed.
    beats: u32,
    /// When it was told last that another process has the name.
    told: Option<Instant>,
    /// The broker has lost the record. A process that runs writes it again.
    is_lost: bool,
}

impl Own {
    /// Another run that has the record of this node.
    pub(in crate::arbiter) fn namesake(&self) -> Option<&Namesake> {
        self.rival.as_ref().map(|rival| &rival.namesake)
    }

    /// The same, if it is certain that it goes on: another process has the name of this node.
    pub(in crate::arbiter) fn certain_namesake(&self) -> Option<&Namesake> {
        self.rival.as_ref().filter(|rival| rival.is_certain(self.joined)).map(|rival| &rival.namesake)
    }

    /// The broker reports a change of a record. If it is that for which this run waits, it is read at once.
    pub(in crate::arbiter) fn changed(&mut self, key: &str, now: Instant) {
        if self.rival.is_some() && key == self.config.own.as_str() && !self.asking {
            self.next = now;
        }
    }

    /// The time before does not count: the other run could not renew its record.
    pub(super) fn rival_could_not_beat(&mut self, now: Instant) {
        if let Some(rival) = &mut self.rival {
            rival.since = now;
        }
    }

    /// The broker has lost all records.
    pub(super) fn rival_is_lost(&mut self) {
        if let Some(rival) = &mut self.rival {
            rival.is_lost = true;
        }
    }

    /// There is no record. Whether this run may write it.
    pub(super) fn is_free(&mut self, now: Instant) -> bool {
        let patience = self.beat * BEATS_OF_PATIENCE;
        // A process that stops in order deletes its record: then the name is free at once.
        if self.rival.as_ref().is_none_or(|rival| !rival.is_lost || rival.since + patience <= now) {
            return true;
        }
        self.next = now + self.beat;
        false
    }

    /// The record is there. It is replaced at once if this process wrote it, or if the process that did has certainly ended.
    pub(super) fn found(&mut self, value: &Bytes, revision: u64, now: Instant, io: &mut Io) {
        self.next = now;
        let record = NodeRecord::decode(value).ok();
        let run = record.as_ref().map(|record| record.incarnation);
        let is_own = run.is_some_and(|run| self.runs.contains(&run));
        let process = record.and_then(|record| record.process);
        let namesake = Namesake { run, process };
        if self.leaving && !is_own {
            self.rival = Some(Rival::new(namesake, revision, now));
            return;
        }
        // What a process finds in place of its own record, and cannot read, is of no other process of this version.
        let is_damaged = run.is_none() && self.joined;
        let has_ended = || namesake.process.as_ref().is_some_and(|process| (self.has_ended)(process));
        if is_own || is_damaged || has_ended() || self.has_waited_for(&namesake, revision, now) {
            return self.takes(revision, io);
        }
        if self.lease.is_some() {
            self.lose(now, io);
        }
        let is_first = self.rival.is_none();
        let rival = self.rival.get_or_insert_with(|| Rival::new(namesake.clone(), revision, now));
        if !is_first && rival.revision != revision {
            rival.beats += 1;
            (rival.namesake, rival.revision, rival.since) = (namesake, revision, now);
        }
        rival.is_lost = false;
        let is_certain = rival.is_certain(self.joined);
        let patience = rival.patience(self.joined, self.beat, self.config.lease);
        self.next = (now + self.beat).min(rival.since + patience);
        self.known = Known::Unknown;
        if is_certain && rival.told.is_none_or(|told| told + TELL_AGAIN <= now) {
            rival.told = Some(now);
            let about = Disagreement::SameName(Box::new(rival.namesake.clone()));
            io.tell(Output::Disagrees { node: self.config.own.clone(), about });
        } else if is_first {
            io.tell(Output::Waits { namesake: rival.namesake.clone(), within: patience });
        }
    }

    /// Whether the record has not changed for so long that its run is over.
    fn has_waited_for(&self, namesake: &Namesake, revision: u64, now: Instant) -> bool {
        self.rival.as_ref().is_some_and(|rival| {
            rival.revision == revision
                && rival.namesake.run == namesake.run
                && rival.since + rival.patience(self.joined, self.beat, self.config.lease) <= now
        })
    }

    fn takes(&mut self, revision: u64, io: &mut Io) {
        self.known = Known::At(revision);
        self.forgets_rival(io);
    }

    /// No other process has the name.
    pub(super) fn forgets_rival(&mut self, io: &mut Io) {
        if self.rival.take().is_some_and(|rival| rival.told.is_some()) {
            io.tell(Output::Agrees { node: self.config.own.clone() });
        }
    }
}

impl Rival {
    fn new(namesake: Namesake, revision: u64, now: Instant) -> Self {
        Self { namesake, revision, since: now, beats: 0, told: None, is_lost: false }
    }

    /// Whether this is a process that goes on. To one that has written the record before, any other that has written it since is.
    fn is_certain(&self, joined: bool) -> bool {
        joined || self.beats >= BEATS_OF_LIFE
    }

    /// How long its record has to stay unchanged until its run is over.
    fn patience(&self, joined: bool, beat: Duration, lease: Duration) -> Duration {
        if self.is_certain(joined) { lease } else { beat * BEATS_OF_PATIENCE }
    }
}

/// A process that runs renews its record with each beat. It has a second beat for a renewal that is late.
const BEATS_OF_PATIENCE: u32 = 2;

/// A late write of a process that was killed gives one change, a process that runs gives one after another.
const BEATS_OF_LIFE: u32 = 2;

/// An operator reads the last minutes of a log.
const TELL_AGAIN: Duration = Duration::from_secs(60);
