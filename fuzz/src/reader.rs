//! Reads what a machine sends, and sees that it is a stream whatever the peer did.

use bytes::{Bytes, BytesMut};
use xmpp::framer::{Frame, Framer, Limits};
use xmpp::xml::Element;

/// Headers first, nothing behind the closing tag, well-formed XML in between, and not much more than was received.
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

    /// Notes that the machine received so many bytes.
    pub(crate) fn received(&mut self, bytes: usize) {
        self.received += bytes;
    }

    /// Whether the machine has sent its closing tag.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Takes what the machine sends; gives its elements.
    pub(crate) fn sent(&mut self, bytes: &Bytes) -> Vec<Element> {
        self.sent += bytes.len();
        let most = AT_ONCE + FACTOR * self.received;
        assert!(self.sent <= most, "{} bytes sent for {} received", self.sent, self.received);
        self.unread.extend_from_slice(bytes);
        let mut elements = Vec::new();
        while !self.unread.is_empty() {
            assert!(!self.closed, "behind the closing tag: {:?}", self.unread);
            // A machine begins its stream anew with a header; a framer has to be told.
            if self.unread.starts_with(b"<?xml") && self.open {
                self.framer.restart();
            }
            match self.framer.next(&mut self.unread).expect("sound XML") {
                Some(Frame::Header(_)) => self.open = true,
                Some(Frame::Element(element)) => {
                    assert!(self.open, "an element before the header");
                    let read = Element::parse(&element.bytes, self.framer.scope());
                    elements.push(read.expect("XML that xml-rs reads"));
                }
                Some(Frame::Footer) => self.closed = true,
                None => panic!("half an element: {:?}", self.unread),
            }
        }
        elements
    }
}

/// Headers, features and an error, which the peer need not ask for.
const AT_ONCE: usize = 8 * 1024;

/// An answer repeats what was asked and says why not.
const FACTOR: usize = 32;
