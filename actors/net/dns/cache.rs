//! The cache of DNS answers, bounded in bytes.

use std::{
    collections::{BTreeMap, HashMap},
    mem::size_of,
    time::Instant,
};

use super::{Question, known_answers::CachedAnswer};

/// A cache of answers. The least recently used answer is removed first.
#[derive(Debug)]
pub struct Cache {
    max_bytes: usize,
    bytes: usize,
    entries: HashMap<Question, Entry>,
    /// The questions by their last use.
    order: BTreeMap<u64, Question>,
    uses: u64,
}

#[derive(Debug)]
struct Entry {
    answer: CachedAnswer,
    until: Instant,
    bytes: usize,
    used: u64,
}

impl Cache {
    /// Makes an empty cache for at most `max_bytes`.
    pub fn new(max_bytes: usize) -> Self {
        Self { max_bytes, bytes: 0, entries: HashMap::new(), order: BTreeMap::new(), uses: 0 }
    }

    /// The number of bytes in use. It never exceeds the limit.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns the answer to a question, unless it has expired at `now`.
    pub fn find(&mut self, question: &Question, now: Instant) -> Option<CachedAnswer> {
        let entry = self.entries.get_mut(question)?;
        if entry.until <= now {
            self.remove(question);
            return None;
        }
        self.uses += 1;
        if let Some(question) = self.order.remove(&entry.used) {
            self.order.insert(self.uses, question);
        }
        entry.used = self.uses;
        Some(entry.answer.clone())
    }

    /// Stores an answer until `until`, in place of an older one. An answer larger than the whole cache is not
    /// stored.
    pub fn store(&mut self, question: Question, answer: CachedAnswer, until: Instant) {
        self.remove(&question);
        let bytes = 2 * question.name.len() + answer.bytes() + OVERHEAD;
        if bytes > self.max_bytes {
            return;
        }
        while self.bytes + bytes > self.max_bytes
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.remove(&oldest);
        }
        self.uses += 1;
        self.bytes += bytes;
        self.order.insert(self.uses, question.clone());
        self.entries.insert(question, Entry { answer, until, bytes, used: self.uses });
    }

    fn remove(&mut self, question: &Question) {
        if let Some(entry) = self.entries.remove(question) {
            self.order.remove(&entry.used);
            self.bytes -= entry.bytes;
        }
    }
}

/// The bytes of an entry without its names and data: its share of both tables with spare capacity, and heap
/// overhead.
const OVERHEAD: usize = 2 * (size_of::<Question>() + size_of::<Entry>()) + 128;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::dns::{
        Target,
        answer::{Found, Offer},
    };

    fn question(number: usize) -> Question {
        Question { name: format!("d{number}.example"), kind: "SRV" }
    }

    fn large() -> CachedAnswer {
        let target = |number: u16| Target {
            host: format!("{}.{number}", "x".repeat(200)),
            port: 5269,
            direct_tls: false,
            priority: number,
            weight: 0,
            from_srv: true,
        };
        CachedAnswer::Offer(Offer::Targets((0..20).map(target).collect()))
    }

    #[test]
    fn the_bytes_are_bounded_for_answers_of_any_size() {
        let now = clock::now();
        let until = now + Duration::from_secs(3600);
        let mut cache = Cache::new(64 * 1024);
        for number in 0..1_000 {
            let answer = if number % 2 == 0 { large() } else { CachedAnswer::Addresses(Found::NoName) };
            cache.store(question(number), answer, until);
            assert!(cache.bytes() <= 64 * 1024, "{} bytes", cache.bytes());
        }
        assert_eq!(cache.entries.len(), cache.order.len());
        assert!(cache.find(&question(999), now).is_some() && cache.find(&question(1), now).is_none());
    }

    #[test]
    fn an_answer_in_use_outlives_unused_ones() {
        let now = clock::now();
        let until = now + Duration::from_secs(3600);
        let mut cache = Cache::new(64 * 1024);
        cache.store(question(0), CachedAnswer::Addresses(Found::NoData), until);
        for number in 1..1_000 {
            cache.store(question(number), large(), until);
            assert!(cache.find(&question(0), now).is_some(), "after {number}");
        }
    }

    #[test]
    fn an_answer_is_removed_when_it_expires_or_a_newer_one_comes() {
        let now = clock::now();
        let mut cache = Cache::new(64 * 1024);
        cache.store(question(0), large(), now + Duration::from_secs(1));
        cache.store(question(0), CachedAnswer::Addresses(Found::NoData), now + Duration::from_secs(1));
        assert_eq!(cache.find(&question(0), now), Some(CachedAnswer::Addresses(Found::NoData)));
        assert_eq!(cache.find(&question(0), now + Duration::from_secs(1)), None);
        assert_eq!((cache.bytes(), cache.order.len()), (0, 0));
    }

    #[test]
    fn an_answer_larger_than_the_cache_is_not_stored() {
        let now = clock::now();
        let mut cache = Cache::new(1_000);
        cache.store(question(0), large(), now + Duration::from_secs(1));
        assert_eq!((cache.bytes(), cache.find(&question(0), now)), (0, None));
    }
}
