//! Cuts a byte stream into a stream header, complete first-level elements and the closing tag, and validates
//! each.
//!
//! A stanza that is only relayed is never parsed into a tree: the framer gives its bytes as they came, with a
//! note of what the start tag contains. So the framer is the only place that validates the XML of a peer, and
//! it validates all of it: UTF-8, characters, names, quotes, references, unique attributes and declarations,
//! bound prefixes, matching tags (XML 1.0 and Namespaces in XML 1.0), the XML that XMPP forbids (RFC 6120
//! section 11.1), and [limits](Limits) that apply while reading, not after.
//!
//! *Architecture invariant:* the result depends on the bytes only, not on how they were split into reads.
//! Every byte is read a constant number of times, however small the reads are: a complete part is never read
//! again, and in an incomplete tag the search for its end continues where it stopped.

mod chars;
mod declaration;
mod error;
mod head;
mod relocation;
mod scope;
mod span;
mod tag;
mod text;
mod walk;

use bytes::{Buf, Bytes, BytesMut};
use walk::Walk;

pub use error::{Error, Measure};
pub use head::{Change, Elsewhere, Head, Meaning, What};
pub use span::Span;

/// Limits for one element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one first-level element or header, from `<` to `>`. Never more than 4 GiB.
    pub element: usize,
    /// Levels of nesting below the stream. The first-level element is level 1.
    pub depth: usize,
    /// Attributes of one tag, namespace declarations included.
    pub attributes: usize,
    /// Namespace declarations in scope at once, those of the stream included.
    pub declarations: usize,
    /// Bytes of one namespace, as they are written.
    pub namespace: usize,
    /// Bytes of all namespaces in scope at once, those of the stream included.
    pub namespaces: usize,
}

impl Limits {
    /// For a peer that has not authenticated: 10 KiB, the lowest limit that RFC 6120 section 13.12 allows.
    pub const UNAUTHENTICATED: Self = Self {
        element: 10 * 1024,
        depth: 16,
        attributes: 32,
        declarations: 32,
        namespace: 1024,
        namespaces: 4 * 1024,
    };
}

impl Default for Limits {
    /// For an authenticated peer: 512 KiB, and more depth and width than any known protocol needs. The limits
    /// for namespaces are the same for all peers: those in use have less than a hundred bytes, and a reader
    /// handles each of them once more for each nested element.
    fn default() -> Self {
        Self { element: 512 * 1024, depth: 64, attributes: 64, ..Self::UNAUTHENTICATED }
    }
}

/// A complete part of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// `<stream:stream …>`; an XML declaration before it is left out. After `<stream:stream …/>` the next
    /// frame is the [`Footer`](Self::Footer).
    Header(Bytes),
    /// A first-level element.
    Element(RawElement),
    /// `</stream:stream>`, or the `/>` of a root that is an empty element.
    Footer,
}

/// A first-level element: its bytes and a note of its start tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawElement {
    /// `<` to `>`.
    pub bytes: Bytes,
    /// The note of its start tag.
    pub head: Head,
}

/// The incremental scanner.
#[derive(Debug)]
pub struct Framer {
    limits: Limits,
    phase: Phase,
    walk: Walk,
    /// The name of the root as written, which the closing tag has to repeat.
    root: Vec<u8>,
}

#[derive(Debug)]
enum Phase {
    /// The stream header comes next. `untouched` until a byte came: an XML declaration is allowed only then.
    ExpectHeader { untouched: bool },
    /// First-level elements or the closing tag come next.
    ExpectElement,
    /// The root was an empty element: the stream ends without further bytes (XML 1.0 section 3.1).
    Empty,
    /// The closing tag has come.
    Closed,
    /// Bytes were refused, and all further bytes are.
    Refused(Error),
}

impl Framer {
    /// A framer that expects a stream header.
    pub fn new(limits: Limits) -> Self {
        let phase = Phase::ExpectHeader { untouched: true };
        Self { limits, phase, walk: Walk::default(), root: Vec::new() }
    }

    /// A framer inside a stream that declares `scope`, for elements of the node's own.
    pub(crate) fn inside(scope: Vec<(String, String)>) -> Self {
        let limits = Limits {
            element: usize::MAX,
            depth: usize::MAX,
            attributes: usize::MAX,
            declarations: usize::MAX,
            namespace: usize::MAX,
            namespaces: usize::MAX,
        };
        let mut framer = Self { phase: Phase::ExpectElement, ..Self::new(limits) };
        framer.walk.set_stream(scope);
        framer
    }

    /// Changes the limits from the next element on.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Expects a new stream header next (after TLS, after SASL).
    pub fn restart(&mut self) {
        self.phase = Phase::ExpectHeader { untouched: true };
        self.walk.reset();
        self.walk.set_stream(Vec::new());
        self.root.clear();
    }

    /// The prefixes, with their URIs, that the current stream header declares. "" is the default namespace.
    pub fn scope(&self) -> &[(String, String)] {
        self.walk.scope().stream()
    }

    /// Takes the next complete frame from the front of `buffer`; `None` when more bytes are needed.
    ///
    /// An incomplete frame stays in `buffer`, and the caller may only append to it. White space between
    /// elements is removed at once. After an error every further call gives the same error.
    ///
    /// # Errors
    /// Gives the reason why the bytes are refused.
    pub fn next(&mut self, buffer: &mut BytesMut) -> Result<Option<Frame>, Error> {
        let frame = self.advance(buffer);
        if let Err(error) = &frame {
            self.phase = Phase::Refused(error.clone());
        }
        frame
    }

