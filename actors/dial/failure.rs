//! Why no authenticated stream to a remote domain came about, by stage; and what the senders of waiting stanzas hear.

pub mod diagnosis;
#[cfg(test)]
mod strangers;

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use xmpp::{
    Domain,
    certificate::Problem,
    dialback,
    stanza::{self, Condition, ErrorType},
    stream::{Condition::PolicyViolation, Stage, initiating},
};

use net::{dns, happy_eyeballs, tls};

/// The end of an attempt.
#[derive(Clone, Debug)]
pub enum Failure {
    /// `allow` or `deny` forbids it.
    Denied,
    /// The node is being stopped.
    Stopping,
    /// The time of a stanza was over before the first attempt was.
    Late,
    /// The link ended as soon as it stood.
    ShortLived,
    /// Too many attempts wait already.
    Overloaded,
    /// Too many attempts wait for this address already.
    Crowded(IpAddr),
    /// The name led nowhere.
    Dns(dns::Failure),
    /// It is to be reached by direct TLS only, and the policy is to have no TLS.
    TlsForbidden,
    /// The records of the domain lead to our own listener.
    Loop(SocketAddr),
    /// No address of a target could be connected to.
    Connect(Vec<(SocketAddr, happy_eyeballs::Failure)>),
    /// The connection could not be secured.
    Tls {
        /// Where.
        address: SocketAddr,
        /// Why.
        error: tls::Error,
    },
    /// The stream did not get as far as stanzas.
    Stream {
        /// Where.
        address: SocketAddr,
        /// What it waited for.
        stage: Stage,
        /// Why.
        failure: initiating::Failure,
        /// What left nothing but dialback to try.
        distrusted: Option<Box<Problem>>,
    },
    /// The connection broke.
    Broken {
        /// Where.
        address: SocketAddr,
        /// What the stream waited for.
        stage: Stage,
        /// `None`: the peer closed it.
        error: Option<io::ErrorKind>,
        /// What left nothing but dialback to try.
        distrusted: Option<Box<Problem>>,
    },
    /// `handshake_timeout` ran out.
    TimedOut {
        /// Where.
        address: SocketAddr,
        /// What the stream waited for.
        stage: Stage,
        /// How long it was given.
        after: Duration,
        /// What left nothing but dialback to try.
        distrusted: Option<Box<Problem>>,
    },
    /// The peer refused EXTERNAL and ended the stream, and dialback failed on another connection.
    Unauthenticated {
        /// The refusal.
        external: Box<Self>,
        /// Why dialback failed.
        dialback: Box<Self>,
    },
    /// The peer ended a stream over TLS with `policy-violation`: it may ask less often of us, or may not want us.
    Refused {
        /// The stream's.
        failure: Box<Self>,
        /// The attempt before ended so, too: it does not want us.
        again: bool,
    },
    /// The actor that made the attempt panicked.
    Crashed,
}

impl Failure {
    /// Whether waiting would not mend it.
    pub fn is_definitive(&self) -> bool {
        match self {
            Self::Denied | Self::TlsForbidden | Self::Loop(_) => true,
            Self::Dns(failure) => failure.is_definitive(),
            Self::Stream { failure, .. } => failure.is_definitive(),
            // A peer that closes the stream on dialback as it did on EXTERNAL has refused both. What may pass on the
            // second connection leaves open whether dialback would do.
            Self::Unauthenticated { dialback, .. } => {
                dialback.is_definitive() || dialback.is_silent_refusal()
            }
            Self::Refused { again, .. } => *again,
            Self::Tls { error, .. } => match error {
                tls::Error::NotTls | tls::Error::NoCommonVersion | tls::Error::NoCommonCipher => true,
                tls::Error::Alert(alert) => !PASSING_ALERTS.contains(alert),
                _ => false,
            },
            Self::Stopping
            | Self::Late
            | Self::ShortLived
            | Self::Overloaded
            | Self::Crowded(_)
            | Self::Connect(_)
            | Self::Broken { .. }
            | Self::TimedOut { .. }
            | Self::Crashed => false,
        }
    }

