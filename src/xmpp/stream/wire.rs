//! The layer below every negotiation: bytes in, frames out; elements in, bytes out, in order with other
//! outputs.
use super::{Error, Header, error::Fault};
use crate::{
    framer::{self, Frame, Framer, Limits},
    stanza::{self, Intake, Origin},
    xml,
};
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;

/// One end of a stream. `O` is the output of the machine; `transmit` makes it from bytes.
#[derive(Debug)]
pub(crate) struct Wire<O> {
    /// The content namespace of the stream.
    content: &'static str,
    framer: Framer,
    unread: BytesMut,
    /// Complete frames so far.
    frames: u64,
    /// The peer's opening tag was read, and its closing tag was not.
    open: bool,
    /// The peer's closing tag was read.
    closed: bool,
    /// Our header declares the prefix `db`.
    dialback: bool,
    /// Text that was written since the last output.
    text: String,
    ready: VecDeque<O>,
    transmit: fn(Bytes) -> O,
}

impl<O> Wire<O> {
    /// An end that expects a header, for the content namespace `content`.
    pub(crate) fn new(content: &'static str, limits: Limits, transmit: fn(Bytes) -> O) -> Self {
        Self {
            content,
            framer: Framer::new(limits),
            unread: BytesMut::new(),
            frames: 0,
            open: false,
            closed: false,
            dialback: false,
            text: String::new(),
            ready: VecDeque::new(),
            transmit,
        }
    }

    /// Takes bytes that were read from the network.
    pub(crate) fn receive(&mut self, bytes: BytesMut) {
        if self.unread.is_empty() {
            self.unread = bytes;
        } else {
            self.unread.extend_from_slice(&bytes);
        }
    }

    /// Moves the stream to another machine. This end keeps the outputs that are ready and reads nothing more.
    pub(crate) fn hand_over<P>(&mut self, transmit: fn(Bytes) -> P) -> Wire<P> {
        let fresh = Framer::new(Limits::UNAUTHENTICATED);
        Wire {
            content: self.content,
            framer: std::mem::replace(&mut self.framer, fresh),
            unread: std::mem::take(&mut self.unread),
            frames: self.frames,
            open: self.open,
            closed: self.closed,
            dialback: self.dialback,
            text: String::new(),
            ready: VecDeque::new(),
            transmit,
        }
    }

    /// Whether there are bytes that are not framed yet.
    pub(crate) fn has_unread(&self) -> bool {
        !self.unread.is_empty()
    }

    /// Drops the bytes that are not framed yet.
    pub(crate) fn discard(&mut self) {
        self.unread.clear();
    }

    /// The next complete frame; `None` when more bytes are needed.
    pub(crate) fn next(&mut self) -> Result<Option<Frame>, Fault> {
        let frame = self.framer.next(&mut self.unread)?;
        if self.unread.is_empty() {
            // An empty buffer would keep the memory of the last read.
            self.unread = BytesMut::new();
        }
        self.frames += u64::from(frame.is_some());
        match frame {
            Some(Frame::Header(_)) => self.open = true,
            Some(Frame::Footer) => (self.open, self.closed) = (false, true),
            Some(Frame::Element(_)) | None => {}
        }
        Ok(frame)
    }

    /// The number of the frame that has begun and is not complete.
    pub(crate) fn unfinished(&self) -> Option<u64> {
        self.has_unread().then_some(self.frames)
    }

    /// Whether the peer's closing tag was read.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Whether the peer has opened its stream and not closed it.
    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    /// Expects a new header.
    pub(crate) fn restart(&mut self) {
        self.open = false;
        self.framer.restart();
    }

    /// Changes the limits from the next element on.
    pub(crate) fn limit(&mut self, limits: Limits) {
        self.framer.set_limits(limits);
    }

    /// Refuses an element that is longer than `limit` bytes. To read an element costs many times as much as
    /// to pass a stanza on.
    pub(crate) fn confine(&self, element: &framer::RawElement, limit: usize) -> Result<(), Fault> {
        match element.bytes.len() <= limit {
            true => Ok(()),
            false => Err(framer::Error::TooLarge { limit }.into()),
        }
    }

    /// Reads an element that is not relayed, if it has at most `tags` tags.
    pub(crate) fn read(&self, element: &framer::RawElement, tags: usize) -> Result<xml::Element, Fault> {
        if xml::has_more_tags(&element.bytes, tags) {
            return Err(Fault::TooMany("tags in an element that is not a stanza"));
        }
        Ok(xml::Element::parse(&element.bytes, self.framer.scope())?)
    }

    /// Whether an element is in this namespace.
    pub(crate) fn is_in(&self, element: &framer::RawElement, namespace: &str) -> bool {
        stanza::namespace(element, self.framer.scope()) == namespace
    }

