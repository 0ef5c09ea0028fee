//! Stanzas that were written lately and can still be answered, should the link end without a goodbye.
//!
//! Most stanzas are not remembered: nobody can tell whether they arrived, so nothing is to be answered. Three kinds are.
//! IQ requests, since whoever asked waits for an answer. The longest stanza, which the peer may have refused for its
//! length. And a stanza that was alone on the wire, which is the only one that the peer can mean.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use xmpp::Stanza;

use crate::flow::batch::Kept;
use status::amount::Amount;

/// What was written lately.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// In order.
    requests: VecDeque<Fact>,
    /// Of the requests.
    bytes: usize,
    longest: Option<Fact>,
    alone: Option<Fact>,
    /// When a stanza was written last.
    last: Option<Instant>,
}

/// A stanza that may not have arrived.
#[derive(Clone, Debug)]
pub struct Fact {
    /// The stanza, perhaps without its payload.
    pub stanza: Stanza,
    /// What it adds to the account.
    pub amount: Amount,
    /// Its bytes on the wire.
    pub length: usize,
    /// The link ended while it was written, so nobody has answered it yet.
    pub is_touched: bool,
    /// Its place among all bytes written: where it ends.
    place: u64,
    at: Instant,
}

/// The stanzas among those that may not have arrived whose senders can be answered.
#[derive(Debug, Default)]
pub struct Suspects {
    /// IQ requests, in order.
    pub requests: Vec<Fact>,
    /// The longest stanza, if any server may refuse it for that; of equals the last.
    pub oversized: Option<Fact>,
    /// The only stanza that was on the wire.
    pub alone: Option<Fact>,
}

impl Facts {
    /// Remembers stanzas that were written in one chunk; `written` are all bytes written before.
    pub(super) fn remember(&mut self, chunk: &[Kept], mut written: u64, now: Instant) {
        if chunk.is_empty() {
            return;
        }
        self.forget(now, written);
        let lonely = chunk.len() == 1 && self.was_quiet(now);
        self.alone = None;
        self.last = Some(now);
        for kept in chunk {
            let length = kept.stanza.bytes().len();
            written += length as u64;
            let is_request = kept.stanza.is_request();
            let is_longest =
                length > LEAST_LIMIT && self.longest.as_ref().is_none_or(|fact| fact.length <= length);
            if !is_request && !is_longest && !lonely {
                continue;
            }
            let Some(fact) = Fact::of(kept, written, now) else { continue };
            if is_longest {
                self.longest = Some(fact.clone());
            }
            if lonely {
                self.alone = Some(fact.clone());
            }
            if is_request {
                self.bytes += fact.weight();
                self.requests.push_back(fact);
            }
        }
        while self.bytes > MEMORY
            && let Some(oldest) = self.requests.pop_front()
        {
            self.bytes -= oldest.weight();
        }
    }

    /// Gives what may not have arrived. `touched` are those of which only a part may have been written.
    pub(super) fn take(&mut self, touched: &[Kept], written: u64, now: Instant) -> Suspects {
        self.forget(now, written);
        let facts = std::mem::take(self);
        let mut place = written;
        let touched: Vec<Fact> = touched
            .iter()
            .map(|kept| {
                let length = kept.stanza.bytes().len();
                place += length as u64;
                Fact {
                    stanza: kept.stanza.clone(),
                    amount: kept.amount(),
                    length,
                    is_touched: true,
                    place,
                    at: now,
                }
            })
            .collect();
        let was_quiet = facts.was_quiet(now);
        let alone = match &touched[..] {
            [] => facts.alone,
            [only] if was_quiet => Some(only.clone()),
            _ => None,
        };
        let long = touched.iter().filter(|fact| fact.length > LEAST_LIMIT).cloned();
        let oversized = facts.longest.into_iter().chain(long).max_by_key(|fact| fact.length);
        let requests = touched.into_iter().filter(|fact| fact.stanza.is_request());
        Suspects { requests: facts.requests.into_iter().chain(requests).collect(), oversized, alone }
    }

    /// Whether nothing was written for so long that a peer would have complained about it.
    fn was_quiet(&self, now: Instant) -> bool {
        self.last.is_none_or(|last| now.saturating_duration_since(last) > QUIET)
    }

    fn forget(&mut self, now: Instant, written: u64) {
        let is_old = |fact: &Fact| !is_recent(fact.at, now) || written.saturating_sub(fact.place) > BEHIND;
        while let Some(oldest) = self.requests.front().filter(|fact| is_old(fact)) {
            self.bytes -= oldest.weight();
            self.requests.pop_front();
        }
        for fact in [&mut self.longest, &mut self.alone] {
            if fact.as_ref().is_some_and(is_old) {
                *fact = None;
            }
        }
    }
}

impl Fact {
    fn of(kept: &Kept, place: u64, at: Instant) -> Option<Self> {
        let (amount, length) = (kept.amount(), kept.stanza.bytes().len());
        Some(Self { stanza: kept.stanza.memento(SHORT)?, amount, length, is_touched: false, place, at })
    }

