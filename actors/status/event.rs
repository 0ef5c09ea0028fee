//! The events of a remote domain, as the history stores them.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use xmpp::Domain;

use crate::report::{Time, bounded};

/// An event of a remote domain. Bounces for the same reason are stored as one event, with the number of stanzas.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// The node of the cluster that reports it; absent for a node that is alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// The time of the first occurrence.
    pub at: Time,
    /// The time of the last occurrence.
    pub last: Time,
    /// The kind.
    pub what: EventKind,
    /// The local domain, if one is involved.
    pub local: Option<String>,
    /// The address of the remote server.
    pub address: Option<SocketAddr>,
    /// The details, in words.
    pub text: String,
    /// The number of stanzas, for kinds that count them.
    pub count: u64,
}

/// The kind of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// The first stanza was queued for a link.
    Queued,
    /// The DNS or the configuration gave the targets.
    Resolved,
    /// A target could not be used; the next is tried.
    TargetFailed,
    /// A target made no progress; the next address or target is tried beside it.
    Overtaken,
    /// The connection was opened.
    Connected,
    /// The TLS handshake succeeded.
    Secured,
    /// The remote server authenticated this node.
    Authenticated,
    /// The queued stanzas were given to the link.
    HandedOver,
    /// The attempt failed.
    NoLink,
    /// An outgoing link ended.
    Closed,
    /// A lost stream was resumed (XEP-0198 section 5).
    Resumed,
    /// The remote server told how many stanzas of a lost stream arrived, and did not resume it.
    Counted,
    /// Stanzas that may have arrived were sent again.
    Repeated,
    /// Stanzas were answered with an error.
    Bounced,
    /// The remote server authenticated itself on an incoming stream.
    ConnectedToUs,
    /// A request of the remote server on an incoming stream was refused.
    Refused,
    /// An incoming stream ended.
    Disconnected,
    /// This node asked the authoritative server about a dialback key (XEP-0220).
    Verified,
    /// The remote server presented another certificate than before.
    CertificateChanged,
    /// The remote server connected or answered, so the back-off was ended early.
    #[serde(rename = "life-sign")]
    RemoteContact,
    /// An operator ended the back-off.
    Retried,
    /// An operator closed an incoming stream.
    Dismissed,
}

impl Event {
    /// Makes an event of this kind with the current time.
    #[must_use]
    pub fn now(what: EventKind) -> Self {
        let at = Time::now();
        Self { node: None, at, last: at, what, local: None, address: None, text: String::new(), count: 0 }
    }

    /// Sets the local domain.
    #[must_use]
    pub fn with(self, local: &Domain) -> Self {
        Self { local: Some(local.to_string()), ..self }
    }

    /// Sets the address of the remote server.
    #[must_use]
    pub fn at(self, address: SocketAddr) -> Self {
        Self { address: Some(address), ..self }
    }

    /// Sets the details, shortened by [`bounded`].
    #[must_use]
    pub fn saying(self, text: impl Into<String>) -> Self {
        Self { text: bounded(text.into()), ..self }
    }

    /// Sets the number of stanzas.
    #[must_use]
    pub fn of(self, stanzas: usize) -> Self {
        Self { count: stanzas as u64, ..self }
    }

    /// Returns whether both events are equal apart from their times and counts.
    pub fn repeats(&self, other: &Self) -> bool {
        self.what == other.what && self.local == other.local && self.text == other.text
    }
}

impl EventKind {
    /// The name in a table: one to three words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Resolved => "resolved",
            Self::TargetFailed => "target failed",
            Self::Overtaken => "overtaken",
            Self::Connected => "connected",
            Self::Secured => "secured",
            Self::Authenticated => "authenticated",
            Self::HandedOver => "handed over",
            Self::NoLink => "no link",
            Self::Closed => "closed",
            Self::Resumed => "resumed",
            Self::Counted => "counted",
            Self::Repeated => "sent again",
            Self::Bounced => "bounced",
            Self::ConnectedToUs => "connected to us",
            Self::Refused => "refused",
            Self::Disconnected => "disconnected",
            Self::Verified => "verified",
            Self::CertificateChanged => "new certificate",
            Self::RemoteContact => "remote contact",
            Self::Retried => "retried",
            Self::Dismissed => "closed by operator",
        }
    }

    /// Returns whether it is a step of a connection attempt.
    pub fn is_step(self) -> bool {
        matches!(
            self,
            Self::Queued
                | Self::Resolved
                | Self::TargetFailed
                | Self::Overtaken
                | Self::Connected
                | Self::Secured
                | Self::NoLink
        )
    }
}
