//! The answers that a lookup gets from the cache, and those that it adds.

use std::{fmt, mem::size_of, net::IpAddr, sync::Arc, time::Duration};

use super::{
    Question, Target,
    answer::{Found, Offer},
};

/// An answer, reduced to the data that is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CachedAnswer {
    /// The answer to a question about a service.
    Offer(Offer),
    /// The answer to a question about the addresses of one family.
    Addresses(Found<IpAddr>),
}

/// An answer that was not known before.
#[derive(Debug)]
pub struct NewAnswer {
    /// The question.
    pub question: Question,
    /// The answer.
    pub answer: CachedAnswer,
    /// The time for which the answer is valid.
    pub ttl: Duration,
    /// The value of [`KnownAnswers::epoch`] for the lookup.
    pub epoch: u64,
}

/// Receives new answers for the cache.
#[derive(Clone)]
pub struct AnswerSink(Arc<dyn Fn(NewAnswer) + Send + Sync>);

impl AnswerSink {
    /// Calls `store` with each new answer.
    pub fn new(store: impl Fn(NewAnswer) + Send + Sync + 'static) -> Self {
        Self(Arc::new(store))
    }
}

impl fmt::Debug for AnswerSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnswerSink")
    }
}

/// The answers that are known when a lookup begins, and the receiver of new ones.
#[derive(Debug, Default)]
pub struct KnownAnswers {
    /// The known answers.
    pub known: Vec<(Question, CachedAnswer)>,
    /// The receiver of new answers; `None` discards them.
    pub sink: Option<AnswerSink>,
    /// A number that changes when the configured name servers change. The cache rejects answers of an older
    /// epoch.
    pub epoch: u64,
}

impl KnownAnswers {
    pub(super) fn offer(&self, question: &Question) -> Option<Offer> {
        match self.find(question)? {
            CachedAnswer::Offer(offer) => Some(offer.clone()),
            CachedAnswer::Addresses(_) => None,
        }
    }

    pub(super) fn addresses(&self, question: &Question) -> Option<Found<IpAddr>> {
        match self.find(question)? {
            CachedAnswer::Addresses(found) => Some(found.clone()),
            CachedAnswer::Offer(_) => None,
        }
    }

    /// Reports a new answer, unless its time to live is zero.
    pub(super) fn learn(&self, question: Question, answer: CachedAnswer, ttl: Duration) {
        if let Some(AnswerSink(store)) = &self.sink
            && !ttl.is_zero()
        {
            store(NewAnswer { question, answer, ttl, epoch: self.epoch });
        }
    }

    fn find(&self, question: &Question) -> Option<&CachedAnswer> {
        self.known.iter().find(|(known, _)| known == question).map(|(_, answer)| answer)
    }
}

impl CachedAnswer {
    /// The number of bytes that the answer has on the heap.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Offer(Offer::Targets(targets)) => {
                targets.iter().map(|target| size_of::<Target>() + target.host.capacity()).sum()
            }
            Self::Addresses(Found::Records(addresses)) => addresses.capacity() * size_of::<IpAddr>(),
            Self::Offer(Offer::Nothing | Offer::Unsaid) | Self::Addresses(Found::NoData | Found::NoName) => 0,
        }
    }
}