    /// Says that a refusal is one more in a row, when `last` is the failure of the attempt before.
    #[must_use]
    pub fn after(self, last: Option<&Self>) -> Self {
        match self {
            Self::Refused { failure, .. } => {
                Self::Refused { failure, again: matches!(last, Some(Self::Refused { .. })) }
            }
            other => other,
        }
    }

    /// Whether the peer ended the stream with `policy-violation`.
    pub fn is_refusal_by_policy(&self) -> bool {
        let Self::Stream { failure, .. } = self else { return false };
        matches!(&failure.cause, initiating::Cause::Stream(error) if error.condition == PolicyViolation)
    }

    /// Whether the peer closed the stream in good order and gave no reason.
    fn is_silent_refusal(&self) -> bool {
        matches!(self, Self::Stream { failure, .. } if failure.cause == initiating::Cause::Closed)
    }

    /// Whether it is that the remote has no TLS.
    pub fn is_without_tls(&self) -> bool {
        use initiating::Cause::{TlsRefused, TlsUnavailable};
        matches!(self, Self::Stream { failure, .. } if matches!(failure.cause, TlsUnavailable | TlsRefused))
    }

    /// What the sender of a stanza to `remote` is told: condition and words (INTERFACE, "Stanzas that cannot be
    /// delivered").
    pub fn stanza_error(&self, remote: &Domain) -> stanza::Error {
        let (type_, condition) = match self {
            Self::Denied => (ErrorType::Cancel, Condition::NotAllowed),
            Self::Dns(failure) if failure.is_definitive() => {
                (ErrorType::Cancel, Condition::RemoteServerNotFound)
            }
            Self::Loop(_) => (ErrorType::Cancel, Condition::RemoteServerNotFound),
            Self::Overloaded | Self::Crowded(_) => (ErrorType::Wait, Condition::ResourceConstraint),
            Self::Stream { failure, .. } => {
                let error = failure.stanza_error();
                (error.type_, error.condition)
            }
            Self::Stopping
            | Self::Late
            | Self::ShortLived
            | Self::Dns(_)
            | Self::TlsForbidden
            | Self::Connect(_)
            | Self::Tls { .. }
            | Self::Broken { .. }
            | Self::TimedOut { .. }
            | Self::Unauthenticated { .. }
            | Self::Refused { .. }
            | Self::Crashed => (ErrorType::Wait, Condition::RemoteServerTimeout),
        };
        stanza::Error { type_, condition, text: self.sentence(remote) }
    }

    /// The answer to an initiating server whose key the server of `remote` could not be asked about (XEP-0220 2.5).
    ///
    /// The asker has proved nothing, and chose by its DNS records which address was connected to. So the answer says
    /// nothing about that address or the name servers: there is one sentence for all failures, and one condition for all
    /// but three cases. That the domain does not exist (or has no service) is public knowledge of the DNS. That a server
    /// does not know the domain has to be passed on by XEP-0220. And an asker whom this node has no room for, or does not
    /// want, learns that much about the node. The details go to the log and to `nuncio explain`.
    pub fn dialback_error(&self, remote: &Domain) -> stanza::Error {
        let (type_, condition) = match self {
            Self::Denied => (ErrorType::Cancel, Condition::NotAllowed),
            Self::Overloaded => (ErrorType::Wait, Condition::ResourceConstraint),
            Self::Dns(failure) if failure.is_definitive() => {
                (ErrorType::Cancel, Condition::RemoteServerNotFound)
            }
            Self::Stream { failure, .. } if failure.says_host_unknown() => {
                (ErrorType::Cancel, Condition::RemoteServerNotFound)
            }
            Self::Stopping
            | Self::Late
            | Self::ShortLived
            | Self::Crowded(_)
            | Self::Dns(_)
            | Self::TlsForbidden
            | Self::Loop(_)
            | Self::Connect(_)
            | Self::Tls { .. }
            | Self::Stream { .. }
            | Self::Broken { .. }
            | Self::TimedOut { .. }
            | Self::Refused { .. }
            | Self::Unauthenticated { .. }
            | Self::Crashed => (ErrorType::Wait, Condition::RemoteServerTimeout),
        };
        let text = match self {
            Self::Denied => format!("this server does not federate with {remote}"),
            Self::Overloaded => "too many dialback keys are being verified: try again later".to_owned(),
            _ => dialback::unverified(remote),
        };
        stanza::Error { type_, condition, text }
    }

