//! An element that the peer had no reason to send.
use std::fmt;

/// An element that the peer had no reason to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stray {
    /// A stanza whose addresses or namespace cannot be read.
    Malformed,
    /// A stanza between other domains.
    OtherDomains,
    /// A stanza that is no error.
    NoAnswer,
    /// No stanza.
    NoStanza,
    /// An ack without a count that can be read. The request is not answered.
    BadAck,
}

impl fmt::Display for Stray {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "a stanza that cannot be read",
            Self::OtherDomains => "a stanza between other domains",
            Self::NoAnswer => "a stanza that is no error",
            Self::NoStanza => "an element that is no stanza",
            Self::BadAck => "an acknowledgement without a valid count",
        })
    }
}