    /// Whether the peer counts an element as a stanza, though it may be refused (XEP-0198 section 4): it has
    /// the name of a stanza, and a content namespace.
    pub(crate) fn is_counted(&self, element: &framer::RawElement) -> bool {
        is_stanza(element) && stanza::is_content(&stanza::namespace(element, self.framer.scope()))
    }

    /// Reads a framed header.
    pub(crate) fn header(&self, bytes: &[u8]) -> Result<Header, Fault> {
        Header::parse(bytes, self.content)
    }

    /// Refuses a header with long declarations: they are copied to each stanza of the stream that relies on
    /// them.
    pub(crate) fn confine_header(&self, header: &Header) -> Result<(), Fault> {
        let written = |text: &str| xml::escape(text).len();
        let declared = self.framer.scope().iter().map(|(prefix, uri)| prefix.len() + written(uri));
        let lang = header.lang.as_deref().map_or(0, written);
        for (measure, length, limit) in [
            (framer::Measure::HeaderNamespaces, declared.sum(), DECLARED),
            (framer::Measure::HeaderLang, lang, LANG),
        ] {
            if length > limit {
                return Err(framer::Error::TooComplex { measure, limit }.into());
            }
        }
        Ok(())
    }

    /// The intake for stanzas of this stream. To be called after its header.
    pub(crate) fn intake(&self, lang: Option<String>) -> Intake {
        Intake::new(Origin { namespace: self.content, scope: self.framer.scope().to_vec(), lang })
    }

    /// Writes a header.
    pub(crate) fn open(&mut self, header: &Header) {
        self.dialback = header.dialback;
        self.text.push_str(&header.write(self.content));
    }

    /// Writes an element.
    pub(crate) fn write(&mut self, element: &xml::Element) {
        let declared = if self.dialback { &PREFIXES[..] } else { &PREFIXES[..1] };
        self.text.push_str(&element.write(self.content, declared));
    }

    /// Writes an element that is text already.
    pub(crate) fn push(&mut self, element: &str) {
        self.text.push_str(element);
    }

    /// Writes the error, if there is one, and the closing tag.
    pub(crate) fn close(&mut self, error: Option<&Error>) {
        if let Some(error) = error {
            self.write(&error.element());
        }
        self.text.push_str("</stream:stream>");
    }

    /// Puts an output behind everything that is written so far.
    pub(crate) fn emit(&mut self, event: O) {
        self.flush();
        self.ready.push_back(event);
    }

    /// The next output.
    pub(crate) fn take(&mut self) -> Option<O> {
        if self.ready.is_empty() {
            self.flush();
        }
        let next = self.ready.pop_front();
        if next.is_none() {
            // Stanzas do not pass through this queue, so it is needed for the negotiation only.
            self.ready = VecDeque::new();
        }
        next
    }

    fn flush(&mut self) {
        if !self.text.is_empty() {
            self.ready.push_back((self.transmit)(Bytes::from(std::mem::take(&mut self.text))));
        }
    }
}

/// A whole stream that contains only an error.
pub(crate) fn refusal(content: &'static str, header: &Header, error: &Error) -> Bytes {
    let mut wire = Wire::new(content, Limits::UNAUTHENTICATED, |bytes| bytes);
    wire.open(header);
    wire.close(Some(error));
    wire.take().unwrap_or_default()
}

/// Whether an element has the name of a stanza, whatever its prefix; [`Intake::admit`] decides.
pub(crate) fn is_stanza(element: &framer::RawElement) -> bool {
    matches!(local_name(element), b"message" | b"presence" | b"iq")
}

/// The name of an element without its prefix.
pub(crate) fn local_name(element: &framer::RawElement) -> &[u8] {
    let name = element.head.name.of(&element.bytes);
    name.iter().position(|byte| *byte == b':').map_or(name, |colon| &name[colon + 1..])
}

/// The limit for tags of an element that negotiates or ends a stream. The largest is an answer with an error
/// that has a condition, a text and an application-specific condition. It holds for authenticated peers too.
pub(crate) const TAGS: usize = 32;

/// The limit for tags of stream features, the only element with a list.
pub(crate) const TAGS_OF_FEATURES: usize = xml::MOST_TAGS;

/// The limit for the declarations of a header, in bytes. All namespaces that servers are known to declare
/// take half of it.
const DECLARED: usize = 512;

/// The limit for `xml:lang`, in bytes. RFC 5646 section 4.4.1 requires at least 35.
const LANG: usize = 64;

/// The prefixes that our headers declare. The second is declared where dialback is allowed.
const PREFIXES: [(&str, &str); 2] = [("stream", xml::ns::STREAM), ("db", xml::ns::DIALBACK)];

/// The work to read or answer an element: one, and one more for each [`ELEMENT_OF_WORK`] bytes.
pub(crate) fn work_of(element: &framer::RawElement) -> usize {
    1 + element.bytes.len() / ELEMENT_OF_WORK
}

/// Bytes that take about as long to read as an empty element.
const ELEMENT_OF_WORK: usize = 256;