    /// The cause in words, naming the remote domain where the cause itself does not.
    pub fn sentence(&self, remote: &Domain) -> String {
        match self {
            Self::Denied => format!("this server does not federate with {remote}"),
            Self::TlsForbidden => {
                format!("{remote} takes nothing but direct TLS, which s2s.tls = \"disabled\" forbids")
            }
            Self::Tls { address, error } => format!("no TLS with {remote} at {address}: {error}"),
            Self::Unauthenticated { external: told, .. } | Self::Refused { failure: told, .. } => {
                told.sentence(remote)
            }
            other => other.to_string(),
        }
    }

    fn distrusted(&self) -> Option<&Problem> {
        match self {
            Self::Stream { distrusted, .. }
            | Self::Broken { distrusted, .. }
            | Self::TimedOut { distrusted, .. } => distrusted.as_deref(),
            _ => None,
        }
    }

    /// The stage at which it failed, for the metrics: one word of a few.
    pub fn stage(&self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::Stopping => "stopping",
            Self::Late => "late",
            Self::ShortLived => "short-lived",
            Self::Overloaded | Self::Crowded(_) => "overloaded",
            Self::Dns(failure) if failure.is_definitive() => "no-such-domain",
            Self::Dns(_) => "dns",
            Self::Loop(_) => "loop",
            Self::Connect(_) => "connect",
            Self::Tls { .. } | Self::TlsForbidden => "tls",
            Self::Stream { failure, .. } => match failure.cause {
                initiating::Cause::Certificate(_) => "certificate",
                initiating::Cause::TlsUnavailable
                | initiating::Cause::TlsForbidden
                | initiating::Cause::TlsRefused => "tls",
                initiating::Cause::NoMechanism
                | initiating::Cause::ExternalRefused(_)
                | initiating::Cause::DialbackInvalid
                | initiating::Cause::DialbackError(_) => "authentication",
                _ => "stream",
            },
            Self::Unauthenticated { .. } => "authentication",
            Self::Refused { failure, .. } => failure.stage(),
            Self::Broken { .. } => "broken",
            Self::TimedOut { .. } => "timeout",
            Self::Crashed => "crashed",
        }
    }

    /// How far an attempt got: of several targets, the one that got furthest tells the operator most.
    pub fn progress(&self) -> u8 {
        match self {
            Self::Denied
            | Self::Stopping
            | Self::Late
            | Self::ShortLived
            | Self::Overloaded
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

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied => f.write_str("this server does not federate with that domain"),
            Self::Stopping => f.write_str("this server is being stopped"),
            Self::Late => f.write_str("no connection could be established in time"),
            Self::ShortLived => f.write_str("the remote server closes every connection immediately"),
            Self::Overloaded => f.write_str("too many connections are being made"),
            Self::Crowded(address) => write!(f, "too many connections to {address} wait to be made"),
            Self::Dns(failure) if failure.is_definitive() => failure.fmt(f),
            Self::Dns(failure) => write!(f, "DNS lookup failed: {failure}"),
            Self::TlsForbidden => {
                f.write_str("it takes nothing but direct TLS, which s2s.tls = \"disabled\" forbids")
            }
            Self::Loop(address) => write!(f, "its DNS records lead back to this server ({address})"),
            Self::Connect(failures) => {
                for (nth, (address, failure)) in failures.iter().enumerate() {
                    let separator = if nth == 0 { "" } else { "; " };
                    write!(f, "{separator}{}", failure.at(*address))?;
                }
                Ok(())
            }
            Self::Tls { address, error } => write!(f, "no TLS at {address}: {error}"),
            Self::Stream { address, failure, .. } => match failure.cause {
                initiating::Cause::NotXmpp => write!(f, "{address} does not speak XMPP"),
                _ => failure.fmt(f),
            },
            Self::Broken { address, stage, error: None, .. } => {
                write!(f, "{address} closed the connection while we were {stage}")
            }
            Self::Broken { address, stage, error: Some(kind), .. } => {
                write!(f, "the connection to {address} broke while we were {stage}: {kind}")
            }
            Self::TimedOut { address, stage, after, .. } => {
                write!(f, "no answer from {address} within {} s while we were {stage}", after.as_secs_f32())
            }
            Self::Unauthenticated { external: told, .. } | Self::Refused { failure: told, .. } => told.fmt(f),
            Self::Crashed => f.write_str("an internal error ended the attempt"),
        }?;
        match self.distrusted() {
            Some(problem) => write!(f, "; only dialback was left, since its certificate {problem}"),
            None => Ok(()),
        }
    }
}

