//! The answers to the senders of stanzas and to the initiators of streams when an attempt failed.

use xmpp::{
    Domain, dialback,
    stanza::{self, Condition, ErrorType},
};

use super::AttemptError;

impl AttemptError {
    /// The error for the sender of a stanza to `remote`.
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
            | Self::NodesUnreachable
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

    /// The answer to the initiator of a stream if its key could not be verified with the server of `remote`
    /// (XEP-0220 section 2.5).
    ///
    /// The initiator is not authenticated, and its DNS records chose the address that was connected to. So
    /// that it learns nothing about that address or our name servers, most failures have the same text and
    /// condition. The exceptions: that the domain has no XMPP service is public in the DNS; that the server
    /// does not know the domain must be passed on (XEP-0220); and this node may say that it is overloaded, or
    /// that it does not federate with the domain. The log and `nuncio explain` have the details.
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
            | Self::NodesUnreachable
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
}

#[cfg(test)]
mod tests;
