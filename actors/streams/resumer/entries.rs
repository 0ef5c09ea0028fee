//! The streams that the resumer remembers, by id. Plain data.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Claim, Contested, Enrol, Identity, Outcome, Parted, identity::Right};
use crate::streams::accepted::Caller;
use mailbox::Outlet;

/// The remembered streams. Those of connections that are up are bounded by the connections; those that have parted are
/// bounded here.
#[derive(Debug)]
pub(super) struct Entries {
    by_id: HashMap<Arc<str>, Entry>,
    /// The parted streams, the first to be removed in front.
    turns: BTreeMap<Turn, Arc<str>>,
    /// The number of streams that have parted.
    parted: u64,
    /// Parted streams at most.
    limit: usize,
}

/// The order in which parted streams are removed: first those that can only be counted, then the others, and of both
/// those that parted first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    is_resumable: bool,
    number: u64,
}

#[derive(Debug)]
enum Entry {
    /// A stream takes stanzas under this id.
    Live(Box<Live>),
    /// The stream takes nothing more, and its count is final.
    Parted(Box<(Turn, Remembered)>),
}

#[derive(Debug)]
struct Live {
    holder: Caller,
    stream: Outlet<Contested>,
    /// The state that the holder resumed. It is needed again if the holder ends before it learns that.
    before: Option<Box<Remembered>>,
    /// Waits until the stream has yielded.
    claim: Option<Box<Waiting>>,
}

/// A claim that waits.
#[derive(Debug)]
struct Waiting {
    number: u64,
    claim: Claim,
}

#[derive(Debug)]
struct Remembered {
    identity: Identity,
    handled: u32,
    since: Instant,
    /// `None`: only the count is given.
    resumable_until: Option<Instant>,
    counted_until: Instant,
}

/// The answer to a claim, for the stream that made it.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) claim: Claim,
    pub(super) outcome: Outcome,
}

/// The decision about a claim.
#[derive(Debug)]
pub(super) enum Decision {
    /// It has its answer.
    Answer(Answer),
    /// It waits. Ask this stream, which holds the id, to yield it.
    Ask {
        stream: Outlet<Contested>,
        /// The claim that waited before.
        replaced: Option<Answer>,
    },
}

impl Entries {
    /// Remembers no stream yet, and at most `limit` of those that have parted.
    pub(super) fn new(limit: usize) -> Self {
        Self { by_id: HashMap::new(), turns: BTreeMap::new(), parted: 0, limit }
    }

    /// Enters a stream that can be resumed.
    pub(super) fn enrol(&mut self, enrol: Enrol) {
        let Enrol { id, holder, stream } = enrol;
        let live = Live { holder, stream, before: None, claim: None };
        self.by_id.insert(id, Entry::Live(Box::new(live)));
    }

    /// Keeps the state of a stream that takes nothing more, and answers the claim that has waited for it.
    pub(super) fn part(
        &mut self,
        id: Arc<str>,
        holder: Caller,
        state: Parted,
        now: Instant,
    ) -> Option<Answer> {
        let live = self.take_live(&id, holder)?;
        let Parted { identity, handled, resumable_for } = state;
        let resumable_until = resumable_for.map(|time| now + time);
        let counted_until = resumable_until.unwrap_or(now) + COUNTED_FOR;
        let remembered = Remembered { identity, handled, since: now, resumable_until, counted_until };
        self.keep_or_answer(id, remembered, live.claim, now)
    }

    /// Forgets a stream whose count is not known. The claim that has waited for it gets nothing.
    pub(super) fn forget(&mut self, id: &Arc<str>, holder: Caller) -> Option<Answer> {
        let live = self.take_live(id, holder)?;
        live.claim.map(|waiting| Answer { claim: waiting.claim, outcome: Outcome::Unknown })
    }

    /// Revokes the answer to the claim of a stream: the stream has ended before it learned the answer.
    pub(super) fn withdraw(&mut self, id: Arc<str>, claimant: Caller, now: Instant) -> Option<Answer> {
        let Some(Entry::Live(live)) = self.by_id.get_mut(&id) else { return None };
        if live.holder != claimant {
            live.claim.take_if(|waiting| waiting.claim.claimant == claimant);
            return None;
        }
        let live = self.take_live(&id, claimant)?;
        match live.before {
            Some(before) => self.keep_or_answer(id, *before, live.claim, now),
            None => live.claim.map(|waiting| Answer { claim: waiting.claim, outcome: Outcome::Unknown }),
        }
    }

    /// Decides about a claim. `number` is its number if it has to wait.
    pub(super) fn claim(&mut self, claim: Claim, number: u64, now: Instant) -> Decision {
        match self.by_id.get_mut(&*claim.id) {
            // The machine of a stream refuses a claim of its own id, so the holder is another stream.
            Some(Entry::Live(live)) if live.holder != claim.claimant => {
                let stream = live.stream.clone();
                let replaced = live.claim.replace(Box::new(Waiting { number, claim }));
                let replaced = replaced.map(|last| Answer { claim: last.claim, outcome: Outcome::Overtaken });
                Decision::Ask { stream, replaced }
            }
            Some(Entry::Live(_)) | None => Decision::Answer(Answer { claim, outcome: Outcome::Unknown }),
            Some(Entry::Parted(_)) => match self.take_parted(&claim.id) {
                Some((id, remembered)) if now < remembered.counted_until => {
                    Decision::Answer(self.answer(id, remembered, claim, now))
                }
                Some(_) | None => Decision::Answer(Answer { claim, outcome: Outcome::Unknown }),
            },
        }
    }

