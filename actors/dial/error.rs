//! The reason why an attempt failed.

mod answer;
mod diagnosis;
mod passing;
mod sentence;

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use xmpp::{
    certificate::Problem,
    stream::{Condition::PolicyViolation, Stage, initiating},
};

pub use self::diagnosis::{Observations, certificate_cause};
use crate::observe::metrics::AttemptResult;
use net::{dns, happy_eyeballs, tls};

/// The reason why an attempt failed, or why no attempt was made. `Display` gives it without the remote
/// domain, [`AttemptError::sentence`] with it.
#[derive(Clone, Debug)]
pub enum AttemptError {
    /// `allow` or `deny` forbids federation with the domain.
    Denied,
    /// The node is stopping.
    Stopping,
    /// A time limit ended before any failure: that of the attempt, or that of a stanza that waits for it.
    Late,
    /// The peer closes every session immediately.
    ShortLived,
    /// There are too many attempts.
    Overloaded,
    /// Nobody can say which node of the cluster has the link, or the way to that node has ended.
    NodesUnreachable,
    /// Too many attempts wait for a permit to connect to this address.
    Crowded(IpAddr),
    /// The DNS lookup failed.
    Dns(dns::LookupError),
    /// The domain has direct TLS only, and the policy forbids TLS.
    TlsForbidden,
    /// The DNS records of the domain lead to our own listener.
    Loop(SocketAddr),
    /// No address of a target could be connected to.
    Connect(Vec<(SocketAddr, happy_eyeballs::ConnectError)>),
    /// The TLS handshake failed.
    Tls {
        /// The address of the peer.
        address: SocketAddr,
        /// The error.
        error: tls::Error,
    },
    /// The handshake of the stream failed.
    Stream {
        /// The point of the failure.
        at: At,
        /// The failure.
        failure: initiating::Failure,
    },
    /// The connection ended.
    Broken {
        /// The point of the failure.
        at: At,
        /// The error of the socket; `None` if the peer closed the connection.
        error: Option<io::ErrorKind>,
    },
    /// The time limit of the connection ended.
    TimedOut {
        /// The point of the failure.
        at: At,
        /// The limit.
        after: Duration,
    },
    /// The peer refused EXTERNAL and closed the stream, and dialback failed on another connection.
    Unauthenticated {
        /// The refusal.
        external: Box<Self>,
        /// The failure of dialback.
        dialback: Box<Self>,
    },
    /// The peer closed a stream over TLS with `policy-violation`: it may limit our rate, or it may not want
    /// us.
    Refused {
        /// The failure of the stream.
        error: Box<Self>,
        /// The attempt before failed in the same way, so the peer does not want us.
        again: bool,
    },
    /// The task of the attempt panicked, or an actor that it needs is gone.
    Crashed,
}

/// The point at which a stream failed.
#[derive(Clone, Debug)]
pub struct At {
    /// The address of the peer.
    pub address: SocketAddr,
    /// The point at which the stream was.
    pub stage: Stage,
    /// The problem with the peer's certificate, if it left only dialback to try.
    pub distrusted: Option<Box<Problem>>,
}

impl AttemptError {
    /// Whether a retry cannot succeed, as long as neither side changes something.
    pub fn is_definitive(&self) -> bool {
        match self {
            Self::Denied | Self::TlsForbidden | Self::Loop(_) => true,
            Self::Dns(failure) => failure.is_definitive(),
            Self::Stream { failure, .. } => failure.is_definitive(),
            // A peer that closes the stream on dialback as it did on EXTERNAL has refused both. A temporary
            // failure of the second connection leaves open whether dialback would succeed.
            Self::Unauthenticated { dialback, .. } => {
                dialback.is_definitive() || dialback.is_silent_refusal()
            }
            Self::Refused { again, .. } => *again,
            Self::Tls { error, .. } => match error {
                tls::Error::NotTls | tls::Error::NoCommonVersion | tls::Error::NoCommonCipher => true,
                tls::Error::Alert(alert) => !TEMPORARY_ALERTS.contains(alert),
                _ => false,
            },
            Self::Stopping
            | Self::Late
            | Self::ShortLived
            | Self::Overloaded
            | Self::NodesUnreachable
            | Self::Crowded(_)
            | Self::Connect(_)
            | Self::Broken { .. }
            | Self::TimedOut { .. }
            | Self::Crashed => false,
        }
    }

