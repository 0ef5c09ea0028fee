//! The reasons to refuse bytes.

use std::fmt;

/// The reason to refuse bytes. Each maps to one stream error (`stream::error`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The XML is not well-formed (RFC 6120 section 11.3), with the reason.
    NotWellFormed(&'static str),
    /// A comment, processing instruction, DTD or entity reference (RFC 6120 section 11.1).
    Restricted(&'static str),
    /// The XML is well-formed, but not allowed on the first level of a stream (RFC 6120 section 4.9.3.1),
    /// with the reason.
    Misplaced(&'static str),
    /// The encoding is not UTF-8 (RFC 6120 section 11.6).
    UnsupportedEncoding,
    /// The element is longer than `Limits::element`.
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// Another limit is exceeded.
    TooComplex {
        /// The counted thing: `depth`, `attributes`, `namespace declarations` …
        what: &'static str,
        /// The limit.
        limit: usize,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotWellFormed(what) => write!(f, "not well-formed XML: {what}"),
            Self::Restricted(what) | Self::Misplaced(what) => {
                write!(f, "{what} is not allowed in XMPP streams")
            }
            Self::UnsupportedEncoding => f.write_str("not UTF-8"),
            Self::TooLarge { limit } => write!(f, "an element of more than {limit} bytes"),
            Self::TooComplex { what: "depth", limit } => write!(f, "elements more than {limit} deep"),
            Self::TooComplex { what, limit } => write!(f, "more than {limit} {what}"),
        }
    }
}

impl std::error::Error for Error {}
