//! Stanzas that were written lately and can still be answered if the link breaks.
//!
//! Most stanzas are not kept: whether they arrived is unknown, so they are not answered. Three kinds are
//! kept. IQ requests, since their sender waits for an answer. The longest stanza, which the peer may have
//! refused for its length. And a stanza that was alone on the wire: an error of the peer can only be about
//! that one.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use xmpp::Stanza;

use crate::flow::batch::Kept;
use status::amount::Amount;

/// Stanzas that were written lately.
#[derive(Debug, Default)]
pub(super) struct Recent {
    /// In order.
    requests: VecDeque<Suspect>,
    /// Bytes of the requests.
    bytes: usize,
    longest: Option<Suspect>,
    alone: Option<Suspect>,
    /// When a stanza was written last.
    last: Option<Instant>,
}

/// A stanza that may not have arrived.
#[derive(Clone, Debug)]
pub(crate) struct Suspect {
    /// The stanza, perhaps without its payload.
    pub stanza: Stanza,
    /// The amount that it adds to the account.
    pub amount: Amount,
    /// Its bytes on the wire.
    pub length: usize,
    /// The link ended while it was being written, so the peer has not answered it.
    pub is_touched: bool,
    /// Its end, counted in all bytes written.
    position: u64,
    at: Instant,
}

/// Stanzas that may not have arrived and can be answered.
#[derive(Debug, Default)]
pub(crate) struct Suspects {
    /// IQ requests, in order.
    pub requests: Vec<Suspect>,
    /// The longest stanza, if a server may refuse it for its length; among equals the last.
    pub oversized: Option<Suspect>,
    /// The only stanza that was on the wire.
    pub alone: Option<Suspect>,
}

impl Recent {
    /// Adds stanzas that were written in one chunk; `written` counts all bytes written before.
    pub(super) fn add(&mut self, chunk: &[Kept], mut written: u64, now: Instant) {
        if chunk.is_empty() {
            return;
        }
        self.forget(now, written);
        let is_alone = chunk.len() == 1 && self.was_quiet(now);
        self.alone = None;
        self.last = Some(now);
        for kept in chunk {
            let length = kept.stanza.bytes().len();
            written += length as u64;
            let is_request = kept.stanza.is_request();
            let is_longest =
                length > LEAST_LIMIT && self.longest.as_ref().is_none_or(|suspect| suspect.length <= length);
            if !is_request && !is_longest && !is_alone {
                continue;
            }
            let Some(suspect) = Suspect::of(kept, written, now) else { continue };
            if is_longest {
                self.longest = Some(suspect.clone());
            }
            if is_alone {
                self.alone = Some(suspect.clone());
            }
            if is_request {
                self.bytes += suspect.weight();
                self.requests.push_back(suspect);
            }
        }
        while self.bytes > MEMORY
            && let Some(oldest) = self.requests.pop_front()
        {
            self.bytes -= oldest.weight();
        }
    }

    /// The stanzas that may not have arrived. Of those in `touched` a part may have been written.
    pub(super) fn take(&mut self, touched: &[Kept], written: u64, now: Instant) -> Suspects {
        self.forget(now, written);
        let recent = std::mem::take(self);
        let mut position = written;
        let touched: Vec<Suspect> = touched
            .iter()
            .map(|kept| {
                let length = kept.stanza.bytes().len();
                position += length as u64;
                Suspect {
                    stanza: kept.stanza.clone(),
                    amount: kept.amount(),
                    length,
                    is_touched: true,
                    position,
                    at: now,
                }
            })
            .collect();
        let was_quiet = recent.was_quiet(now);
        let alone = match &touched[..] {
            [] => recent.alone,
            [only] if was_quiet => Some(only.clone()),
            _ => None,
        };
        let long = touched.iter().filter(|suspect| suspect.length > LEAST_LIMIT).cloned();
        let oversized = recent.longest.into_iter().chain(long).max_by_key(|suspect| suspect.length);
        let requests = touched.into_iter().filter(|suspect| suspect.stanza.is_request());
        Suspects { requests: recent.requests.into_iter().chain(requests).collect(), oversized, alone }
    }

    /// Whether nothing was written for so long that an error of the peer is not about an earlier stanza.
    fn was_quiet(&self, now: Instant) -> bool {
        self.last.is_none_or(|last| now.saturating_duration_since(last) > QUIET)
    }

    fn forget(&mut self, now: Instant, written: u64) {
        let is_old = |suspect: &Suspect| {
            !is_recent(suspect.at, now) || written.saturating_sub(suspect.position) > BEHIND
        };
        while let Some(oldest) = self.requests.front().filter(|suspect| is_old(suspect)) {
            self.bytes -= oldest.weight();
            self.requests.pop_front();
        }
        for recent in [&mut self.longest, &mut self.alone] {
            if recent.as_ref().is_some_and(is_old) {
                *recent = None;
            }
        }
    }
}

