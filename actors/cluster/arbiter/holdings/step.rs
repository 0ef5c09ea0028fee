//! The next step for one key: the difference between what is wanted and what is known of its record.

use super::{Asked, Claimed, Holding, Holdings, Known, Scene, Standing};
use crate::{
    NodeName,
    engine::Op,
    record::{self, ClaimRecord},
};
use std::time::Instant;

/// What [`Holdings::step`] does.
enum Next {
    Nothing,
    Read,
    Create,
    Replace(u64),
    Delete(u64),
    Grant,
    Yield(NodeName),
    /// It is being found out whether a run is alive.
    Await,
    /// Nothing of it is left here.
    Forget,
    /// A late request may still write the record: it is read again then.
    ReadAt(Instant),
    GiveUp(String),
}

impl<K: Claimed> Holdings<K> {
    /// Does the next thing for a key.
    pub(super) fn step(&mut self, what: &K, scene: &mut Scene<'_>) {
        let Some(holding) = self.held.get_mut(what) else { return };
        holding.queued = false;
        let next = holding.next(self.beat * super::ANSWER_BEATS, scene);
        match next {
            Next::Nothing => {}
            Next::Read => self.asks(what, Asked::Read, Op::Read { key: key(what) }, scene),
            Next::Create => {
                let (key, value) = (key(what), self.record(what, scene));
                self.asks(what, Asked::Write(scene.own.incarnation()), Op::Create { key, value }, scene);
            }
            Next::Replace(revision) => {
                let (key, value) = (key(what), self.record(what, scene));
                self.asks(
                    what,
                    Asked::Write(scene.own.incarnation()),
                    Op::Update { key, value, revision },
                    scene,
                );
            }
            Next::Delete(revision) => {
                self.asks(what, Asked::Delete, Op::Delete { key: key(what), revision }, scene);
            }
            Next::Grant => {
                self.granted += usize::from(!std::mem::replace(&mut holding.granted, true));
                if holding.owed.take().is_some() {
                    scene.io.tell(what.clone().granted());
                }
            }
            Next::Yield(node) => {
                holding.wanted = false;
                let owed = holding.owed.take().is_some();
                if std::mem::take(&mut holding.granted) {
                    self.granted -= 1;
                    scene.io.tell(what.clone().conflict(node));
                } else if owed {
                    scene.io.tell(what.clone().held_by(node));
                }
                self.enqueue(what);
            }
            Next::GiveUp(why) => {
                holding.wanted = false;
                holding.owed = None;
                self.granted -= usize::from(std::mem::take(&mut holding.granted));
                scene.io.tell(what.clone().unknown(why));
                self.enqueue(what);
            }
            Next::Await => drop(self.awaiting.insert(what.clone())),
            Next::Forget => {
                self.held.remove(what);
                self.keys.remove(&key(what));
            }
            Next::ReadAt(at) => {
                holding.known = Known::Unknown;
                holding.pause = Some(at);
                self.timers.insert((at, what.clone()));
            }
        }
    }

    fn asks(&mut self, what: &K, asked: Asked, op: Op, scene: &mut Scene<'_>) {
        if let Some(holding) = self.held.get_mut(what) {
            if !matches!(asked, Asked::Read) {
                // Until the answer, and if there is none, the record at that revision is not safe any more.
                holding.confirmed = None;
            }
            holding.asked = Some(asked);
            self.open += 1;
            scene.io.ask(op, what.clone().purpose(), scene.now);
        }
    }

    fn record(&mut self, what: &K, scene: &Scene<'_>) -> bytes::Bytes {
        self.number += 1;
        ClaimRecord {
            what: what.to_string(),
            node: scene.own.name().clone(),
            incarnation: scene.own.incarnation(),
            number: self.number,
        }
        .encode()
    }
}

impl Holding {
    fn next(&mut self, patience: std::time::Duration, scene: &mut Scene<'_>) -> Next {
        let now = scene.now;
        if self.owed.is_some_and(|since| since + patience <= now) || (self.owed.is_some() && scene.stopping) {
            let stops = scene.stopping.then(|| "this node stops".to_owned());
            let why = stops.or_else(|| self.failure.take());
            return Next::GiveUp(
                why.unwrap_or_else(|| "the message broker of the cluster does not answer".to_owned()),
            );
        }
        if self.asked.is_some() || !scene.up || self.pause.is_some_and(|until| until > now) {
            return Next::Nothing;
        }
        self.pause = None;
        if self.wanted { self.towards_grant(scene) } else { self.towards_release(scene) }
    }

    fn towards_grant(&mut self, scene: &mut Scene<'_>) -> Next {
        if scene.own.lease(scene.now).is_none() {
            return Next::Nothing;
        }
        // What was granted is written again at once; anything new waits until all others had time for that.
        let may_write = self.granted || !scene.own.refills();
        match &self.known {
            Known::Unknown => Next::Read,
            Known::Fresh | Known::Absent if may_write => Next::Create,
            Known::Fresh | Known::Absent => Next::Nothing,
            Known::Ours(_) => Next::Grant,
            Known::Found(record, revision) if record.node == *scene.own.name() => {
                if record.incarnation == scene.own.incarnation() && self.confirmed == Some(*revision) {
                    self.known = Known::Ours(*revision);
                    Next::Grant
                } else if may_write {
                    Next::Replace(*revision)
                } else {
                    Next::Nothing
                }
            }
            Known::Found(record, revision) => {
                match scene.members.judge(&record.node, record.incarnation, scene.now) {
                    Standing::Alive => Next::Yield(record.node.clone()),
                    Standing::Over if may_write => Next::Replace(*revision),
                    Standing::Over => Next::Nothing,
                    Standing::Asked => Next::Await,
                }
            }
            // It does not say who has the key.
            Known::Damaged(revision) if may_write => Next::Replace(*revision),
            Known::Damaged(_) => Next::Nothing,
            Known::Newer(why) => Next::GiveUp(why.clone()),
        }
    }

    fn towards_release(&mut self, scene: &Scene<'_>) -> Next {
        match &self.known {
            Known::Fresh => Next::Forget,
            Known::Unknown => Next::Read,
            Known::Ours(revision) => Next::Delete(*revision),
            Known::Found(record, revision) if record.node == *scene.own.name() => Next::Delete(*revision),
            Known::Absent | Known::Found(..) | Known::Newer(_) | Known::Damaged(_) => match self.doubt {
                // At the stop nobody reads it again: the claim is void then, as the run is over.
                Some(until) if until > scene.now && !scene.stopping => Next::ReadAt(until),
                _ => Next::Forget,
            },
        }
    }
}

fn key(what: &impl std::fmt::Display) -> String {
    record::key(&what.to_string())
}
