//! What can happen with a remote domain, as it is remembered.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use xmpp::Domain;

use crate::report::{Time, bounded};

/// Something that happened with a remote domain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When, and when for the first time if it happened more than once.
    pub at: Time,
    /// When for the last time.
    pub last: Time,
    /// What.
    pub what: What,
    /// The local domain concerned.
    pub local: Option<String>,
    /// The other end.
    pub address: Option<SocketAddr>,
    /// The particulars, in words.
    pub text: String,
    /// Of what is counted: stanzas.
    pub count: u64,
}

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// Stanzas began to wait for a link.
    Queued,
    /// The DNS, or the configuration, named targets.
    Resolved,
    /// A target could not be used; the next is tried.
    TargetFailed,
    /// The connection was opened.
    Connected,
    /// TLS is up.
    Secured,
    /// We are authenticated to it.
    Authenticated,
    /// What waited was given to the link.
    HandedOver,
    /// The attempt failed.
    NoLink,
    /// A link of ours ended.
    Closed,
    /// Stanzas were answered with an error.
    Bounced,
    /// It authenticated itself on a stream of its own.
    ConnectedToUs,
    /// It asked for something on a stream of its own and did not get it.
    Refused,
    /// A stream of its own ended.
    Disconnected,
    /// Its server was asked about a dialback key.
    Verified,
    /// It shows another certificate than before.
    CertificateChanged,
    /// It showed life, so the pause ended early.
    LifeSign,
    /// An operator ended the pause.
    Retried,
    /// An operator had a stream of its own closed.
    Dismissed,
}

impl Event {
    /// Something that happened now.
    #[must_use]
    pub fn now(what: What) -> Self {
        let at = Time::now();
        Self { at, last: at, what, local: None, address: None, text: String::new(), count: 0 }
    }

    /// With this domain of ours.
    #[must_use]
    pub fn with(self, local: &Domain) -> Self {
        Self { local: Some(local.to_string()), ..self }
    }

    /// The other end was there.
    #[must_use]
    pub fn at(self, address: SocketAddr) -> Self {
        Self { address: Some(address), ..self }
    }

    /// The particulars; what is too long is cut.
    #[must_use]
    pub fn saying(self, text: impl Into<String>) -> Self {
        Self { text: bounded(text.into()), ..self }
    }

    /// So many stanzas.
    #[must_use]
    pub fn of(self, stanzas: usize) -> Self {
        Self { count: stanzas as u64, ..self }
    }

    /// Whether it is more of the same.
    pub fn repeats(&self, other: &Self) -> bool {
        self.what == other.what && self.local == other.local && self.text == other.text
    }
}

impl What {
    /// In a word or two, for a table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Resolved => "resolved",
            Self::TargetFailed => "target failed",
            Self::Connected => "connected",
            Self::Secured => "secured",
            Self::Authenticated => "authenticated",
            Self::HandedOver => "handed over",
            Self::NoLink => "no link",
            Self::Closed => "closed",
            Self::Bounced => "bounced",
            Self::ConnectedToUs => "connected to us",
            Self::Refused => "refused",
            Self::Disconnected => "disconnected",
            Self::Verified => "verified",
            Self::CertificateChanged => "new certificate",
            Self::LifeSign => "sign of life",
            Self::Retried => "retried",
            Self::Dismissed => "asked to close",
        }
    }

    /// Whether it is a step of an attempt.
    pub fn is_step(self) -> bool {
        matches!(
            self,
            Self::Queued
                | Self::Resolved
                | Self::TargetFailed
                | Self::Connected
                | Self::Secured
                | Self::NoLink
        )
    }
}