    /// Marks a refusal as repeated if the attempt before, which ended with `last`, was refused too.
    #[must_use]
    pub fn after(self, last: Option<&Self>) -> Self {
        match self {
            Self::Refused { error, .. } => {
                Self::Refused { error, again: matches!(last, Some(Self::Refused { .. })) }
            }
            other => other,
        }
    }

    /// Whether the peer closed the stream with `policy-violation`.
    pub fn is_refusal_by_policy(&self) -> bool {
        let Self::Stream { failure, .. } = self else { return false };
        matches!(&failure.cause, initiating::Cause::Stream(error) if error.condition == PolicyViolation)
    }

    /// Whether the peer closed the stream without a reason.
    fn is_silent_refusal(&self) -> bool {
        matches!(self, Self::Stream { failure, .. } if failure.cause == initiating::Cause::Closed)
    }

    /// Whether the peer does not offer TLS, or refuses it.
    pub fn is_without_tls(&self) -> bool {
        use initiating::Cause::{TlsRefused, TlsUnavailable};
        matches!(self, Self::Stream { failure, .. } if matches!(failure.cause, TlsUnavailable | TlsRefused))
    }

    fn distrusted(&self) -> Option<&Problem> {
        match self {
            Self::Stream { at, .. } | Self::Broken { at, .. } | Self::TimedOut { at, .. } => {
                at.distrusted.as_deref()
            }
            _ => None,
        }
    }

    /// The result of the attempt in the metrics.
    pub fn result(&self) -> AttemptResult {
        match self {
            Self::Denied => AttemptResult::Denied,
            Self::Stopping => AttemptResult::Stopping,
            Self::Late => AttemptResult::Late,
            Self::ShortLived => AttemptResult::ShortLived,
            Self::NodesUnreachable => AttemptResult::NodesUnreachable,
            Self::Overloaded | Self::Crowded(_) => AttemptResult::Overloaded,
            Self::Dns(failure) if failure.is_definitive() => AttemptResult::NoSuchDomain,
            Self::Dns(_) => AttemptResult::Dns,
            Self::Loop(_) => AttemptResult::Loop,
            Self::Connect(_) => AttemptResult::Connect,
            Self::Tls { .. } | Self::TlsForbidden => AttemptResult::Tls,
            Self::Stream { failure, .. } => match failure.cause {
                initiating::Cause::Certificate(_) => AttemptResult::Certificate,
                initiating::Cause::TlsUnavailable
                | initiating::Cause::TlsForbidden
                | initiating::Cause::TlsRefused => AttemptResult::Tls,
                initiating::Cause::NoMechanism
                | initiating::Cause::ExternalRefused(_)
                | initiating::Cause::DialbackInvalid
                | initiating::Cause::DialbackError(_) => AttemptResult::Authentication,
                _ => AttemptResult::Stream,
            },
            Self::Unauthenticated { .. } => AttemptResult::Authentication,
            Self::Refused { error, .. } => error.result(),
            Self::Broken { .. } => AttemptResult::Broken,
            Self::TimedOut { .. } => AttemptResult::Timeout,
            Self::Crashed => AttemptResult::Crashed,
        }
    }

