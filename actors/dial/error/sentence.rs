//! The text of an error, for logs and for the senders of stanzas.

use std::fmt;

use xmpp::{Domain, stream::initiating};

use super::AttemptError;

impl AttemptError {
    /// The error in words, with the remote domain.
    pub fn sentence(&self, remote: &Domain) -> String {
        match self {
            Self::Denied => format!("this server does not federate with {remote}"),
            Self::TlsForbidden => {
                format!("{remote} offers direct TLS only, which s2s.tls = \"disabled\" forbids")
            }
            Self::Tls { address, error } => format!("no TLS with {remote} at {address}: {error}"),
            Self::Unauthenticated { external: error, .. } | Self::Refused { error, .. } => {
                error.sentence(remote)
            }
            other => other.to_string(),
        }
    }
}

impl fmt::Display for AttemptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied => f.write_str("this server does not federate with that domain"),
            Self::Stopping => f.write_str("this server is shutting down"),
            Self::Late => f.write_str("no connection could be established in time"),
            Self::ShortLived => f.write_str("the remote server closes every connection immediately"),
            Self::Overloaded => f.write_str("this server makes too many connections at the moment"),
            Self::Crowded(address) => write!(f, "too many connection attempts to {address} are waiting"),
            Self::Dns(failure) if failure.is_definitive() => failure.fmt(f),
            Self::Dns(failure) => write!(f, "DNS lookup failed: {failure}"),
            Self::TlsForbidden => {
                f.write_str("it offers direct TLS only, which s2s.tls = \"disabled\" forbids")
            }
            Self::Loop(address) => write!(f, "its address leads back to this server ({address})"),
            Self::Connect(failures) => {
                for (nth, (address, failure)) in failures.iter().enumerate() {
                    let separator = if nth == 0 { "" } else { "; " };
                    write!(f, "{separator}{}", failure.at(*address))?;
                }
                Ok(())
            }
            Self::Tls { address, error } => write!(f, "no TLS at {address}: {error}"),
            Self::Stream { at, failure } => match failure.cause {
                initiating::Cause::NotXmpp => write!(f, "{} does not speak XMPP", at.address),
                _ => failure.fmt(f),
            },
            Self::Broken { at, error: None } => {
                write!(f, "{} closed the connection while we were {}", at.address, at.stage)
            }
            Self::Broken { at, error: Some(kind) } => {
                write!(f, "the connection to {} broke while we were {}: {kind}", at.address, at.stage)
            }
            Self::TimedOut { at, after } => {
                let seconds = after.as_secs_f32();
                write!(f, "no answer from {} within {seconds} s while we were {}", at.address, at.stage)
            }
            Self::Unauthenticated { external: error, .. } | Self::Refused { error, .. } => error.fmt(f),
            Self::Crashed => f.write_str("an internal error ended the attempt"),
        }?;
        match self.distrusted() {
            Some(problem) => write!(f, "; only dialback was left, since its certificate {problem}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for AttemptError {}
