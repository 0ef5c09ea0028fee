//! A lost stream with acknowledgements, and the question of the next attempt how many of its stanzas have
//! arrived (XEP-0198 section 5).

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use xmpp::{
    acks::{Ledger, Options, Previous, WrongCount},
    stream::{
        Condition, Stage,
        initiating::{self, Cause},
    },
};

use super::{Attempt, Goal};
use crate::{
    dial::error::AttemptError,
    observe::metrics::{Count, Resumption, Role},
};
use net::dns::Target;

/// A lost stream that its peer remembers for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The name that the peer gave it.
    pub previous: Previous,
    /// The address of the peer. A server behind another address may not know the stream.
    pub address: SocketAddr,
    /// Until when the peer is asked.
    pub until: Instant,
    /// The number of the first stanza that it has not acknowledged, modulo 2^32.
    pub first: u32,
    /// The number of stanzas that it has not acknowledged.
    pub count: u32,
}

impl Lost {
    /// Checks the number of stanzas that the peer says it has handled, modulo 2^32.
    ///
    /// # Errors
    /// It cannot have handled so many, or has acknowledged more before.
    pub fn check(&self, h: u32) -> Result<(), WrongCount> {
        let mut ledger = Ledger::starting_at(self.first.wrapping_sub(1));
        ledger.sent(self.count);
        ledger.acknowledged(h).map(drop)
    }
}

impl<G: Goal> Attempt<G> {
    /// Puts the target first that has the address of the lost stream, if one has it and the DNS says so soon.
    pub(super) async fn prefer(&self, address: SocketAddr, mut targets: Vec<Target>) -> Vec<Target> {
        let search = self.place_of(address, &targets);
        if let Ok(Some(place)) = tokio::time::timeout(SEARCH_WITHIN, search).await {
            let target = targets.remove(place);
            targets.insert(0, target);
        }
        targets
    }

    /// The place of the first target that has this address.
    async fn place_of(&self, address: SocketAddr, targets: &[Target]) -> Option<usize> {
        for (place, target) in targets.iter().enumerate() {
            // The resolver keeps the answer for the visit of the target.
            if self.addresses(target).await.is_ok_and(|found| found.contains(&address)) {
                return Some(place);
            }
        }
        None
    }

    /// The options of stream management for the stream that the attempt opens.
    pub(super) fn ack_options(&self) -> Options {
        let lost = self.lost.as_ref().filter(|lost| lost.until > clock::now());
        Options {
            enabled: self.remote.acks,
            resume: lost.map(|lost| lost.previous.clone()),
            resumable: !self.remote.resume_timeout.is_zero(),
        }
    }

    /// Counts the answer about a lost stream.
    pub(super) fn count_resumption(&self, resumption: initiating::Resumption) {
        let result = match resumption {
            initiating::Resumption::NotAsked => return,
            initiating::Resumption::Resumed { .. } => Resumption::Resumed,
            initiating::Resumption::Counted { .. } => Resumption::Counted,
            initiating::Resumption::Unknown => Resumption::Unknown,
        };
        self.dialer.metrics.count(Count::Resumption { role: Role::Sender, result });
    }

    /// Counts a question about a lost stream that was not answered, or ended the stream.
    pub(super) fn count_refused_resumption(&self) {
        self.dialer.metrics.count(Count::Resumption { role: Role::Sender, result: Resumption::Refused });
    }
}

impl AttemptError {
    /// Whether the peer did not answer the question about a lost stream, or ended the stream because of it.
    /// The next attempt should not ask.
    pub fn is_about_resumption(&self) -> bool {
        match self {
            Self::TimedOut { at, .. } => at.stage == Stage::Resumption,
            Self::Stream { at, failure } => {
                at.stage == Stage::Resumption && !asks_for_patience(&failure.cause)
            }
            Self::Refused { error, .. } => error.is_about_resumption(),
            _ => false,
        }
    }
}

/// Whether the peer has ended the stream for a reason that passes, so that it may know the lost stream: Nuncio does if the
/// count is not final yet (`resource-constraint`), or if another connection asks for the same stream (`conflict`).
fn asks_for_patience(cause: &Cause) -> bool {
    let Cause::Stream(error) = cause else { return false };
    matches!(error.condition, Condition::Conflict | Condition::ResourceConstraint | Condition::SystemShutdown)
}

/// The time to find the target with the address of the lost stream. The names of the targets are looked up one after the
/// other, and each of them may take the time limit of the DNS.
pub(super) const SEARCH_WITHIN: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use xmpp::{Domain, stream};

    use super::*;
    use crate::dial::error::At;

    #[test]
    fn an_end_for_a_passing_reason_is_not_about_the_lost_stream() {
        let error = |stage, cause| {
            let remote = Domain::new("b.example").unwrap();
            let address = ([127, 0, 0, 1], 5269).into();
            let at = At { address, stage, distrusted: None };
            AttemptError::Stream { at, failure: initiating::Failure { remote, cause } }
        };
        let ended = |condition| Cause::Stream(stream::Error::new(condition, ""));
        for condition in [Condition::Conflict, Condition::ResourceConstraint, Condition::SystemShutdown] {
            assert!(!error(Stage::Resumption, ended(condition)).is_about_resumption(), "{condition:?}");
        }
        for cause in
            [ended(Condition::UnsupportedStanzaType), ended(Condition::PolicyViolation), Cause::Closed]
        {
            assert!(error(Stage::Resumption, cause.clone()).is_about_resumption(), "{cause:?}");
            assert!(!error(Stage::Features, cause.clone()).is_about_resumption(), "{cause:?}");
        }
    }

    #[test]
    fn a_count_is_possible_from_the_last_acknowledged_stanza_to_the_last_sent_one() {
        let previous = Previous { id: "1".to_owned(), handled: 0, max: None };
        let (address, until) = (([127, 0, 0, 1], 5269).into(), clock::now());
        let lost = Lost { previous, address, until, first: u32::MAX, count: 3 };
        assert!([u32::MAX - 1, u32::MAX, 0, 1].into_iter().all(|h| lost.check(h).is_ok()));
        assert!(matches!(lost.check(u32::MAX - 2), Err(WrongCount::Decreased(_))));
        assert!([2, 1000].into_iter().all(|h| matches!(lost.check(h), Err(WrongCount::TooHigh(_)))));
    }
}
