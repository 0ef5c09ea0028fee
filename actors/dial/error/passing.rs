//! Whether a failure may pass within seconds: then the next attempt is made soon.

use xmpp::{
    stanza,
    stream::{self, initiating::Cause},
};

use super::AttemptError;

impl AttemptError {
    /// Whether the remote server accepts connections, does not refuse us for good, and does not limit us. Most
    /// often it is being started. So is, most often, a broker that cannot be reached; a claim costs little.
    pub fn may_pass_soon(&self) -> bool {
        matches!(self, Self::NodesUnreachable)
            || self.has_connected() && !self.is_definitive() && !self.is_limit()
    }

    /// Whether the remote server accepted a connection.
    fn has_connected(&self) -> bool {
        match self {
            Self::ShortLived
            | Self::Tls { .. }
            | Self::Stream { .. }
            | Self::Broken { .. }
            | Self::TimedOut { .. }
            | Self::Unauthenticated { .. }
            | Self::Refused { .. } => true,
            Self::Denied
            | Self::Stopping
            | Self::Late
            | Self::Overloaded
            | Self::NodesUnreachable
            | Self::Crowded(_)
            | Self::Dns(_)
            | Self::TlsForbidden
            | Self::Loop(_)
            | Self::Connect(_)
            | Self::Crashed => false,
        }
    }

    /// Whether the remote server asks for fewer attempts: it lacks resources, or it may limit our rate.
    fn is_limit(&self) -> bool {
        match self {
            Self::Refused { .. } => true,
            Self::Unauthenticated { dialback, .. } => dialback.is_limit(),
            Self::Stream { failure, .. } => match &failure.cause {
                Cause::Stream(error) => matches!(
                    error.condition,
                    stream::Condition::ResourceConstraint | stream::Condition::PolicyViolation
                ),
                Cause::DialbackError(error) => matches!(
                    error.condition,
                    stanza::Condition::ResourceConstraint | stanza::Condition::PolicyViolation
                ),
                _ => false,
            },
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use xmpp::{
        Domain,
        stream::{Stage, initiating},
    };

    use super::*;
    use crate::dial::error::At;

    fn of(cause: Cause) -> AttemptError {
        let remote = Domain::new("b.example").unwrap();
        let at = At { address: ([192, 0, 2, 7], 5269).into(), stage: Stage::Header, distrusted: None };
        AttemptError::Stream { at, failure: initiating::Failure { remote, cause } }
    }

    fn by_stream_error(condition: stream::Condition) -> AttemptError {
        of(Cause::Stream(stream::Error::new(condition, "")))
    }

    fn by_dialback_error(condition: stanza::Condition) -> AttemptError {
        let text = String::new();
        of(Cause::DialbackError(stanza::Error { type_: stanza::ErrorType::Wait, condition, text }))
    }

    #[test]
    fn a_failure_behind_an_accepted_connection_may_pass_soon_unless_it_is_definitive_or_a_limit() {
        let at = At { address: ([192, 0, 2, 7], 5269).into(), stage: Stage::Header, distrusted: None };
        for soon in [
            AttemptError::ShortLived,
            AttemptError::NodesUnreachable,
            AttemptError::Broken { at, error: None },
            by_stream_error(stream::Condition::InternalServerError),
            by_dialback_error(stanza::Condition::RemoteServerTimeout),
        ] {
            assert!(soon.may_pass_soon(), "{soon:?}");
        }
        let limit = by_stream_error(stream::Condition::PolicyViolation);
        for later in [
            AttemptError::Connect(Vec::new()),
            AttemptError::Late,
            AttemptError::TlsForbidden,
            of(Cause::DialbackInvalid),
            by_stream_error(stream::Condition::ResourceConstraint),
            by_dialback_error(stanza::Condition::ResourceConstraint),
            AttemptError::Refused { error: Box::new(limit.clone()), again: false },
            limit,
        ] {
            assert!(!later.may_pass_soon(), "{later:?}");
        }
    }
}
