//! The bytes of a stream as the log shows them at `trace`, without keys, digests, SASL messages, passwords and bodies.
//!
//! An element is recognized however the network has split it: each direction of a stream keeps the state of a small
//! tokenizer from one read to the next. Its size is fixed. It hides more than necessary where XML is malformed.

use std::mem;

/// Both directions of one stream.
#[derive(Debug)]
pub struct Trace {
    target: &'static str,
    received: Redactor,
    sent: Redactor,
}

impl Trace {
    /// For a stream from its first byte on; `target` is that of the log lines.
    pub fn new(target: &'static str) -> Self {
        Self { target, received: Redactor::default(), sent: Redactor::default() }
    }

    /// Text for the log if it takes this target at `trace`. Has to be called for all that is received.
    pub fn received(&mut self, bytes: &[u8]) -> Option<String> {
        Self::shown(self.target, &mut self.received, bytes)
    }

    /// Text for the log if it takes this target at `trace`. Has to be called for all that is sent.
    pub fn sent(&mut self, bytes: &[u8]) -> Option<String> {
        Self::shown(self.target, &mut self.sent, bytes)
    }

    fn shown(target: &str, redactor: &mut Redactor, bytes: &[u8]) -> Option<String> {
        if log::log_enabled!(target: target, log::Level::Trace) {
            return Some(redactor.redact(bytes));
        }
        // A reload may raise the level later, while an element is incomplete.
        redactor.skipped = true;
        None
    }
}

/// One direction of a stream.
#[derive(Debug, Default)]
struct Redactor {
    place: Place,
    /// The local name of the tag.
    name: Name,
    /// The local name of the attribute.
    attribute: Name,
    /// The tag is outside of secret elements.
    visible: bool,
    /// Open elements from the outermost secret one on; 0 outside of secret elements.
    depth: u32,
    /// Bytes were not seen since the last read.
    skipped: bool,
    /// It is not known which elements are open: everything is hidden until an element ends
    /// that is in no secret one.
    lost: bool,
    /// The output ends with the mark for hidden text.
    cut: bool,
}

/// The state of the tokenizer.
#[derive(Clone, Copy, Debug, Default)]
enum Place {
    #[default]
    Text,
    /// Behind `<`.
    Open,
    /// In the name of a tag.
    Name { end: bool },
    /// In a tag, between attributes. `slash`: the last byte was `/`.
    Tag { end: bool, slash: bool },
    /// In an attribute, before its value.
    Attribute { end: bool },
    /// In the value of an attribute.
    Value { end: bool, quote: u8, secret: bool },
    /// Behind `<!`.
    Mark,
    /// In markup that is not a tag; the last two bytes.
    Other { kind: Markup, last: [u8; 2] },
}

/// Markup that is not a tag.
#[derive(Clone, Copy, Debug)]
enum Markup {
    Comment,
    Cdata,
    Instruction,
    Declaration,
}

/// The local part of a name.
#[derive(Clone, Copy, Debug, Default)]
struct Name {
    bytes: [u8; LONGEST_NAME],
    length: usize,
}

impl Name {
    fn start(byte: u8) -> Self {
        let mut name = Self::default();
        name.push(byte);
        name
    }

    fn push(&mut self, byte: u8) {
        if byte == b':' {
            self.length = 0;
            return;
        }
        if let Some(place) = self.bytes.get_mut(self.length) {
            *place = byte;
        }
        // A longer name is in no list.
        self.length = (self.length + 1).min(LONGEST_NAME + 1);
    }

    fn is_in(&self, names: &[&str]) -> bool {
        self.bytes.get(..self.length).is_some_and(|own| names.iter().any(|name| name.as_bytes() == own))
    }
}

impl Redactor {
    /// The next bytes of the stream, shown up to [`LONGEST`] of them.
    fn redact(&mut self, bytes: &[u8]) -> String {
        if mem::take(&mut self.skipped) {
            (self.place, self.depth, self.lost) = (Place::Text, 0, true);
        }
        self.cut = false;
        let mut shown = Vec::with_capacity(bytes.len().min(LONGEST) + MARK.len());
        for &byte in bytes {
            self.step(byte, &mut shown);
        }
        let long = shown.len() > LONGEST;
        shown.truncate(LONGEST);
        if long {
            shown.extend_from_slice(MARK.as_bytes());
        }
        String::from_utf8_lossy(&shown).into_owned()
    }