/// `internal_error` and `user_canceled` (RFC 8446 6.2) say nothing about the next attempt.
const PASSING_ALERTS: [u8; 2] = [80, 90];

#[cfg(test)]
mod tests {
    use xmpp::stream::{self, initiating::Cause};

    use super::*;

    fn remote() -> Domain {
        Domain::new("b.example").unwrap()
    }

    fn of_stream(cause: Cause) -> Failure {
        let failure = initiating::Failure { remote: remote(), cause };
        Failure::Stream {
            address: ([127, 0, 0, 1], 5269).into(),
            stage: Stage::Features,
            failure,
            distrusted: None,
        }
    }

    fn broken(error: Option<io::ErrorKind>) -> Failure {
        Failure::Broken {
            address: ([127, 0, 0, 1], 5269).into(),
            stage: Stage::Features,
            error,
            distrusted: None,
        }
    }

    #[test]
    fn a_connection_that_ends_during_set_up_is_made_again() {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
        let errors =
            [None, Some(BrokenPipe), Some(ConnectionAborted), Some(ConnectionReset), Some(UnexpectedEof)];
        assert!(errors.iter().all(|error| !broken(*error).is_definitive()));
    }

    #[test]
    fn a_policy_that_refuses_us_over_tls_is_believed_the_second_time() {
        let refusal = of_stream(Cause::Stream(stream::Error::new(PolicyViolation, "no")));
        assert!(refusal.is_refusal_by_policy() && !refusal.is_definitive());
        let told = refusal.sentence(&remote());
        let once = Failure::Refused { failure: Box::new(refusal.clone()), again: false }.after(None);
        assert!(!once.is_definitive());
        assert_eq!((once.sentence(&remote()), once.stage()), (told, refusal.stage()));
        assert!(once.clone().after(Some(&once)).is_definitive());
        assert!(!once.clone().after(Some(&Failure::Late)).is_definitive());
        assert!(
            !refusal.clone().after(Some(&refusal)).is_definitive(),
            "in clear text it says nothing of us"
        );
    }

    #[test]
    fn a_second_connection_for_dialback_decides_whether_waiting_helps() {
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
            (Failure::Connect(Vec::new()), false),
            (Failure::Late, false),
        ] {
            let external = Box::new(of_stream(Cause::ExternalRefused(refusal.clone())));
            let failure = Failure::Unauthenticated { external, dialback: Box::new(dialback) };
            assert_eq!(failure.is_definitive(), definitive, "{failure}");
            let text = failure.stanza_error(&remote()).text;
            assert_eq!(text, "b.example refused our certificate (not-authorized: not known here)");
            assert_eq!(failure.stage(), "authentication");
            assert_eq!(failure.cause(&diagnosis::Seen::default()).id, "external-refused");
        }
    }
}
