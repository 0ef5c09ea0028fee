//! The reason why stanzas that waited are answered, although no attempt has failed since they came.

use xmpp::{
    Domain, DomainPair,
    stanza::{self, Condition, ErrorType},
};

use super::{Promise, State};
use crate::dial::error::AttemptError;

/// The reason why a stanza could not be delivered in its time.
#[derive(Clone, Debug)]
pub(super) enum Reason {
    /// The last attempt failed.
    Failed(AttemptError),
    /// No attempt could be made.
    NoSlot,
    /// The attempt has not ended.
    Unfinished,
    /// The link was lost, and there is no other.
    Lost,
    /// There is a link, and the peer reads slowly.
    Slow,
}

impl Reason {
    /// The reason in words.
    pub(super) fn sentence(&self, remote: &Domain) -> String {
        match self {
            Self::Failed(failure) => failure.sentence(remote),
            Self::NoSlot => {
                "this server makes as many attempts to connect as limits.max_dials permits".to_owned()
            }
            Self::Unfinished => "no connection could be established in time".to_owned(),
            Self::Lost => "the connection was lost, and no other could be established in time".to_owned(),
            Self::Slow => format!("{remote} reads stanzas more slowly than they arrive"),
        }
    }

    /// The error for the sender of a stanza to `remote`.
    pub(super) fn stanza_error(&self, remote: &Domain) -> stanza::Error {
        match self {
            Self::Failed(failure) => failure.stanza_error(remote),
            Self::NoSlot | Self::Unfinished | Self::Lost | Self::Slow => stanza::Error {
                type_: ErrorType::Wait,
                condition: Condition::RemoteServerTimeout,
                text: self.sentence(remote),
            },
        }
    }

    /// The log line about stanzas that have expired.
    pub(super) fn log_line(&self) -> &'static str {
        match self {
            Self::Slow => "expired: the peer reads too slowly",
            Self::Failed(_) | Self::NoSlot | Self::Unfinished | Self::Lost => {
                "expired: no connection could be established in time"
            }
        }
    }
}

impl Promise {
    /// The reason why the stanzas of a pair still wait.
    pub(super) fn reason(&self, pair: &DomainPair) -> Reason {
        let failure = self.schedule.last_failure(pair).cloned().map(Reason::Failed);
        match self.pairs.state(pair) {
            Some(State::Slow(_) | State::HandingOver(_)) => Reason::Slow,
            Some(State::AwaitingSlot { .. }) => failure.unwrap_or(Reason::NoSlot),
            Some(State::AwaitingReturn) => failure.unwrap_or(Reason::Lost),
            Some(State::Claiming { .. }) => Reason::Failed(AttemptError::NodesUnreachable),
            Some(State::Attempting(_) | State::Pausing) | None => failure.unwrap_or(Reason::Unfinished),
        }
    }
}
