//! The other nodes: which run of each is alive, and which are over.

mod read;

pub(super) use read::Reading;

use super::{
    Config, Disagreement, Ending, MemberReport, Output,
    io::{Io, Purpose},
};
use crate::{
    Incarnation, NodeName,
    engine::{Bucket, Entry, Op},
    record::NodeRecord,
};
use bytes::Bytes;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::{Duration, Instant},
};

/// What is known about a run of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Alive,
    /// It is dead, or the node has begun another run.
    Over,
    /// A read of its record will tell: [`Members::judge`] has asked for it.
    Asked,
}

struct Member {
    record: NodeRecord,
    revision: u64,
    /// When the record changed last, or when the broker was reached again after that.
    seen: Instant,
    /// When it changed last, for reports.
    changed: Instant,
    alive: bool,
    /// It is not alive, since it stopped in order.
    has_left: bool,
    /// Beats since the node was taken for dead.
    beats_after_death: u32,
    /// A run that is over and writes the record again: its last beat, and how many came.
    ghost: Option<(Incarnation, u64, u32)>,
    asking: bool,
}

pub(super) struct Members {
    own: NodeName,
    lease: Duration,
    secret: String,
    names: String,
    up: bool,
    members: BTreeMap<NodeName, Member>,
    /// Runs that are over, the newest at the end.
    over: BTreeSet<(NodeName, Incarnation)>,
    over_order: VecDeque<(NodeName, Incarnation)>,
    /// Runs that are being judged, and when the record of the node is to be read; `None`: the read is on its way.
    questions: BTreeMap<(NodeName, Incarnation), Option<Instant>>,
    /// Disagreements that were told.
    told: BTreeSet<(NodeName, Incarnation, Disagreement)>,
    /// Nodes whose record cannot be read.
    unreadable: BTreeSet<NodeName>,
    /// Something changed that decisions may wait for.
    news: bool,
}