    fn step(&mut self, byte: u8, shown: &mut Vec<u8>) {
        match self.place {
            Place::Text if byte == b'<' => self.place = Place::Open,
            Place::Text => self.put(&[byte], self.is_open_text(), shown),
            Place::Open => self.open(byte, shown),
            Place::Mark => {
                let kind = match byte {
                    b'-' => Markup::Comment,
                    b'[' => Markup::Cdata,
                    _ => Markup::Declaration,
                };
                self.other(kind, &[b'<', b'!', byte], shown);
            }
            Place::Other { kind, last } => {
                self.put(&[byte], self.is_open_text(), shown);
                let ends = byte == b'>'
                    && match kind {
                        Markup::Comment => last == *b"--",
                        Markup::Cdata => last == *b"]]",
                        Markup::Instruction => last[1] == b'?',
                        Markup::Declaration => true,
                    };
                let [_, before] = last;
                self.place = if ends { Place::Text } else { Place::Other { kind, last: [before, byte] } };
            }
            Place::Value { end, quote, secret } => {
                let ends = byte == quote;
                self.put(&[byte], self.visible && (ends || !secret), shown);
                if ends {
                    self.place = Place::Tag { end, slash: false };
                }
            }
            Place::Name { end } | Place::Tag { end, .. } | Place::Attribute { end } => {
                self.put(&[byte], self.visible, shown);
                self.tag(byte, end);
            }
        }
    }

    /// The byte behind `<`.
    fn open(&mut self, byte: u8, shown: &mut Vec<u8>) {
        match byte {
            b'!' => self.place = Place::Mark,
            b'?' => self.other(Markup::Instruction, b"<?", shown),
            b'/' => {
                // The end tag of a secret element is shown, those of elements in it are not.
                self.depth = self.depth.saturating_sub(1);
                (self.visible, self.name) = (self.is_open_text(), Name::default());
                self.place = Place::Name { end: true };
                self.put(b"</", self.visible, shown);
            }
            _ => {
                (self.visible, self.name) = (self.is_open_text(), Name::start(byte));
                self.place = Place::Name { end: false };
                self.put(&[b'<', byte], self.visible, shown);
            }
        }
    }

    fn other(&mut self, kind: Markup, begin: &[u8], shown: &mut Vec<u8>) {
        self.put(begin, self.is_open_text(), shown);
        self.place = Place::Other { kind, last: [0; 2] };
    }

    /// A byte in a tag, outside of attribute values.
    fn tag(&mut self, byte: u8, end: bool) {
        self.place = match (byte, self.place) {
            (b'>', place) => {
                self.tag_ends(end, matches!(place, Place::Tag { slash: true, .. }));
                Place::Text
            }
            (b'/', _) => Place::Tag { end, slash: true },
            (b'"' | b'\'', Place::Attribute { .. }) => {
                Place::Value { end, quote: byte, secret: self.attribute.is_in(SECRET_ATTRIBUTES) }
            }
            (b' ' | b'\t' | b'\r' | b'\n', Place::Name { .. } | Place::Tag { .. }) => {
                Place::Tag { end, slash: false }
            }
            (b' ' | b'\t' | b'\r' | b'\n' | b'=', place) => place,
            (_, place @ Place::Name { .. }) => {
                self.name.push(byte);
                place
            }
            (_, place @ Place::Attribute { .. }) => {
                self.attribute.push(byte);
                place
            }
            _ => {
                self.attribute = Name::start(byte);
                Place::Attribute { end }
            }
        };
    }

    fn tag_ends(&mut self, end: bool, empty: bool) {
        if self.lost {
            self.lost = !((end || empty) && self.name.is_in(KNOWN_ENDS));
        } else if !end && !empty && (self.depth > 0 || self.name.is_in(SECRET)) {
            self.depth = self.depth.saturating_add(1);
        }
    }

    fn is_open_text(&self) -> bool {
        self.depth == 0 && !self.lost
    }

    /// Shows bytes, or one mark for as many as are hidden in a row.
    fn put(&mut self, bytes: &[u8], visible: bool, shown: &mut Vec<u8>) {
        if visible {
            self.cut = false;
        } else if mem::replace(&mut self.cut, true) {
            return;
        }
        // What is beyond the limit is not shown, so it need not be kept.
        if shown.len() <= LONGEST {
            shown.extend_from_slice(if visible { bytes } else { MARK.as_bytes() });
        }
    }
}

/// Local names of elements with dialback keys, component digests, SASL messages (also of XEP-0388), passwords, tokens
/// bodies and values of forms (XEP-0004: a field may be a password), in every namespace.
const SECRET: &[&str] = &[
    "result",
    "verify",
    "handshake",
    "auth",
    "response",
    "challenge",
    "success",
    "initial-response",
    "additional-data",
    "password",
    "digest",
    "secret",
    "token",
    "value",
    "body",
];

/// Local names of attributes with passwords (XEP-0249 has one).
const SECRET_ATTRIBUTES: &[&str] = &["password", "secret", "token"];

/// Elements that are in no secret element: the first level of a stream, apart from SASL.
const KNOWN_ENDS: &[&str] = &["message", "presence", "iq", "result", "verify"];

/// Bytes of the longest name in the lists.
const LONGEST_NAME: usize = 16;

/// More bytes of one read are of no help to a reader.
const LONGEST: usize = 4096;

/// Stands for what is not shown.
const MARK: &str = "…";

#[cfg(test)]
mod tests;
