//! Stanzas that were written to a component lately. If the link breaks, they are sent again on the next one: the
//! component said that it tolerates duplicates.

use std::{collections::VecDeque, time::Instant};

use super::in_flight::ACKNOWLEDGED;
use crate::flow::{batch::Kept, journal::Receipt};

/// Written stanzas, in order.
#[derive(Debug, Default)]
pub(super) struct Lately {
    written: VecDeque<(Instant, Kept)>,
    bytes: usize,
    /// Those that may not have arrived, since the link broke.
    doubtful: Vec<Kept>,
}

impl Lately {
    /// Adds what was written, and forgets what has arrived by now.
    pub(super) fn add(&mut self, chunk: Vec<Kept>, now: Instant) {
        for mut kept in chunk {
            // It is written: the stream that it came from need not wait.
            kept.receipt = Receipt::default();
            self.bytes += weight(&kept);
            self.written.push_back((now, kept));
        }
        self.forget(now);
    }

    /// The component has read what was written before this time.
    pub(super) fn read_before(&mut self, time: Instant) {
        while let Some((_, oldest)) = self.written.front().filter(|(at, _)| *at < time) {
            self.bytes -= weight(oldest);
            self.written.pop_front();
        }
    }

    /// The link broke: what was written lately may not have arrived. Gives these stanzas.
    pub(super) fn doubt(&mut self, now: Instant) -> &[Kept] {
        self.forget(now);
        self.doubtful.extend(self.written.drain(..).map(|(_, kept)| kept));
        self.bytes = 0;
        &self.doubtful
    }

    /// Takes out what may not have arrived, and adds what was being written.
    pub(super) fn take_doubtful(&mut self, touched: Vec<Kept>) -> Vec<Kept> {
        let mut doubtful = std::mem::take(&mut self.doubtful);
        doubtful.extend(touched);
        for kept in &mut doubtful {
            kept.sends.count();
            kept.sends.may_have_arrived = true;
        }
        doubtful
    }

    fn forget(&mut self, now: Instant) {
        while let Some((at, oldest)) = self.written.front()
            && (now.saturating_duration_since(*at) > ACKNOWLEDGED || self.bytes > MEMORY)
        {
            self.bytes -= weight(oldest);
            self.written.pop_front();
        }
    }
}

fn weight(kept: &Kept) -> usize {
    kept.stanza.bytes().len() + size_of::<(Instant, Kept)>()
}

/// Bytes of memory: as much as our kernel takes for one socket (`tcp_wmem` of Linux). A component that has not read more
/// than that lets its queue grow here, where nothing is lost.
const MEMORY: usize = 4 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use xmpp::{Stanza, xml::Element};

    use super::*;
    use crate::flow::{batch::Sends, journal::Place};

    fn kept(id: usize, length: usize) -> Kept {
        let element =
            Element::new("message", "jabber:server").with("from", "a@a.example").with("to", "b@b.example");
        let element = element.with("id", id.to_string()).with_text("x".repeat(length));
        let stanza = Stanza::from_element(&element).unwrap();
        Kept {
            stanza,
            taken: true,
            since: clock::now(),
            sends: Sends::default(),
            place: Place::None,
            receipt: Receipt::default(),
        }
    }

    fn ids(kept: &[Kept]) -> Vec<String> {
        kept.iter().map(|kept| kept.stanza.id().unwrap().into_owned()).collect()
    }

    #[test]
    fn what_was_written_lately_is_doubtful_with_what_was_being_written() {
        let (mut lately, now) = (Lately::default(), clock::now());
        lately.add(vec![kept(1, 5)], now);
        let later = now + ACKNOWLEDGED + Duration::from_secs(1);
        lately.add(vec![kept(2, 5), kept(3, 5)], later);
        assert_eq!(ids(lately.doubt(later)), ["2", "3"]);
        let doubtful = lately.take_doubtful(vec![kept(4, 5)]);
        assert_eq!(ids(&doubtful), ["2", "3", "4"]);
        assert!(doubtful.iter().all(|kept| kept.sends == Sends { times: 1, may_have_arrived: true }));
    }

    #[test]
    fn without_a_broken_link_only_what_was_being_written_is_doubtful() {
        let (mut lately, now) = (Lately::default(), clock::now());
        lately.add(vec![kept(1, 5)], now);
        assert_eq!(ids(&lately.take_doubtful(vec![kept(2, 5)])), ["2"]);
    }

    #[test]
    fn memory_is_bounded() {
        let (mut lately, now) = (Lately::default(), clock::now());
        for id in 0..10_000 {
            lately.add(vec![kept(id, 2000)], now);
            assert!(lately.bytes <= MEMORY);
        }
        assert_eq!(ids(lately.doubt(now)).last().map(String::as_str), Some("9999"));
        assert_eq!(lately.bytes, 0);
    }
}