    /// Refuses the claim that waits for a stream: the stream keeps its id.
    pub(super) fn refuse(&mut self, id: &str, holder: Caller) -> Option<Answer> {
        let Some(Entry::Live(live)) = self.by_id.get_mut(id) else { return None };
        let waiting = live.claim.take_if(|_| live.holder == holder)?;
        Some(Answer { claim: waiting.claim, outcome: Outcome::Refused })
    }

    /// Ends the wait of a claim, if it still waits.
    pub(super) fn give_up(&mut self, id: &str, number: u64) -> Option<Answer> {
        let Some(Entry::Live(live)) = self.by_id.get_mut(id) else { return None };
        let waiting = live.claim.take_if(|waiting| waiting.number == number)?;
        Some(Answer { claim: waiting.claim, outcome: Outcome::NotYet })
    }

    /// Removes parted streams whose time is over.
    pub(super) fn expire(&mut self, now: Instant) {
        self.remove_parted(|remembered| remembered.counted_until <= now);
    }

    /// Goes on with another limit, and without parted streams of an identity that is not `admitted`.
    pub(super) fn adopt(&mut self, limit: usize, admitted: impl Fn(&Identity) -> bool) {
        self.limit = limit;
        self.remove_parted(|remembered| !admitted(&remembered.identity));
        self.shrink();
    }

    fn take_live(&mut self, id: &Arc<str>, holder: Caller) -> Option<Live> {
        match self.by_id.remove(id)? {
            Entry::Live(live) if live.holder == holder => Some(*live),
            // Another stream holds the id now.
            other => {
                self.by_id.insert(Arc::clone(id), other);
                None
            }
        }
    }

    fn take_parted(&mut self, id: &str) -> Option<(Arc<str>, Remembered)> {
        match self.by_id.remove_entry(id)? {
            (id, Entry::Parted(parted)) => {
                let (turn, remembered) = *parted;
                self.turns.remove(&turn);
                Some((id, remembered))
            }
            (id, live @ Entry::Live(_)) => {
                self.by_id.insert(id, live);
                None
            }
        }
    }

    fn keep_or_answer(
        &mut self,
        id: Arc<str>,
        remembered: Remembered,
        waiting: Option<Box<Waiting>>,
        now: Instant,
    ) -> Option<Answer> {
        match waiting {
            Some(waiting) => Some(self.answer(id, remembered, waiting.claim, now)),
            None => {
                self.keep(id, remembered);
                None
            }
        }
    }

    /// Answers a claim of a stream that has parted. The claimant holds the id from now on if it may resume.
    fn answer(&mut self, id: Arc<str>, mut remembered: Remembered, claim: Claim, now: Instant) -> Answer {
        let handled = remembered.handled;
        let is_resumable = remembered.resumable_until.is_some_and(|until| now < until);
        let outcome = match remembered.identity.right_of(&claim.identity) {
            Right::Nothing => Outcome::Refused,
            Right::Resume if is_resumable => {
                let interrupted = now.saturating_duration_since(remembered.since);
                let (holder, stream) = (claim.claimant, claim.stream.clone());
                let live = Live { holder, stream, before: Some(Box::new(remembered)), claim: None };
                self.by_id.insert(id, Entry::Live(Box::new(live)));
                return Answer { claim, outcome: Outcome::Resumed { handled, interrupted } };
            }
            Right::Resume | Right::Count => {
                // The peer goes on with a new stream.
                remembered.resumable_until = None;
                Outcome::Counted { handled }
            }
        };
        self.keep(id, remembered);
        Answer { claim, outcome }
    }

    /// Keeps a stream that has parted. Others are removed if there are too many.
    fn keep(&mut self, id: Arc<str>, remembered: Remembered) {
        self.parted += 1;
        let turn = Turn { is_resumable: remembered.resumable_until.is_some(), number: self.parted };
        self.turns.insert(turn, Arc::clone(&id));
        self.by_id.insert(id, Entry::Parted(Box::new((turn, remembered))));
        self.shrink();
    }

    fn shrink(&mut self) {
        while self.turns.len() > self.limit
            && let Some((_, id)) = self.turns.pop_first()
        {
            self.by_id.remove(&id);
        }
    }

    fn remove_parted(&mut self, unwanted: impl Fn(&Remembered) -> bool) {
        let turns = &mut self.turns;
        self.by_id.retain(|_, entry| match entry {
            Entry::Live(_) => true,
            Entry::Parted(parted) => {
                let (turn, remembered) = &**parted;
                let stays = !unwanted(remembered);
                if !stays {
                    turns.remove(turn);
                }
                stays
            }
        });
    }
}

/// How long the count of a stream is given after the stream can no longer be resumed.
pub(super) const COUNTED_FOR: Duration = Duration::from_secs(10 * 60);
