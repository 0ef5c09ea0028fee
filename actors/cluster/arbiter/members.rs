//! The other nodes: which run of each is alive, and which are over.

mod read;

pub(super) use read::Reading;

use super::{
    Config, Disagreement, Ending, MemberReport, Output,
    io::{Io, Purpose},
};
use crate::{
    Incarnation, NodeName,
    engine::{Answer, Bucket, EngineError, Entry, Op},
    ferry::codec::Versions,
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
    asking: bool,
}

/// Beats of a run that is over.
#[derive(Clone, Copy, Debug)]
struct Beats {
    last: u64,
    /// Those after the first one.
    more: u32,
}

impl Member {
    /// Whether its record is worth nothing any more.
    fn is_long_dead(&self, now: Instant) -> bool {
        !self.alive && now.saturating_duration_since(self.changed) >= FORGET_AFTER
    }
}

pub(super) struct Members {
    own: NodeName,
    lease: Duration,
    secret: String,
    names: String,
    versions: Versions,
    up: bool,
    members: BTreeMap<NodeName, Member>,
    /// Runs that are over, with the beats that came since.
    over: BTreeMap<(NodeName, Incarnation), Option<Beats>>,
    /// The same, the newest at the end.
    over_order: VecDeque<(NodeName, Incarnation)>,
    /// Runs that are being judged, and when the record of the node is to be read; `None`: the read is on its way.
    questions: BTreeMap<(NodeName, Incarnation), Option<Instant>>,
    /// Disagreements that were told.
    told: BTreeSet<(NodeName, Incarnation, Disagreement)>,
    /// Nodes that are no members, since their record cannot be read or since there are too many nodes.
    strangers: BTreeMap<NodeName, Disagreement>,
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
            versions: config.versions,
            up: false,
            members: BTreeMap::new(),
            over: BTreeMap::new(),
            over_order: VecDeque::new(),
            questions: BTreeMap::new(),
            told: BTreeSet::new(),
            strangers: BTreeMap::new(),
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
        records.iter().for_each(|(node, record)| self.compares_again(node, record, io));
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
            None => self.is_gone(&node, Ending::Left, now, io),
        }
    }

    /// Takes all records. Whether one of them says that its node writes its claims again. `cleans`: the records of dead nodes
    /// that were forgotten here are deleted.
    pub(super) fn listed(
        &mut self,
        entries: Vec<(String, Entry)>,
        cleans: bool,
        sent: Instant,
        now: Instant,
        io: &mut Io,
    ) -> bool {
        let mut present = BTreeSet::new();
        for (key, entry) in entries {
            if cleans && self.is_forgotten(&key, &entry) {
                let op = Op::Delete { key, revision: entry.revision };
                io.ask(op, Purpose::CleanUp(Bucket::Nodes), now);
                continue;
            }
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
        let Ok(record) = NodeRecord::decode(value) else {
            return self.is_stranger(node, Incarnation(0), Disagreement::Form, io);
        };
        if !self.members.contains_key(node) && self.members.len() >= MOST && !self.forgets_a_dead_one() {
            return self.is_stranger(node, record.incarnation, Disagreement::TooMany(MOST), io);
        }
        self.strangers.remove(node);
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
                        self.compares_again(node, &record, io);
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
            let version = self.versions.common(record.versions);
            io.tell(Output::Joined { node: node.clone(), incarnation: record.incarnation, version });
            self.compares(node, &record, io);
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
    fn is_forgotten(&self, key: &str, entry: &Entry) -> bool {
        let Ok(node) = NodeName::new(key) else { return false };
        let record = NodeRecord::decode(&entry.value);
        node != self.own
            && !self.members.contains_key(&node)
            && record.is_ok_and(|record| self.over.contains_key(&(node, record.incarnation)))
    }

    /// Deletes the records of nodes that have been dead for long.
    pub(super) fn clean_up(&mut self, now: Instant, io: &mut Io) {
        for (node, member) in &mut self.members {
            if member.is_long_dead(now) && !std::mem::replace(&mut member.asking, true) {
                let op = Op::Delete { key: node.to_string(), revision: member.revision };
                io.ask(op, Purpose::Forget(node.clone()), now);
            }
        }
    }

    /// The record of a node that has been dead for long is deleted, or somebody has written it again: then it is read with
    /// the whole table.
    pub(super) fn forgets(&mut self, node: &NodeName, answer: &Result<Answer, EngineError>, now: Instant) {
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
    fn dies(&mut self, node: &NodeName, ending: Ending, now: Instant, io: &mut Io) {
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
        self.is_gone(node, if was_lost { Ending::Lost } else { Ending::Left }, now, io);
    }

    /// There is no record of a node any more.
    fn is_gone(&mut self, node: &NodeName, ending: Ending, now: Instant, io: &mut Io) {
        self.strangers.remove(node);
        self.dies(node, ending, now, io);
    }

    fn is_over(&mut self, run: (NodeName, Incarnation)) {
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

    /// Compares again after a reload of that node or of this one. Tells what differs; if nothing does any more, tells that.
    fn compares_again(&mut self, node: &NodeName, record: &NodeRecord, io: &mut Io) {
        let told = self.told.len();
        self.told.retain(|(of, ..)| of != node);
        if told > self.told.len() && self.differences(record).is_empty() {
            io.tell(Output::Agrees { node: node.clone() });
        }
        self.compares(node, record, io);
    }

    /// Tells once for each run of a node what differs there.
    fn compares(&mut self, node: &NodeName, record: &NodeRecord, io: &mut Io) {
        for about in self.differences(record) {
            self.disagrees(node, record.incarnation, about, io);
        }
    }

    fn differences(&self, record: &NodeRecord) -> Vec<Disagreement> {
        let versions = Disagreement::Versions { theirs: record.versions, own: self.versions };
        let differs = [
            (self.versions.common(record.versions).is_none(), versions),
            (record.secret != self.secret, Disagreement::Secret),
            (record.names != self.names, Disagreement::Names),
        ];
        differs.into_iter().filter_map(|(differs, about)| differs.then_some(about)).collect()
    }

    fn is_stranger(&mut self, node: &NodeName, run: Incarnation, about: Disagreement, io: &mut Io) {
        if self.strangers.len() < OVER || self.strangers.contains_key(node) {
            self.strangers.insert(node.clone(), about);
        }
        self.disagrees(node, run, about, io);
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
        if self.over.contains_key(&run) {
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
                io.ask(op, Purpose::Alive(node.clone()), now);
            }
        }
        for ((node, incarnation), due) in &mut self.questions {
            if due.is_some_and(|at| at <= now) {
                *due = None;
                let op = Op::Read { key: node.to_string() };
                io.ask(op, Purpose::Judge(node.clone(), *incarnation), now);
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
            versions: member.record.versions,
            last_seen: now.saturating_duration_since(member.changed),
            refills: member.record.refills,
        };
        self.members.iter().map(report).collect()
    }

    /// What the living nodes have to have in common with this one and have not.
    pub(super) fn disagreements(&self) -> Vec<(NodeName, Disagreement)> {
        let living = self.members.iter().filter(|(_, member)| member.alive);
        let differing = living.flat_map(|(node, member)| {
            self.differences(&member.record).into_iter().map(|about| (node.clone(), about))
        });
        let strangers = self.strangers.iter().map(|(node, about)| (node.clone(), *about));
        differing.chain(strangers).collect()
    }
}

/// Other nodes at most. Whoever can write to the broker can invent names.
pub(super) const MOST: usize = 64;

/// Operators see a dead node for an hour. Where each start has another host name, the names would never end.
const FORGET_AFTER: Duration = Duration::from_secs(3600);

/// Runs that are over and are remembered. About an older one the broker is asked again.
const OVER: usize = 1024;

/// A late write gives one beat, a node that lives gives one after another.
const BEATS_TO_REVIVE: u32 = 2;
