//! The other nodes: which run of each is alive, and which are over.

mod agreement;
mod lives;
mod read;

pub(super) use read::Reading;

use super::{
    Config, Disagreement, Ending, MemberReport,
    io::{Io, Purpose},
};
use crate::{
    Incarnation, NodeName,
    engine::{Bucket, Entry, Op},
    names::Names,
    record::NodeRecord,
};
use agreement::Agreement;
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

pub(super) struct Members {
    own: NodeName,
    lease: Duration,
    agreement: Agreement,
    up: bool,
    members: BTreeMap<NodeName, Member>,
    /// Runs that are over, with the beats that came since.
    over: BTreeMap<(NodeName, Incarnation), Option<Beats>>,
    /// The same, the newest at the end.
    over_order: VecDeque<(NodeName, Incarnation)>,
    /// Runs that are being judged, and when the record of the node is to be read; `None`: the read is on its way.
    questions: BTreeMap<(NodeName, Incarnation), Option<Instant>>,
    /// Something changed that decisions may wait for.
    news: bool,
}

impl Members {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            own: config.own.clone(),
            lease: config.lease,
            agreement: Agreement::new(config),
            up: false,
            members: BTreeMap::new(),
            over: BTreeMap::new(),
            over_order: VecDeque::new(),
            questions: BTreeMap::new(),
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

    pub(super) fn reconfigure(&mut self, secret: &str, names: &Names, io: &mut Io) {
        self.agreement.reconfigure(secret, names);
        for (node, member) in self.members.iter().filter(|(_, member)| member.alive) {
            self.agreement.compares_again(node, &member.record, io);
        }
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
                if let Some(member) = self.members.get_mut(&node)
                    && member.changed < sent
                    && entry.revision < member.revision
                {
                    // The broker has come back with older data: the table is believed.
                    member.revision = entry.revision.saturating_sub(1);
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
            load: member.record.load,
        };
        self.members.iter().map(report).collect()
    }

    /// What the living nodes have to have in common with this one and have not.
    pub(super) fn disagreements(&self) -> Vec<(NodeName, Disagreement)> {
        let living = self.members.iter().filter(|(_, member)| member.alive);
        let differing = living.flat_map(|(node, member)| {
            self.agreement.differences(&member.record).into_iter().map(|about| (node.clone(), about))
        });
        differing.chain(self.agreement.strangers()).collect()
    }
}

/// Other nodes at most. Whoever can write to the broker can invent names.
pub(super) const MOST: usize = 64;

/// Runs that are over and are remembered. About an older one the broker is asked again.
const OVER: usize = 1024;
