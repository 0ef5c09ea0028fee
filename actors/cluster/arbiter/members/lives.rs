//! When a run of another node begins and when it is over, as its record shows.

use super::{Beats, MOST, Member, Members, OVER};
use crate::{
    Incarnation, NodeName,
    arbiter::{
        Disagreement, Ending, Output,
        io::{Io, Purpose},
    },
    engine::{Answer, EngineError, Entry, Op},
    record::NodeRecord,
};
use bytes::Bytes;
use std::time::{Duration, Instant};

impl Member {
    /// Whether its record is worth nothing any more.
    fn is_long_dead(&self, now: Instant) -> bool {
        !self.alive && now.saturating_duration_since(self.changed) >= FORGET_AFTER
    }
}

impl Members {
    /// Takes the record of a node.
    pub(super) fn record(
        &mut self,
        node: &NodeName,
        revision: u64,
        value: &Bytes,
        now: Instant,
        io: &mut Io,
    ) {
        let Ok(record) = NodeRecord::decode(value) else {
            return self.agreement.is_stranger(node, Incarnation(0), Disagreement::Form, io);
        };
        if !self.members.contains_key(node) && self.members.len() >= MOST && !self.forgets_a_dead_one() {
            return self.agreement.is_stranger(node, record.incarnation, Disagreement::TooMany(MOST), io);
        }
        self.agreement.is_no_stranger(node);
        let known = self.members.get_mut(node);
        match known {
            Some(member) if member.record.incarnation == record.incarnation => {
                let beats = record.beat > member.record.beat;
                member.revision = revision;
                member.asking = false;
                if !beats {
                    // The same record, written again or rolled back.
                    member.seen = if member.alive { now } else { member.seen };
                    return;
                }
                let before = std::mem::replace(&mut member.record, record.clone());
                (member.seen, member.changed) = (now, now);
                if member.alive {
                    if (&before.secret, &before.names) != (&record.secret, &record.names) {
                        self.agreement.compares_again(node, &record, io);
                    }
                    return;
                }
                // One beat may be a late one. A node that goes on to beat is alive after all.
                member.beats_after_death += 1;
                if member.beats_after_death < BEATS_TO_REVIVE {
                    return;
                }
                (member.alive, member.has_left) = (true, false);
                let run = (node.clone(), member.record.incarnation);
                self.revives(&run);
            }
            _ => {
                let run = (node.clone(), record.incarnation);
                if let Some(beats) = self.over.get_mut(&run) {
                    // A late write of an earlier run; or the broker came back with older data, and the run goes on.
                    let beats = beats.get_or_insert(Beats { last: record.beat, more: 0 });
                    beats.more += u32::from(record.beat > beats.last);
                    beats.last = record.beat;
                    if beats.more < BEATS_TO_REVIVE {
                        return;
                    }
                    self.revives(&run);
                }
                if self.members.contains_key(node) {
                    self.dies(node, Ending::Replaced, now, io);
                }
                let member = Member {
                    record,
                    revision,
                    seen: now,
                    changed: now,
                    alive: true,
                    has_left: false,
                    beats_after_death: 0,
                    asking: false,
                };
                self.members.insert(node.clone(), member);
            }
        }
        self.news = true;
        if let Some(record) = self.members.get(node).map(|member| member.record.clone()) {
            let version = self.agreement.version(&record);
            io.tell(Output::Joined { node: node.clone(), incarnation: record.incarnation, version });
            self.agreement.compares(node, &record, io);
        }
    }

    /// Makes room for another node: forgets the dead one whose record changed longest ago. False: all are alive.
    fn forgets_a_dead_one(&mut self) -> bool {
        let dead = self.members.iter().filter(|(_, member)| !member.alive);
        let Some(oldest) = dead.min_by_key(|(_, member)| member.changed).map(|(node, _)| node.clone()) else {
            return false;
        };
        self.members.remove(&oldest);
        true
    }

    /// Whether the record is of a run that is over, and its node made room for another one.
    pub(super) fn is_forgotten(&self, key: &str, entry: &Entry) -> bool {
        let Ok(node) = NodeName::new(key) else { return false };
        let record = NodeRecord::decode(&entry.value);
        node != self.own
            && !self.members.contains_key(&node)
            && record.is_ok_and(|record| self.over.contains_key(&(node, record.incarnation)))
    }

    /// Deletes the records of nodes that have been dead for long.
    pub(in crate::arbiter) fn clean_up(&mut self, now: Instant, io: &mut Io) {
        for (node, member) in &mut self.members {
            if member.is_long_dead(now) && !std::mem::replace(&mut member.asking, true) {
                let op = Op::Delete { key: node.to_string(), revision: member.revision };
                io.ask(op, Purpose::Forget(node.clone()), now);
            }
        }
    }

    /// The record of a node that has been dead for long is deleted, or somebody has written it again: then it is read with
    /// the whole table.
    pub(in crate::arbiter) fn forgets(
        &mut self,
        node: &NodeName,
        answer: &Result<Answer, EngineError>,
        now: Instant,
    ) {
        let Some(member) = self.members.get_mut(node) else { return };
        member.asking = false;
        if answer.is_ok() && member.is_long_dead(now) {
            self.members.remove(node);
        }
    }

    fn revives(&mut self, run: &(NodeName, Incarnation)) {
        self.over.remove(run);
        self.over_order.retain(|over| over != run);
    }

    /// The run of a node is over.
    pub(super) fn dies(&mut self, node: &NodeName, ending: Ending, now: Instant, io: &mut Io) {
        let Some(member) = self.members.get_mut(node) else { return };
        member.asking = false;
        if !member.alive {
            // An operator deletes the record of a dead node that does not come back.
            member.has_left |= ending == Ending::Left;
            return;
        }
        (member.alive, member.has_left) = (false, ending == Ending::Left);
        member.beats_after_death = 0;
        let (incarnation, load) = (member.record.incarnation, member.record.load);
        let last_seen = now.saturating_duration_since(member.changed);
        self.is_over((node.clone(), incarnation));
        io.tell(Output::Died { node: node.clone(), incarnation, last_seen, ending, load });
    }

    /// The record of a node is not there. It is deleted when the node stops in order; but the broker may have lost it, with all
    /// others, and the node has not written it again.
    pub(super) fn is_missing(&mut self, node: &NodeName, now: Instant, io: &mut Io) {
        let was_lost = self.members.get(node).is_some_and(|member| member.revision == 0);
        self.is_gone(node, if was_lost { Ending::Lost } else { Ending::Left }, now, io);
    }

    /// There is no record of a node any more.
    pub(super) fn is_gone(&mut self, node: &NodeName, ending: Ending, now: Instant, io: &mut Io) {
        self.agreement.is_no_stranger(node);
        self.dies(node, ending, now, io);
    }

    pub(super) fn is_over(&mut self, run: (NodeName, Incarnation)) {
        self.news = true;
        if !self.over.contains_key(&run) {
            self.over.insert(run.clone(), None);
            self.over_order.push_back(run);
        }
        if self.over_order.len() > OVER
            && let Some(oldest) = self.over_order.pop_front()
        {
            self.over.remove(&oldest);
        }
    }
}

/// Operators see a dead node for an hour. Where each start has another host name, the names would never end.
const FORGET_AFTER: Duration = Duration::from_secs(3600);

/// A late write gives one beat, a node that lives gives one after another.
const BEATS_TO_REVIVE: u32 = 2;