    /// Whether both are the same stanza.
    pub fn is(&self, other: &Self) -> bool {
        self.place == other.place
    }

    /// Whether it was written after another one.
    pub fn follows(&self, other: &Self) -> bool {
        self.place > other.place
    }

    /// Whether it was written so lately that a peer may not have read it before it complained.
    pub fn is_fresh(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.at) <= QUIET
    }

    fn weight(&self) -> usize {
        size_of::<Self>() + self.stanza.bytes().len()
    }
}

fn is_recent(at: Instant, now: Instant) -> bool {
    now.saturating_duration_since(at) <= RECENT
}

/// A peer that cannot take a stanza says so as soon as it has read it. Who asked something longer ago was answered, or
/// has given up.
const RECENT: Duration = Duration::from_secs(30);

/// Peers read stanzas in order, so what was written before a silence of that length is not what the complaint is about.
const QUIET: Duration = Duration::from_secs(5);

/// Bytes behind which a stanza has arrived: less than what counts as doubtful, so that the account agrees.
const BEHIND: u64 = 16 * 1024 * 1024;

/// Bytes of requests that are remembered for one link: some two hundred of them.
const MEMORY: usize = 128 * 1024;

/// Bytes up to which a stanza is remembered whole.
const SHORT: usize = 1024;

/// Bytes that every server has to take (RFC 6120 section 13.12): a shorter stanza is not refused for its length.
const LEAST_LIMIT: usize = 10_000;

#[cfg(test)]
mod tests {
    use xmpp::xml::Element;

    use super::*;

    fn kept(name: &str, id: usize, length: usize) -> Kept {
        let element =
            Element::new(name, "jabber:server").with("from", "a@a.example").with("to", "b@b.example");
        let element = if name == "iq" { element.with("type", "get") } else { element };
        let element = element.with("id", id.to_string()).with_text("x".repeat(length));
        Kept { stanza: Stanza::from_element(&element).unwrap(), taken: true, since: clock::now() }
    }

    fn ids(facts: impl IntoIterator<Item = Fact>) -> Vec<String> {
        facts.into_iter().map(|fact| fact.stanza.id().unwrap().into_owned()).collect()
    }

    #[test]
    fn requests_the_longest_and_one_that_is_alone_are_remembered() {
        let (mut facts, now) = (Facts::default(), clock::now());
        facts.remember(&[kept("message", 1, 10)], 0, now);
        let suspects = facts.take(&[], 0, now);
        assert_eq!((ids(suspects.alone), suspects.requests.len()), (vec!["1".to_owned()], 0));

        let chunk = [
            kept("message", 2, 20_000),
            kept("iq", 3, 5),
            kept("message", 4, 20_000),
            kept("message", 5, 15_000),
        ];
        facts.remember(&chunk, 0, now);
        facts.remember(&[kept("iq", 6, 5)], 0, now);
        let suspects = facts.take(&[kept("iq", 7, 3), kept("message", 8, 3)], 0, now);
        assert_eq!(ids(suspects.requests), ["3", "6", "7"]);
        assert_eq!(ids(suspects.oversized), ["4"]);
        assert!(suspects.alone.is_none());
    }

    #[test]
    fn a_stanza_on_the_wire_is_alone_when_nothing_was_written_lately() {
        let (mut facts, now) = (Facts::default(), clock::now());
        assert_eq!(ids(facts.take(&[kept("message", 1, 1)], 0, now).alone), ["1"]);
        facts.remember(&[kept("message", 1, 10)], 0, now);
        assert!(facts.take(&[kept("message", 2, 1)], 0, now).alone.is_none());
        facts.remember(&[kept("message", 1, 10)], 0, now);
        let later = now + RECENT + Duration::from_secs(1);
        assert!(facts.take(&[], 0, later).alone.is_none(), "it is not meant any more");
        facts.remember(&[kept("message", 1, 10)], 0, now);
        assert_eq!(ids(facts.take(&[kept("message", 2, 1)], 0, later).alone), ["2"]);
    }

    #[test]
    fn memory_is_bounded_in_bytes_and_in_time() {
        let (mut facts, now) = (Facts::default(), clock::now());
        for id in 0..10_000 {
            facts.remember(&[kept("iq", id, 2000)], 0, now);
            assert!(facts.bytes <= MEMORY);
        }
        let last = ids(facts.clone_requests());
        assert_eq!(last.last().map(String::as_str), Some("9999"));
        let later = now + RECENT + Duration::from_secs(1);
        assert!(facts.take(&[], 0, later).requests.is_empty());
        facts.remember(&[kept("iq", 1, 2), kept("message", 2, 20_000)], 0, now);
        let suspects = facts.take(&[], 2 * BEHIND, now);
        assert!(suspects.requests.is_empty() && suspects.oversized.is_none());
        assert_eq!(facts.bytes, 0);
    }

    impl Facts {
        fn clone_requests(&self) -> Vec<Fact> {
            self.requests.iter().cloned().collect()
        }
    }
}
