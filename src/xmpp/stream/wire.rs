//! What every stream does below its negotiation: bytes in, frames out; elements in, bytes out, in order with events.
use super::{Error, Header, error::Fault};
use crate::{
    framer::{self, Frame, Framer, Limits},
    stanza::{Intake, Origin},
    xml,
};
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;

/// One end of a stream. `O` is the machine's output, of which this makes the `Transmit`s.
#[derive(Debug)]
pub(crate) struct Wire<O> {
    /// namespace of the stream's content
    content: &'static str,
    framer: Framer,
    unread: BytesMut,
    /// whole ones so far
    frames: u64,
    /// the peer's opening tag was read, and not its closing tag
    open: bool,
    /// the peer's closing tag was read
    closed: bool,
    /// our header declared the prefix `db`
    dialback: bool,
    /// written since the last event
    text: String,
    ready: VecDeque<O>,
    transmit: fn(Bytes) -> O,
}

impl<O> Wire<O> {
    /// An end that expects a header, for content in the namespace `content` within `limits`.
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

    /// Takes what was read from the network.
    pub(crate) fn receive(&mut self, bytes: BytesMut) {
        if self.unread.is_empty() {
            self.unread = bytes;
        } else {
            self.unread.extend_from_slice(&bytes);
        }
    }

    /// Whether bytes wait that were not framed yet.
    pub(crate) fn has_unread(&self) -> bool {
        !self.unread.is_empty()
    }

    /// Forgets what was received and not framed.
    pub(crate) fn discard(&mut self) {
        self.unread.clear();
    }

    /// The next whole frame, `None` when more bytes are needed.
    pub(crate) fn next(&mut self) -> Result<Option<Frame>, Fault> {
        let frame = self.framer.next(&mut self.unread)?;
        if self.unread.is_empty() {
            // Empty as it is, it would keep the memory of the last read.
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

    /// The number of the frame that has begun and is not whole.
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

    /// Expects a new header next.
    pub(crate) fn restart(&mut self) {
        self.open = false;
        self.framer.restart();
    }

    /// Changes what is allowed from the next element on.
    pub(crate) fn limit(&mut self, limits: Limits) {
        self.framer.set_limits(limits);
    }

    /// Refuses an element that is no stanza and longer than `limit` bytes: reading it costs many times as much as
    /// passing a stanza on.
    pub(crate) fn confine(&self, element: &framer::Element, limit: usize) -> Result<(), Fault> {
        match element.bytes.len() <= limit {
            true => Ok(()),
            false => Err(framer::Error::TooLarge { limit }.into()),
        }
    }

    /// Reads an element that is not just passed on, if it has no more than so many tags.
    pub(crate) fn read(&self, element: &framer::Element, tags: usize) -> Result<xml::Element, Fault> {
        if xml::has_more_tags(&element.bytes, tags) {
            return Err(Fault::TooMany("tags in an element that is not a stanza"));
        }
        Ok(xml::Element::parse(&element.bytes, self.framer.scope())?)
    }

    /// Reads a framed header.
    pub(crate) fn header(&self, bytes: &[u8]) -> Result<Header, Fault> {
        Header::parse(bytes, self.content)
    }

    /// Refuses a header that says much for all stanzas of the stream, since it is written to each of them.
    pub(crate) fn confine_header(&self, header: &Header) -> Result<(), Fault> {
        let written = |text: &str| xml::escape(text).len();
        let declared = self.framer.scope().iter().map(|(prefix, uri)| prefix.len() + written(uri));
        let lang = header.lang.as_deref().map_or(0, written);
        for (what, length, limit) in [
            ("bytes of namespaces and their prefixes in the stream header", declared.sum(), DECLARED),
            ("bytes of 'xml:lang' in the stream header", lang, LANG),
        ] {
            if length > limit {
                return Err(framer::Error::TooComplex { what, limit }.into());
            }
        }
        Ok(())
    }

    /// What takes in the stanzas of this stream, after its header.
    pub(crate) fn intake(&self, lang: Option<String>) -> Intake {
        Intake::new(Origin { namespace: self.content, scope: self.framer.scope().to_vec(), lang })
    }

    /// Transmits a header.
    pub(crate) fn open(&mut self, header: &Header) {
        self.dialback = header.dialback;
        self.text.push_str(&header.write(self.content));
    }

    /// Transmits an element.
    pub(crate) fn write(&mut self, element: &xml::Element) {
        let declared = if self.dialback { &PREFIXES[..] } else { &PREFIXES[..1] };
        self.text.push_str(&element.write(self.content, declared));
    }

    /// Transmits the closing tag, after the error if there is one.
    pub(crate) fn close(&mut self, error: Option<&Error>) {
        if let Some(error) = error {
            self.write(&error.element());
        }
        self.text.push_str("</stream:stream>");
    }

    /// Puts an event behind everything transmitted so far.
    pub(crate) fn emit(&mut self, event: O) {
        self.flush();
        self.ready.push_back(event);
    }

    /// The next thing for the driver.
    pub(crate) fn take(&mut self) -> Option<O> {
        if self.ready.is_empty() {
            self.flush();
        }
        let next = self.ready.pop_front();
        if next.is_none() {
            // Most of what waits here is of the negotiation. Stanzas pass by.
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

/// A whole stream that only says why there is none.
pub(crate) fn refusal(content: &'static str, header: &Header, error: &Error) -> Bytes {
    let mut wire = Wire::new(content, Limits::UNAUTHENTICATED, |bytes| bytes);
    wire.open(header);
    wire.close(Some(error));
    wire.take().unwrap_or_default()
}

/// Whether an element is called what stanzas are called, whatever its prefix; [`Intake::admit`] decides.
pub(crate) fn is_stanza(element: &framer::Element) -> bool {
    let name = element.head.name.of(&element.bytes);
    let local = name.iter().position(|byte| *byte == b':').map_or(name, |colon| &name[colon + 1..]);
    matches!(local, b"message" | b"presence" | b"iq")
}

/// Tags of anything that is said to negotiate or to end a stream: at most an error in an answer, with a condition, a text
/// and something of the application's. It is the same for who is authenticated, as no more is to be said then.
pub(crate) const TAGS: usize = 32;

/// Tags of stream features, which are the only list among them.
pub(crate) const TAGS_OF_FEATURES: usize = xml::MOST_TAGS;

/// Bytes of all that a header may declare; the namespaces of all that is known between servers take half of it.
const DECLARED: usize = 512;

/// Bytes of a language. RFC 5646 section 4.4.1 wants room for 35 at least.
const LANG: usize = 64;

/// What our headers declare beside the default namespace, the second only where dialback is spoken.
const PREFIXES: [(&str, &str); 2] = [("stream", xml::ns::STREAM), ("db", xml::ns::DIALBACK)];

/// The work of reading an element, or of answering it: one, and one more for each [`ELEMENT_OF_WORK`] bytes.
pub(crate) fn work_of(element: &framer::Element) -> usize {
    1 + element.bytes.len() / ELEMENT_OF_WORK
}

/// Bytes that take about as long to read as an element takes by itself.
const ELEMENT_OF_WORK: usize = 256;