impl Members {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            own: config.own.clone(),
            lease: config.lease,
            secret: config.secret.clone(),
            names: config.names.clone(),
            up: false,
            members: BTreeMap::new(),
            over: BTreeSet::new(),
            over_order: VecDeque::new(),
            questions: BTreeMap::new(),
            told: BTreeSet::new(),
            unreadable: BTreeSet::new(),
            news: false,
        }
    }

    pub(super) fn is_up(&mut self, lost: bool, now: Instant) {
        self.up = true;
        for member in self.members.values_mut() {
            member.seen = now;
            member.asking = false;
        }
        self.questions.values_mut().for_each(|due| *due = Some(now));
        if lost {
            self.forget_revisions();
        }
    }

    pub(super) fn is_down(&mut self) {
        self.up = false;
    }

    /// The broker has lost records: revisions begin again.
    pub(super) fn forget_revisions(&mut self) {
        self.members.values_mut().for_each(|member| member.revision = 0);
    }

    pub(super) fn reconfigure(&mut self, secret: &str, names: &str, io: &mut Io) {
        secret.clone_into(&mut self.secret);
        names.clone_into(&mut self.names);
        let living = self.members.iter().filter(|(_, member)| member.alive);
        let records: Vec<_> = living.map(|(node, member)| (node.clone(), member.record.clone())).collect();
        records.iter().for_each(|(node, record)| self.compares(node, record, io));
    }

    /// Whether something changed since the last call that decisions may wait for.
    pub(super) fn take_news(&mut self) -> bool {
        std::mem::take(&mut self.news)
    }

    /// Takes a change that the broker reported.
    pub(super) fn changed(
        &mut self,
        key: &str,
        revision: u64,
        value: Option<&Bytes>,
        now: Instant,
        io: &mut Io,
    ) {
        let Ok(node) = NodeName::new(key) else { return };
        if node == self.own || self.members.get(&node).is_some_and(|member| revision <= member.revision) {
            return;
        }
        match value {
            Some(value) => self.record(&node, revision, value, now, io),
            None => self.dies(&node, Ending::Left, now, io),
        }
    }

    /// Takes all records. Whether one of them says that its node writes its claims again.
    pub(super) fn listed(
        &mut self,
        entries: Vec<(String, Entry)>,
        sent: Instant,
        now: Instant,
        io: &mut Io,
    ) -> bool {
        let mut present = BTreeSet::new();
        for (key, entry) in entries {
            if let Ok(node) = NodeName::new(&key) {
                if let Some(member) = self.members.get_mut(&node).filter(|member| member.changed < sent) {
                    // The broker may have come back with older data: the table is believed.
                    member.revision = member.revision.min(entry.revision.saturating_sub(1));
                }
                present.insert(node);
            }
            self.changed(&key, entry.revision, Some(&entry.value), now, io);
        }
        for (node, member) in &mut self.members {
            if member.alive && member.changed < sent && !present.contains(node) {
                // The deletion was not reported, or the broker lost the record: a read will tell.
                member.seen = now.checked_sub(self.lease).unwrap_or(member.seen);
            }
        }
        self.members.values().any(|member| member.alive && member.record.refills)
    }

    fn record(&mut self, node: &NodeName, revision: u64, value: &Bytes, now: Instant, io: &mut Io) {
        let Ok(record) = NodeRecord::decode(value) else { return self.unreadable(node, Incarnation(0), io) };
        self.unreadable.remove(node);
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
                let before = std::mem::replace(&mut member.record, record);
                (member.seen, member.changed) = (now, now);
                if member.alive {
                    let record = member.record.clone();
                    if (&before.secret, &before.names) != (&record.secret, &record.names) {
                        // A reload there.
                        self.compares(node, &record, io);
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
            known => {
                let run = (node.clone(), record.incarnation);
                if self.over.contains(&run) {
                    // A late write of an earlier run; or the broker came back with older data, and the run goes on.
                    let ghost =
                        known.map(|member| member.ghost.get_or_insert((record.incarnation, record.beat, 0)));
                    match ghost {
                        Some((incarnation, beat, beats)) if *incarnation == record.incarnation => {
                            *beats += u32::from(record.beat > *beat);
                            *beat = record.beat;
                            if *beats < BEATS_TO_REVIVE {
                                return;
                            }
                        }
                        Some(ghost) => {
                            *ghost = (record.incarnation, record.beat, 0);
                            return;
                        }
                        None => {}
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
                    ghost: None,
                    asking: false,
                };
                self.members.insert(node.clone(), member);
            }
        }
        self.news = true;
        if let Some(record) = self.members.get(node).map(|member| member.record.clone()) {
            self.compares(node, &record, io);
            let (node, incarnation, version) = (node.clone(), record.incarnation, record.version);
            io.tell(Output::Joined { node, incarnation, version });
        }
    }

    fn revives(&mut self, run: &(NodeName, Incarnation)) {
        self.over.remove(run);
        self.over_order.retain(|over| over != run);
    }

    /// The run of a node is over.
    fn dies(&mut self, node: &NodeName, ending: Ending, now: Instant, io: &mut Io) {
        self.unreadable.remove(node);
        let Some(member) = self.members.get_mut(node) else { return };
        member.asking = false;
        if !member.alive {
            // An operator deletes the record of a dead node that does not come back.
            member.has_left |= ending == Ending::Left;
            return;
        }
        (member.alive, member.has_left) = (false, ending == Ending::Left);
        member.beats_after_death = 0;
        let incarnation = member.record.incarnation;
        let last_seen = now.saturating_duration_since(member.changed);
        self.is_over((node.clone(), incarnation));
        io.tell(Output::Died { node: node.clone(), incarnation, last_seen, ending });
    }

    /// The record of a node is not there. It is deleted when the node stops in order; but the broker may have lost it, with all
    /// others, and the node has not written it again.
    fn is_missing(&mut self, node: &NodeName, now: Instant, io: &mut Io) {
        let was_lost = self.members.get(node).is_some_and(|member| member.revision == 0);
        self.dies(node, if was_lost { Ending::Lost } else { Ending::Left }, now, io);
    }

    fn is_over(&mut self, run: (NodeName, Incarnation)) {
        self.news = true;
        if self.over.insert(run.clone()) {
            self.over_order.push_back(run);
        }
        if self.over_order.len() > OVER
            && let Some(oldest) = self.over_order.pop_front()
        {
            self.over.remove(&oldest);
        }
    }

    /// Tells once for each run of a node what differs there.
    fn compares(&mut self, node: &NodeName, record: &NodeRecord, io: &mut Io) {
        for (about, differs) in self.differences(record) {
            if differs {
                self.disagrees(node, record.incarnation, about, io);
            } else {
                // If it differs again, it is told again.
                self.told.remove(&(node.clone(), record.incarnation, about));
            }
        }
    }

    fn differences(&self, record: &NodeRecord) -> [(Disagreement, bool); 2] {
        [
            (Disagreement::Secret, record.secret != self.secret),
            (Disagreement::Names, record.names != self.names),
        ]
    }

    fn unreadable(&mut self, node: &NodeName, incarnation: Incarnation, io: &mut Io) {
        if self.unreadable.len() < OVER {
            self.unreadable.insert(node.clone());
        }
        self.disagrees(node, incarnation, Disagreement::Form, io);
    }

    fn disagrees(&mut self, node: &NodeName, incarnation: Incarnation, about: Disagreement, io: &mut Io) {
        if self.told.len() >= OVER {
            self.told.clear();
        }
        if self.told.insert((node.clone(), incarnation, about)) {
            io.tell(Output::Disagrees { node: node.clone(), about });
        }
    }

    /// Whether a run of another node is alive. If that is not known, its record is read.
    pub(super) fn judge(&mut self, node: &NodeName, incarnation: Incarnation, now: Instant) -> Standing {
        let run = (node.clone(), incarnation);
        if self.over.contains(&run) {
            return Standing::Over;
        }
        match self.members.get(node) {
            Some(member) if member.record.incarnation == incarnation && member.alive => Standing::Alive,
            Some(member) if member.record.incarnation == incarnation => Standing::Over,
            _ => {
                self.questions.entry(run).or_insert(Some(now));
                Standing::Asked
            }
        }
    }

    /// Sends the reads that are due.
    pub(super) fn act(&mut self, now: Instant, io: &mut Io) {
        for (node, member) in &mut self.members {
            if member.alive && !member.asking && now >= member.seen + self.lease {
                member.asking = true;
                let op = Op::Read { key: node.to_string() };
                io.ask(Bucket::Nodes, op, Purpose::Alive(node.clone()), now);
            }
        }
        for ((node, incarnation), due) in &mut self.questions {
            if due.is_some_and(|at| at <= now) {
                *due = None;
                let op = Op::Read { key: node.to_string() };
                io.ask(Bucket::Nodes, op, Purpose::Judge(node.clone(), *incarnation), now);
            }
        }
    }

    pub(super) fn next_tick(&self) -> Option<Instant> {
        let living = self.members.values().filter(|member| member.alive && !member.asking);
        living.map(|member| member.seen + self.lease).chain(self.questions.values().copied().flatten()).min()
    }

    pub(super) fn report(&self, now: Instant) -> Vec<MemberReport> {
        let report = |(node, member): (&NodeName, &Member)| MemberReport {
            node: node.clone(),
            incarnation: member.record.incarnation,
            alive: member.alive,
            has_left: member.has_left,
            beat: member.record.beat,
            version: member.record.version,
            last_seen: now.saturating_duration_since(member.changed),
            refills: member.record.refills,
        };
        self.members.iter().map(report).collect()
    }

    /// What the living nodes have to have in common with this one and have not.
    pub(super) fn disagreements(&self) -> Vec<(NodeName, Disagreement)> {
        let living = self.members.iter().filter(|(_, member)| member.alive);
        let differing = living.flat_map(|(node, member)| {
            let differing = self.differences(&member.record).into_iter().filter(|(_, differs)| *differs);
            differing.map(|(about, _)| (node.clone(), about))
        });
        let unreadable = self.unreadable.iter().map(|node| (node.clone(), Disagreement::Form));
        differing.chain(unreadable).collect()
    }
}

/// Runs that are over and are remembered. About an older one the broker is asked again.
const OVER: usize = 1024;

/// A late write gives one beat, a node that lives gives one after another.
const BEATS_TO_REVIVE: u32 = 2;
