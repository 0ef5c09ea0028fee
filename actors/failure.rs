//! Why no authenticated stream to a remote domain came about, by stage; and what the senders of waiting stanzas hear.

pub mod cause;
pub mod diagnosis;

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
    stream::initiating,
};

use crate::{connect, dns, tls};

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
    Connect(Vec<(SocketAddr, connect::Failure)>),
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
        stage: &'static str,
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
        stage: &'static str,
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
        stage: &'static str,
        /// How long it was given.
        after: Duration,
        /// What left nothing but dialback to try.
        distrusted: Option<Box<Problem>>,
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
            Self::Stream { .. } => 6,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied => f.write_str("this server does not federate with that domain"),
            Self::Stopping => f.write_str("this server is being stopped"),
            Self::Late => f.write_str("no link came about in time"),
            Self::ShortLived => f.write_str("its server ends every link as soon as it stands"),
            Self::Overloaded => f.write_str("too many connections are being made"),
            Self::Crowded(address) => write!(f, "too many connections to {address} wait to be made"),
            Self::Dns(failure) if failure.is_definitive() => failure.fmt(f),
            Self::Dns(failure) => write!(f, "the DNS was of no help: {failure}"),
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
    use std::collections::BTreeSet;

    use initiating::Cause;
    use xmpp::stream;

    use super::*;

    /// Failures of every kind that a stranger can bring about by its DNS records and by a server of its choice.
    fn failures() -> Vec<Failure> {
        let address: SocketAddr = "10.1.2.3:6379".parse().unwrap();
        let question = || dns::Question { name: "10-1-2-3.b.example".into(), kind: "A" };
        let said = |text: &str| stream::Error::new(stream::Condition::PolicyViolation, text);
        let stage = "waiting for the stream header";
        let causes = [
            Cause::NotXmpp,
            Cause::TlsUnavailable,
            Cause::TlsRefused,
            Cause::Certificate(Problem::Missing),
            Cause::NoMechanism,
            Cause::Stream(said("the internal server 10.1.2.3 says so")),
        ];
        let of_stream = causes.map(|cause| Failure::Stream {
            address,
            stage,
            failure: initiating::Failure { cause, remote: Domain::new("b.example").unwrap() },
            distrusted: None,
        });
        let reasons = [
            connect::Failure::Silent(Duration::from_secs(10)),
            connect::Failure::Refused,
            connect::Failure::Unreachable,
            connect::Failure::Near,
            connect::Failure::Other(io::ErrorKind::PermissionDenied),
        ];
        let mut failures: Vec<Failure> = reasons
            .map(|reason| Failure::Connect(vec![(address, reason)]))
            .into_iter()
            .chain(of_stream)
            .collect();
        failures.extend([
            Failure::Late,
            Failure::ShortLived,
            Failure::Stopping,
            Failure::Crashed,
            Failure::TlsForbidden,
            Failure::Crowded(address.ip()),
            Failure::Loop(address),
            Failure::Tls { address, error: tls::Error::NotTls },
            Failure::Tls { address, error: tls::Error::Alert(40) },
            Failure::Broken { address, stage, error: None, distrusted: None },
            Failure::Broken { address, stage, error: Some(io::ErrorKind::ConnectionReset), distrusted: None },
            Failure::TimedOut { address, stage, after: Duration::from_secs(30), distrusted: None },
            Failure::Dns(dns::Failure::NoAddress { host: "10-1-2-3.b.example".into(), exists: true }),
            Failure::Dns(dns::Failure::NoAddress { host: "10-1-2-3.b.example".into(), exists: false }),
            Failure::Dns(dns::Failure::Silent { question: question(), after: Duration::from_secs(5) }),
            Failure::Dns(dns::Failure::Refused { question: question(), code: "SERVFAIL".into() }),
            Failure::Dns(dns::Failure::Bogus { question: question() }),
            Failure::Dns(dns::Failure::Unusable { question: question(), reason: "10.0.0.53".into() }),
        ]);
        failures
    }

    #[test]
    fn an_initiator_that_proved_nothing_is_told_the_same_of_every_failure() {
        let remote = Domain::new("b.example").unwrap();
        let told: BTreeSet<String> =
            failures().iter().map(|failure| format!("{:?}", failure.dialback_error(&remote))).collect();
        assert_eq!(told.len(), 1, "{told:#?}");
    }

    #[test]
    fn no_answer_to_an_initiator_has_an_address_or_the_words_of_another() {
        let remote = Domain::new("b.example").unwrap();
        let definitive = [
            dns::Failure::NoSuchDomain { domain: "b.example".into() },
            dns::Failure::NotOffered { domain: "b.example".into() },
            dns::Failure::NoService { domain: "b.example".into() },
        ];
        let mut all = failures();
        all.extend(definitive.map(Failure::Dns));
        all.extend([Failure::Denied, Failure::Overloaded]);
        for failure in all {
            let stanza::Error { text, .. } = failure.dialback_error(&remote);
            assert!(!text.contains(|c: char| c.is_ascii_digit()), "{text}");
            assert!(!text.contains("internal server"), "{text}");
        }
    }
}
