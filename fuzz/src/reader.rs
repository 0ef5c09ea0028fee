//! Checks that the output of a machine is a valid stream, whatever the peer sent.

use bytes::{Bytes, BytesMut};
use xmpp::framer::{Frame, Framer, Limits};
use xmpp::xml::Element;

/// The output must begin with a header, be well-formed XML, end with the closing tag, and not be much longer than the
/// input.
pub(crate) struct Reader {
    framer: Framer,
    unread: BytesMut,
    closed: bool,
    open: bool,
    received: usize,
    sent: usize,
}

impl Reader {
    pub(crate) fn new() -> Self {
        Self {
            framer: Framer::new(Limits::default()),
            unread: BytesMut::new(),
            closed: false,
            open: false,
            received: 0,
            sent: 0,
        }
    }

    /// Counts bytes that the machine received.
    pub(crate) fn received(&mut self, bytes: usize) {
        self.received += bytes;
    }

    /// Whether the machine has sent its closing tag.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Checks bytes that the machine sends, and returns their elements.
    pub(crate) fn sent(&mut self, bytes: &Bytes) -> Vec<Element> {
        self.sent += bytes.len();
        let most = AT_ONCE + FACTOR * self.received;
        assert!(self.sent <= most, "{} bytes sent for {} received", self.sent, self.received);
        self.unread.extend_from_slice(bytes);
        let mut elements = Vec::new();
        while !self.unread.is_empty() {
            assert!(!self.closed, "bytes after the closing tag: {:?}", self.unread);
            // A restart begins with a new header, for which the framer has to be restarted.
            if self.unread.starts_with(b"<?xml") && self.open {
                self.framer.restart();
            }
            match self.framer.next(&mut self.unread).expect("valid XML") {
                Some(Frame::Header(_)) => self.open = true,
                Some(Frame::Element(element)) => {
                    assert!(self.open, "an element before the header");
                    let read = Element::parse(&element.bytes, self.framer.scope());
                    elements.push(read.expect("XML that xml-rs reads"));
                }
                Some(Frame::Footer) => self.closed = true,
                None => panic!("an incomplete element: {:?}", self.unread),
            }
        }
        elements
    }
}

/// Bytes that a machine may send without input: headers, features and an error.
const AT_ONCE: usize = 8 * 1024;

/// Bytes that a machine may send for each byte of input. An answer repeats the request and adds an error.
const FACTOR: usize = 32;
