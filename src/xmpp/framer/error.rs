//! Why bytes are refused.

use std::fmt;

/// Why the bytes are refused; each maps to one stream error (`stream::error`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// Not well-formed XML (RFC 6120 section 11.3), with what was wrong in words.
    NotWellFormed(&'static str),
    /// A comment, processing instruction, DTD or entity reference (RFC 6120 section 11.1).
    Restricted(&'static str),
    /// Well-formed, and nothing that may stand on the first level of a stream, with what it is in words (RFC 6120 section
    /// 4.9.3.1).
    Misplaced(&'static str),
    /// Not UTF-8 (RFC 6120 section 11.6).
    UnsupportedEncoding,
    /// Longer than `Limits::element` bytes.
    TooLarge {
        /// How many bytes are allowed.
        limit: usize,
    },
    /// One of the other limits.
    TooComplex {
        /// `depth`, or what is counted: `attributes`, `namespace declarations` …
        what: &'static str,
        /// How many are allowed.
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
