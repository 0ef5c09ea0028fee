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
        /// The exceeded measure.
        measure: Measure,
        /// The limit.
        limit: usize,
    },
}

/// A measure of an element or a header that has a limit, apart from its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// The levels of nested elements.
    Depth,
    /// The attributes of one tag.
    Attributes,
    /// The namespace declarations that are in scope.
    Declarations,
    /// The bytes of one namespace.
    Namespace,
    /// The bytes of all namespaces that are in scope.
    Namespaces,
    /// The bytes of the namespaces that a stream header declares, and of their prefixes.
    HeaderNamespaces,
    /// The bytes of `xml:lang` in a stream header.
    HeaderLang,
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Depth => "levels of elements",
            Self::Attributes => "attributes",
            Self::Declarations => "namespace declarations",
            Self::Namespace => "bytes of one namespace",
            Self::Namespaces => "bytes of namespaces",
            Self::HeaderNamespaces => "bytes of namespaces and their prefixes in the stream header",
            Self::HeaderLang => "bytes of 'xml:lang' in the stream header",
        })
    }
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
            Self::TooComplex { measure: Measure::Depth, limit } => {
                write!(f, "elements more than {limit} deep")
            }
            Self::TooComplex { measure, limit } => write!(f, "more than {limit} {measure}"),
        }
    }
}

impl std::error::Error for Error {}
