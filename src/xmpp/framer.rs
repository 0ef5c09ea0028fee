//! Cuts a byte stream into a stream header, whole first-level elements and the closing tag, and vouches for each.
use bytes::{Bytes, BytesMut};
use std::{fmt, ops::Range};

/// What one element may cost before it is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// bytes of one first-level element or header, `<` to `>`
    pub element: usize,
    /// nesting below the stream, the first-level element being 1
    pub depth: usize,
    /// attributes of one tag, namespace declarations included
    pub attributes: usize,
    /// namespace declarations in scope at once
    pub declarations: usize,
}

/// The next whole thing in the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// `<stream:stream …>`; an XML declaration before it is left out
    Header(Bytes),
    /// a first-level element
    Element(Element),
    /// `</stream:stream>`
    Footer,
}

/// A first-level element: its bytes and what its start tag says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    /// `<` to `>`
    pub bytes: Bytes,
    /// what the walk over it noted
    pub head: Head,
}

/// What the framer noted of an element; ranges count from the element's first byte.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// the whole name in the start tag, prefix included
    pub name: Range<usize>,
    /// raw attribute values (between the quotes, references not resolved)
    pub to: Option<Range<usize>>,
    #[allow(missing_docs)]
    pub from: Option<Range<usize>>,
    #[allow(missing_docs)]
    pub id: Option<Range<usize>>,
    #[allow(missing_docs)]
    pub kind: Option<Range<usize>>,
    /// value of `xml:lang`
    pub lang: Option<Range<usize>>,
    /// value of `xmlns` on the start tag itself
    pub xmlns: Option<Range<usize>>,
}

/// The incremental scanner.
#[derive(Debug)]
pub struct Framer {}
impl Framer {
    /// A framer that expects a stream header.
    pub fn new(_limits: Limits) -> Self {
        todo!()
    }
    /// Changes what is allowed from the next element on.
    pub fn set_limits(&mut self, _limits: Limits) {
        todo!()
    }
    /// Expects a new stream header next (after TLS, after SASL).
    pub fn restart(&mut self) {
        todo!()
    }
    /// The prefixes (with their URIs) the current stream header declared; "" is the default namespace.
    pub fn scope(&self) -> &[(String, String)] {
        todo!()
    }
    /// Takes the next whole frame off the front of `buffer`, or `None` when more bytes are needed.
    /// Every byte is looked at once, however the input is split.
    pub fn next(&mut self, _buffer: &mut BytesMut) -> Result<Option<Frame>, Error> {
        todo!()
    }
}

/// Why the bytes are refused; each maps to one stream error (`stream::error`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// not well-formed XML (RFC 6120 11.3), with what was wrong in words
    NotWellFormed(&'static str),
    /// comment, processing instruction, DTD or entity reference (RFC 6120 11.1)
    Restricted(&'static str),
    /// not UTF-8 (RFC 6120 11.6)
    UnsupportedEncoding,
    /// longer than `Limits::element` bytes
    TooLarge {
        /// bytes
        limit: usize,
    },
    /// one of the other limits
    TooComplex {
        /// "depth", "attributes" or "namespace declarations"
        what: &'static str,
        /// how many are allowed
        limit: usize,
    },
}
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}
impl std::error::Error for Error {}