    /// Takes bytes that have to be one element and nothing else. They are not copied. Each call is independent of the ones
    /// before, also after an error.
    ///
    /// # Errors
    /// Gives the reason why they are not one element.
    pub(crate) fn whole(&mut self, bytes: Bytes) -> Result<RawElement, Error> {
        self.walk.reset();
        let Some(&first) = bytes.first() else { return Err(NOT_ONE) };
        self.check_first(first)?;
        let limits = self.limits_of_next();
        if bytes.len() > limits.element {
            return Err(Error::TooLarge { limit: limits.element });
        }
        self.walk.begin(limits);
        match self.walk.element(&bytes)? {
            Some(end) if end == bytes.len() => Ok(RawElement { bytes, head: self.walk.take_head() }),
            _ => Err(NOT_ONE),
        }
    }

    fn advance(&mut self, buffer: &mut BytesMut) -> Result<Option<Frame>, Error> {
        match &self.phase {
            Phase::Refused(error) => return Err(error.clone()),
            Phase::Empty => {
                self.phase = Phase::Closed;
                return Ok(Some(Frame::Footer));
            }
            Phase::ExpectHeader { .. } | Phase::ExpectElement | Phase::Closed => {}
        }
        if !self.walk.has_begun() {
            self.skip_white_space(buffer);
            let Some(&first) = buffer.first() else {
                return Ok(None);
            };
            self.check_first(first)?;
            self.walk.begin(self.limits_of_next());
        }

        let view = &buffer[..buffer.len().min(self.walk.limits().element)];
        let frame = match self.phase {
            Phase::ExpectHeader { untouched } => match self.header(view, untouched)? {
                Header::Unfinished => None,
                Header::Declaration(end) => {
                    buffer.advance(end);
                    self.phase = Phase::ExpectHeader { untouched: false };
                    self.walk.reset();
                    return self.advance(buffer);
                }
                Header::Whole { end, empty } => {
                    self.phase = if empty { Phase::Empty } else { Phase::ExpectElement };
                    Some(Frame::Header(buffer.split_to(end).freeze()))
                }
            },
            Phase::ExpectElement | Phase::Empty | Phase::Closed | Phase::Refused(_) => {
                if view.starts_with(b"</") {
                    self.walk.footer(view, &self.root)?.map(|end| {
                        buffer.advance(end);
                        self.phase = Phase::Closed;
                        Frame::Footer
                    })
                } else {
                    self.walk.element(view)?.map(|end| {
                        let head = self.walk.take_head();
                        Frame::Element(RawElement { bytes: buffer.split_to(end).freeze(), head })
                    })
                }
            }
        };

        match frame {
            Some(_) => self.walk.reset(),
            None if buffer.len() >= self.walk.limits().element => {
                return Err(Error::TooLarge { limit: self.walk.limits().element });
            }
            None => {}
        }
        Ok(frame)
    }

    fn skip_white_space(&mut self, buffer: &mut BytesMut) {
        let blank = buffer.iter().take_while(|&&b| chars::is_white_space(b)).count();
        if let (Phase::ExpectHeader { untouched }, 1..) = (&mut self.phase, blank) {
            *untouched = false;
        }
        buffer.advance(blank);
    }

    /// The declarations of a header are copied to stanzas that rely on them, so they are limited for every
    /// peer.
    fn limits_of_next(&self) -> Limits {
        let most = match self.phase {
            Phase::ExpectHeader { .. } => Limits::UNAUTHENTICATED.element,
            _ => span::MAX_ELEMENT,
        };
        Limits { element: self.limits.element.min(most), ..self.limits }
    }

    /// Checks the first byte of what can only be a tag.
    fn check_first(&self, first: u8) -> Result<(), Error> {
        match (first, &self.phase) {
            (b'<', Phase::Closed) => Err(Error::NotWellFormed("an element after the end of the stream")),
            (b'<', _) => Ok(()),
            // UTF-16 without a byte order mark (XML 1.0 appendix F), or bytes that never occur in UTF-8.
            (0, Phase::ExpectHeader { .. }) | (0x80..=0xc1 | 0xf5.., _) => Err(Error::UnsupportedEncoding),
            (_, Phase::ExpectHeader { .. }) => Err(Error::NotWellFormed("text before the stream header")),
            (_, Phase::Closed) => Err(Error::NotWellFormed("text after the end of the stream")),
            (0..=0x1f, _) => Err(Error::NotWellFormed("a character that XML forbids")),
            (_, Phase::ExpectElement | Phase::Empty | Phase::Refused(_)) => {
                Err(Error::Misplaced("text between elements"))
            }
        }
    }

    fn header(&mut self, view: &[u8], untouched: bool) -> Result<Header, Error> {
        if view.starts_with(b"<\0") {
            return Err(Error::UnsupportedEncoding);
        }
        if view.starts_with(b"<?") {
            return match declaration::read(view, &mut self.walk.looked)? {
                Some(_) if !untouched => {
                    Err(Error::NotWellFormed("an XML declaration that is not the very first"))
                }
                Some(end) => Ok(Header::Declaration(end)),
                None => Ok(Header::Unfinished),
            };
        }
        let walked = self.walk.header(view).map_err(|error| match error {
            // Only markup is well-formed before the root.
            Error::Misplaced(what) => Error::NotWellFormed(what),
            error => error,
        });
        let Some(end) = walked? else {
            return Ok(Header::Unfinished);
        };
        self.root = self.walk.enter_stream(view).to_vec();
        Ok(Header::Whole { end, empty: self.walk.is_empty_element() })
    }
}

const NOT_ONE: Error = Error::NotWellFormed("not exactly one element");

/// The state of the prolog of a stream, with the offset of its end.
enum Header {
    Unfinished,
    Declaration(usize),
    Whole { end: usize, empty: bool },
}

#[cfg(test)]
mod tests;