    /// How far the attempt got, as a rank. Of the errors of several targets, the one with the highest rank is
    /// reported.
    pub fn progress(&self) -> u8 {
        match self {
            Self::Denied
            | Self::Stopping
            | Self::Late
            | Self::ShortLived
            | Self::Overloaded
            | Self::NodesUnreachable
            | Self::Crashed => 0,
            Self::Dns(_) | Self::TlsForbidden => 1,
            Self::Loop(_) => 2,
            Self::Crowded(_) | Self::Connect(_) => 3,
            Self::TimedOut { .. } | Self::Broken { .. } => 4,
            Self::Tls { .. } => 5,
            Self::Stream { .. } | Self::Unauthenticated { .. } | Self::Refused { .. } => 6,
        }
    }
}

/// `internal_error` and `user_canceled` (RFC 8446 section 6.2) do not predict the result of a retry.
const TEMPORARY_ALERTS: [u8; 2] = [80, 90];

#[cfg(test)]
mod tests {
    use xmpp::{
        Domain,
        stream::{self, initiating::Cause},
    };

    use super::*;

    fn remote() -> Domain {
        Domain::new("b.example").unwrap()
    }

    fn at() -> At {
        At { address: ([127, 0, 0, 1], 5269).into(), stage: Stage::Features, distrusted: None }
    }

    fn of_stream(cause: Cause) -> AttemptError {
        AttemptError::Stream { at: at(), failure: initiating::Failure { remote: remote(), cause } }
    }

    fn broken(error: Option<io::ErrorKind>) -> AttemptError {
        AttemptError::Broken { at: at(), error }
    }

    #[test]
    fn a_connection_that_ends_during_the_handshake_is_retried() {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
        let errors =
            [None, Some(BrokenPipe), Some(ConnectionAborted), Some(ConnectionReset), Some(UnexpectedEof)];
        assert!(errors.iter().all(|error| !broken(*error).is_definitive()));
    }

    #[test]
    fn a_refusal_by_policy_over_tls_is_definitive_the_second_time() {
        let refusal = of_stream(Cause::Stream(stream::Error::new(PolicyViolation, "no")));
        assert!(refusal.is_refusal_by_policy() && !refusal.is_definitive());
        let sentence = refusal.sentence(&remote());
        let once = AttemptError::Refused { error: Box::new(refusal.clone()), again: false }.after(None);
        assert!(!once.is_definitive());
        assert_eq!((once.sentence(&remote()), once.result()), (sentence, refusal.result()));
        assert!(once.clone().after(Some(&once)).is_definitive());
        assert!(!once.clone().after(Some(&AttemptError::Late)).is_definitive());
        assert!(
            !refusal.clone().after(Some(&refusal)).is_definitive(),
            "in clear text it may be a rate limit"
        );
    }

    #[test]
    fn the_failure_of_dialback_on_a_second_connection_decides_whether_to_retry() {
        let refusal = xmpp::sasl::Failure {
            condition: xmpp::sasl::Condition::NotAuthorized,
            text: "not known here".to_owned(),
        };
        let stream = |condition| of_stream(Cause::Stream(stream::Error::new(condition, "")));
        for (dialback, definitive) in [
            (of_stream(Cause::DialbackInvalid), true),
            (of_stream(Cause::Closed), true),
            (stream(stream::Condition::NotAuthorized), true),
            (of_stream(Cause::NoMechanism), true),
            (stream(stream::Condition::PolicyViolation), false),
            (stream(stream::Condition::ResourceConstraint), false),
            (stream(stream::Condition::RemoteConnectionFailed), false),
            (broken(None), false),
            (AttemptError::Connect(Vec::new()), false),
            (AttemptError::Late, false),
        ] {
            let external = Box::new(of_stream(Cause::ExternalRefused(refusal.clone())));
            let failure = AttemptError::Unauthenticated { external, dialback: Box::new(dialback) };
            assert_eq!(failure.is_definitive(), definitive, "{failure}");
            let text = failure.stanza_error(&remote()).text;
            assert_eq!(text, "b.example refused our certificate (not-authorized: not known here)");
            assert_eq!(failure.result(), AttemptResult::Authentication);
            assert_eq!(failure.cause(&Observations::default()).id, "external-refused");
        }
    }
}