impl Suspect {
    fn of(kept: &Kept, position: u64, at: Instant) -> Option<Self> {
        let (amount, length) = (kept.amount(), kept.stanza.bytes().len());
        Some(Self { stanza: kept.stanza.memento(SHORT)?, amount, length, is_touched: false, position, at })
    }

    /// Whether both are the same stanza.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.position == other.position
    }

    /// Whether it was written after another one.
    pub(crate) fn follows(&self, other: &Self) -> bool {
        self.position > other.position
    }

    /// Whether it was written so lately that the peer may not have read it before it sent an error.
    pub(crate) fn is_fresh(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.at) <= QUIET
    }

    fn weight(&self) -> usize {
        size_of::<Self>() + self.stanza.bytes().len()
    }
}

fn is_recent(at: Instant, now: Instant) -> bool {
    now.saturating_duration_since(at) <= RECENT
}

/// How long stanzas are kept. A peer that does not accept a stanza sends an error as soon as it has read it.
/// A request that is older was answered, or its sender has given up.
const RECENT: Duration = Duration::from_secs(30);

/// Peers read stanzas in order, so an error is not about a stanza that was written before a pause of this
/// length.
const QUIET: Duration = Duration::from_secs(5);

/// A stanza with so many bytes after it has arrived. It is less than what counts as uncertain, so the account
/// agrees.
const BEHIND: u64 = 16 * 1024 * 1024;

/// Bytes of requests that are kept for one link: about two hundred requests.
const MEMORY: usize = 128 * 1024;

/// Bytes up to which a stanza is kept whole.
const SHORT: usize = 1024;

/// Bytes that every server has to accept (RFC 6120 section 13.12): a shorter stanza is not refused for its
/// length.
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
        Kept {
            stanza: Stanza::from_element(&element).unwrap(),
            taken: true,
            since: clock::now(),
            sends: crate::flow::batch::Sends::default(),
            place: crate::flow::journal::Place::None,
            receipt: crate::flow::journal::Receipt::default(),
        }
    }

    fn ids(recent: impl IntoIterator<Item = Suspect>) -> Vec<String> {
        recent.into_iter().map(|suspect| suspect.stanza.id().unwrap().into_owned()).collect()
    }

    #[test]
    fn requests_the_longest_stanza_and_one_that_is_alone_are_kept() {
        let (mut recent, now) = (Recent::default(), clock::now());
        recent.add(&[kept("message", 1, 10)], 0, now);
        let suspects = recent.take(&[], 0, now);
        assert_eq!((ids(suspects.alone), suspects.requests.len()), (vec!["1".to_owned()], 0));

        let chunk = [
            kept("message", 2, 20_000),
            kept("iq", 3, 5),
            kept("message", 4, 20_000),
            kept("message", 5, 15_000),
        ];
        recent.add(&chunk, 0, now);
        recent.add(&[kept("iq", 6, 5)], 0, now);
        let suspects = recent.take(&[kept("iq", 7, 3), kept("message", 8, 3)], 0, now);
        assert_eq!(ids(suspects.requests), ["3", "6", "7"]);
        assert_eq!(ids(suspects.oversized), ["4"]);
        assert!(suspects.alone.is_none());
    }

    #[test]
    fn a_stanza_on_the_wire_is_alone_when_nothing_was_written_lately() {
        let (mut recent, now) = (Recent::default(), clock::now());
        assert_eq!(ids(recent.take(&[kept("message", 1, 1)], 0, now).alone), ["1"]);
        recent.add(&[kept("message", 1, 10)], 0, now);
        assert!(recent.take(&[kept("message", 2, 1)], 0, now).alone.is_none());
        recent.add(&[kept("message", 1, 10)], 0, now);
        let later = now + RECENT + Duration::from_secs(1);
        assert!(recent.take(&[], 0, later).alone.is_none(), "it is too old");
        recent.add(&[kept("message", 1, 10)], 0, now);
        assert_eq!(ids(recent.take(&[kept("message", 2, 1)], 0, later).alone), ["2"]);
    }

    #[test]
    fn memory_is_bounded_in_bytes_and_in_time() {
        let (mut recent, now) = (Recent::default(), clock::now());
        for id in 0..10_000 {
            recent.add(&[kept("iq", id, 2000)], 0, now);
            assert!(recent.bytes <= MEMORY);
        }
        let last = ids(recent.clone_requests());
        assert_eq!(last.last().map(String::as_str), Some("9999"));
        let later = now + RECENT + Duration::from_secs(1);
        assert!(recent.take(&[], 0, later).requests.is_empty());
        recent.add(&[kept("iq", 1, 2), kept("message", 2, 20_000)], 0, now);
        let suspects = recent.take(&[], 2 * BEHIND, now);
        assert!(suspects.requests.is_empty() && suspects.oversized.is_none());
        assert_eq!(recent.bytes, 0);
    }

    impl Recent {
        fn clone_requests(&self) -> Vec<Suspect> {
            self.requests.iter().cloned().collect()
        }
    }
}
