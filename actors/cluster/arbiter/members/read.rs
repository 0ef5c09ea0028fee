//! What a read of the record of a node shows.

use super::Members;
use crate::{
    Incarnation, NodeName,
    arbiter::{Disagreement, Ending, io::Io},
    engine::{Answer, EngineError},
    record::NodeRecord,
};
use std::time::Instant;

/// The answer to a read of the record of a node.
pub(in crate::arbiter) struct Reading {
    pub(in crate::arbiter) answer: Result<Answer, EngineError>,
    /// When the read was sent.
    pub(in crate::arbiter) sent: Instant,
    /// Records are written again after a loss: a missing one means nothing.
    pub(in crate::arbiter) refills: bool,
}

impl Members {
    /// The record of a node was read since it had not changed for the time of a lease.
    pub(in crate::arbiter) fn read(&mut self, node: &NodeName, reading: &Reading, now: Instant, io: &mut Io) {
        match &reading.answer {
            Ok(Answer::Entry(Some(entry))) => match self.members.get(node) {
                Some(member) if member.revision == entry.revision => self.is_silent(node, reading, now, io),
                _ => {
                    self.record(node, entry.revision, &entry.value, now, io);
                    // The record may say nothing about the run: it cannot be read, or an earlier run has written it late.
                    if self.members.get(node).is_some_and(|member| member.asking) {
                        self.is_silent(node, reading, now, io);
                    }
                }
            },
            Ok(Answer::Entry(None)) if !reading.refills => self.is_missing(node, now, io),
            _ => {
                let pause = io.pause(self.lease / 10);
                if let Some(member) = self.members.get_mut(node) {
                    member.asking = false;
                    member.seen = member.seen.max((now + pause).checked_sub(self.lease).unwrap_or(now));
                }
            }
        }
    }

    /// The record of a node shows no sign of life of its run. A change that arrived after the read was sent makes that
    /// worthless.
    fn is_silent(&mut self, node: &NodeName, reading: &Reading, now: Instant, io: &mut Io) {
        let Some(member) = self.members.get_mut(node) else { return };
        member.asking = false;
        if member.seen + self.lease <= reading.sent {
            self.dies(node, Ending::Silent, now, io);
        }
    }

    /// The record of a node was read to find out whether one of its runs is over.
    pub(in crate::arbiter) fn read_to_judge(
        &mut self,
        run: (NodeName, Incarnation),
        reading: Reading,
        now: Instant,
        io: &mut Io,
    ) {
        let (node, incarnation) = &run;
        let entry = match reading.answer {
            Ok(Answer::Entry(Some(entry))) => entry,
            Ok(Answer::Entry(None)) if !reading.refills => {
                self.questions.remove(&run);
                self.is_missing(node, now, io);
                return self.is_over(run);
            }
            _ => return self.asks_again(run, now, io),
        };
        match self.members.get_mut(node) {
            Some(member) if entry.revision < member.revision => {
                // A change arrived meanwhile; or the broker came back with older data, and the next read is believed.
                member.revision = 0;
                return self.asks_again(run, now, io);
            }
            Some(member) if entry.revision == member.revision => {}
            _ => self.record(node, entry.revision, &entry.value, now, io),
        }
        self.questions.remove(&run);
        // A node writes its record before its first claim, so a claim of another run is of an earlier one.
        match NodeRecord::decode(&entry.value) {
            // One node too many: its record says nothing about whether it is alive.
            Ok(record) if record.incarnation == *incarnation && !self.members.contains_key(node) => {
                self.asks_again(run, now, io);
            }
            Ok(record) if record.incarnation == *incarnation => self.news = true,
            Ok(_) => self.is_over(run),
            Err(_) => {
                self.agreement.is_stranger(node, *incarnation, Disagreement::Form, io);
                self.asks_again(run, now, io);
            }
        }
    }

    fn asks_again(&mut self, run: (NodeName, Incarnation), now: Instant, io: &mut Io) {
        let pause = io.pause(self.lease / 10);
        self.questions.insert(run, Some(now + pause));
    }
}
