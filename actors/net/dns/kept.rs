//! Answers of the DNS as the node keeps them: reduced to the data in use, and bounded in bytes.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    mem::size_of,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    Question, Target,
    answer::{Found, Offer},
};

/// A reduced answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// To a question about a service.
    Offer(Offer),
    /// To a question about the addresses of one family.
    Addresses(Found<IpAddr>),
}

/// The DNS has answered.
#[derive(Debug)]
pub struct Learnt {
    /// The question.
    pub question: Question,
    /// The answer.
    pub answer: Kept,
    /// How long it holds.
    pub ttl: Duration,
    /// Of [`KnownAnswers::epoch`].
    pub epoch: u64,
}

/// Takes new answers for the cache.
#[derive(Clone)]
pub struct Owner(Arc<dyn Fn(Learnt) + Send + Sync>);

impl Owner {
    /// Calls `keep` with every new answer.
    pub fn new(keep: impl Fn(Learnt) + Send + Sync + 'static) -> Self {
        Self(Arc::new(keep))
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Owner")
    }
}

/// The answers that are known when a look-up begins, and the owner of the cache, which is told the new ones.
#[derive(Debug, Default)]
pub struct KnownAnswers {
    /// The known answers.
    pub known: Vec<(Question, Kept)>,
    /// `None`: nothing is kept.
    pub owner: Option<Owner>,
    /// Changes with the name servers.
    pub epoch: u64,
}

impl KnownAnswers {
    pub(super) fn offer(&self, question: &Question) -> Option<Offer> {
        match self.find(question)? {
            Kept::Offer(offer) => Some(offer.clone()),
            Kept::Addresses(_) => None,
        }
    }

    pub(super) fn addresses(&self, question: &Question) -> Option<Found<IpAddr>> {
        match self.find(question)? {
            Kept::Addresses(found) => Some(found.clone()),
            Kept::Offer(_) => None,
        }
    }

    pub(super) fn learn(&self, question: Question, answer: Kept, ttl: Duration) {
        if let Some(owner) = &self.owner
            && !ttl.is_zero()
        {
            (owner.0)(Learnt { question, answer, ttl, epoch: self.epoch });
        }
    }

    fn find(&self, question: &Question) -> Option<&Kept> {
        self.known.iter().find(|(known, _)| known == question).map(|(_, answer)| answer)
    }
}

/// The cache. The answer that was used longest ago leaves first.
#[derive(Debug)]
pub struct Cache {
    most: usize,
    bytes: usize,
    entries: HashMap<Question, Entry>,
    /// By the moment of the last use.
    order: BTreeMap<u64, Question>,
    uses: u64,
}

#[derive(Debug)]
struct Entry {
    answer: Kept,
    until: Instant,
    bytes: usize,
    used: u64,
}

impl Cache {
    /// An empty cache for `most` bytes.
    pub fn new(most: usize) -> Self {
        Self { most, bytes: 0, entries: HashMap::new(), order: BTreeMap::new(), uses: 0 }
    }

    /// The bytes in use, never more than was allowed.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Finds an answer that still holds.
    pub fn find(&mut self, question: &Question, now: Instant) -> Option<Kept> {
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

    /// Keeps an answer, in place of an older one to the same question.
    pub fn keep(&mut self, question: Question, answer: Kept, until: Instant) {
        self.remove(&question);
        let bytes = 2 * question.name.len() + answer.bytes() + OVERHEAD;
        if bytes > self.most {
            return;
        }
        while self.bytes + bytes > self.most
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

impl Kept {
    /// The bytes on the heap.
    fn bytes(&self) -> usize {
        match self {
            Self::Offer(Offer::Targets(targets)) => {
                targets.iter().map(|target| size_of::<Target>() + target.host.capacity()).sum()
            }
            Self::Addresses(Found::Records(addresses)) => addresses.capacity() * size_of::<IpAddr>(),
            Self::Offer(Offer::Nothing | Offer::Unsaid) | Self::Addresses(Found::NoData | Found::NoName) => 0,
        }
    }
}

/// Bytes of an entry beside its names and data: both tables with their room to grow, and the heap's own records.
const OVERHEAD: usize = 2 * (size_of::<Question>() + size_of::<Entry>()) + 128;

#[cfg(test)]
mod tests {
    use super::*;

    fn question(number: usize) -> Question {
        Question { name: format!("d{number}.example"), kind: "SRV" }
    }

    fn large() -> Kept {
        let target = |number: u16| Target {
            host: format!("{}.{number}", "x".repeat(200)),
            port: 5269,
            direct_tls: false,
            priority: number,
            weight: 0,
            from_srv: true,
        };
        Kept::Offer(Offer::Targets((0..20).map(target).collect()))
    }

    #[test]
    fn the_bytes_are_bounded_whatever_the_size_of_an_answer() {
        let now = clock::now();
        let until = now + Duration::from_secs(3600);
        let mut cache = Cache::new(64 * 1024);
        for number in 0..1_000 {
            let answer = if number % 2 == 0 { large() } else { Kept::Addresses(Found::NoName) };
            cache.keep(question(number), answer, until);
            assert!(cache.bytes() <= 64 * 1024, "{} bytes", cache.bytes());
        }
        assert_eq!(cache.entries.len(), cache.order.len());
        assert!(cache.find(&question(999), now).is_some() && cache.find(&question(1), now).is_none());
    }

    #[test]
    fn an_answer_in_use_outlives_those_that_nobody_uses() {
        let now = clock::now();
        let until = now + Duration::from_secs(3600);
        let mut cache = Cache::new(64 * 1024);
        cache.keep(question(0), Kept::Addresses(Found::NoData), until);
        for number in 1..1_000 {
            cache.keep(question(number), large(), until);
            assert!(cache.find(&question(0), now).is_some(), "after {number}");
        }
    }

    #[test]
    fn an_answer_is_forgotten_when_its_time_is_over_or_when_there_is_a_newer_one() {
        let now = clock::now();
        let mut cache = Cache::new(64 * 1024);
        cache.keep(question(0), large(), now + Duration::from_secs(1));
        cache.keep(question(0), Kept::Addresses(Found::NoData), now + Duration::from_secs(1));
        assert_eq!(cache.find(&question(0), now), Some(Kept::Addresses(Found::NoData)));
        assert_eq!(cache.find(&question(0), now + Duration::from_secs(1)), None);
        assert_eq!((cache.bytes(), cache.order.len()), (0, 0));
    }

    #[test]
    fn an_answer_larger_than_the_cache_is_not_kept() {
        let now = clock::now();
        let mut cache = Cache::new(1_000);
        cache.keep(question(0), large(), now + Duration::from_secs(1));
        assert_eq!((cache.bytes(), cache.find(&question(0), now)), (0, None));
    }
}
