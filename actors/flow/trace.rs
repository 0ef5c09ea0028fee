//! Shows the bytes of a stream in the log at level `trace`, without keys, digests, SASL messages, passwords
//! and bodies.
//!
//! An element is recognized however the network has split it: each direction of a stream keeps the state of a
//! small tokenizer of fixed size between reads. It hides more than necessary where XML is malformed.

use std::mem;

/// The trace of one stream in both directions.
#[derive(Debug)]
pub struct Trace {
    target: &'static str,
    received: Redactor,
    sent: Redactor,
}

impl Trace {
    /// For a stream from its first byte on. `target` is the target of the log lines.
    pub fn new(target: &'static str) -> Self {
        Self { target, received: Redactor::default(), sent: Redactor::default() }
    }

    /// Text for the log, if it takes this target at `trace`. Has to be called for all bytes received.
    pub fn received(&mut self, bytes: &[u8]) -> Option<String> {
        Self::shown(self.target, &mut self.received, bytes)
    }

    /// Text for the log, if it takes this target at `trace`. Has to be called for all bytes sent.
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
    position: Position,
    /// The local name of the tag.
    name: Name,
    /// The local name of the attribute.
    attribute: Name,
    /// The tag is in no secret element.
    visible: bool,
    /// The depth of open elements, counted from the outermost secret one; 0 outside of secret elements.
    depth: u32,
    /// Bytes were skipped since the last call.
    skipped: bool,
    /// The open elements are unknown: everything is hidden until the end of an element that is in no secret
    /// one.
    lost: bool,
    /// The output ends with the mark for hidden text.
    cut: bool,
}

/// The state of the tokenizer.
#[derive(Clone, Copy, Debug, Default)]
enum Position {
    #[default]
    Text,
    /// After `<`.
    Open,
    /// In the name of a tag.
    Name { end: bool },
    /// In a tag, between attributes. `slash`: the last byte was `/`.
    Tag { end: bool, slash: bool },
    /// In an attribute, before its value.
    Attribute { end: bool },
    /// In the value of an attribute.
    Value { end: bool, quote: u8, secret: bool },
    /// After `<!`.
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
        if let Some(position) = self.bytes.get_mut(self.length) {
            *position = byte;
        }
        // No list has a longer name.
        self.length = (self.length + 1).min(LONGEST_NAME + 1);
    }

    fn is_in(&self, names: &[&str]) -> bool {
        self.bytes.get(..self.length).is_some_and(|own| names.iter().any(|name| name.as_bytes() == own))
    }
}

impl Redactor {
    /// The next bytes of the stream, redacted and at most [`LONGEST`] of them.
    fn redact(&mut self, bytes: &[u8]) -> String {
        if mem::take(&mut self.skipped) {
            (self.position, self.depth, self.lost) = (Position::Text, 0, true);
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
        match self.position {
            Position::Text if byte == b'<' => self.position = Position::Open,
            Position::Text => self.put(&[byte], self.is_open_text(), shown),
            Position::Open => self.open(byte, shown),
            Position::Mark => {
                let kind = match byte {
                    b'-' => Markup::Comment,
                    b'[' => Markup::Cdata,
                    _ => Markup::Declaration,
                };
                self.other(kind, &[b'<', b'!', byte], shown);
            }
            Position::Other { kind, last } => {
                self.put(&[byte], self.is_open_text(), shown);
                let ends = byte == b'>'
                    && match kind {
                        Markup::Comment => last == *b"--",
                        Markup::Cdata => last == *b"]]",
                        Markup::Instruction => last[1] == b'?',
                        Markup::Declaration => true,
                    };
                let [_, before] = last;
                self.position =
                    if ends { Position::Text } else { Position::Other { kind, last: [before, byte] } };
            }
            Position::Value { end, quote, secret } => {
                let ends = byte == quote;
                self.put(&[byte], self.visible && (ends || !secret), shown);
                if ends {
                    self.position = Position::Tag { end, slash: false };
                }
            }
            Position::Name { end } | Position::Tag { end, .. } | Position::Attribute { end } => {
                self.put(&[byte], self.visible, shown);
                self.tag(byte, end);
            }
        }
    }

    /// The byte after `<`.
    fn open(&mut self, byte: u8, shown: &mut Vec<u8>) {
        match byte {
            b'!' => self.position = Position::Mark,
            b'?' => self.other(Markup::Instruction, b"<?", shown),
            b'/' => {
                // The end tag of a secret element is shown. Those of elements in it are not.
                self.depth = self.depth.saturating_sub(1);
                (self.visible, self.name) = (self.is_open_text(), Name::default());
                self.position = Position::Name { end: true };
                self.put(b"</", self.visible, shown);
            }
            _ => {
                (self.visible, self.name) = (self.is_open_text(), Name::start(byte));
                self.position = Position::Name { end: false };
                self.put(&[b'<', byte], self.visible, shown);
            }
        }
    }

    fn other(&mut self, kind: Markup, begin: &[u8], shown: &mut Vec<u8>) {
        self.put(begin, self.is_open_text(), shown);
        self.position = Position::Other { kind, last: [0; 2] };
    }

    /// A byte in a tag, outside of attribute values.
    fn tag(&mut self, byte: u8, end: bool) {
        self.position = match (byte, self.position) {
            (b'>', position) => {
                self.tag_ends(end, matches!(position, Position::Tag { slash: true, .. }));
                Position::Text
            }
            (b'/', _) => Position::Tag { end, slash: true },
            (b'"' | b'\'', Position::Attribute { .. }) => {
                Position::Value { end, quote: byte, secret: self.attribute.is_in(SECRET_ATTRIBUTES) }
            }
            (b' ' | b'\t' | b'\r' | b'\n', Position::Name { .. } | Position::Tag { .. }) => {
                Position::Tag { end, slash: false }
            }
            (b' ' | b'\t' | b'\r' | b'\n' | b'=', position) => position,
            (_, position @ Position::Name { .. }) => {
                self.name.push(byte);
                position
            }
            (_, position @ Position::Attribute { .. }) => {
                self.attribute.push(byte);
                position
            }
            _ => {
                self.attribute = Name::start(byte);
                Position::Attribute { end }
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

    /// Shows bytes, or one mark for all that are hidden in a row.
    fn put(&mut self, bytes: &[u8], visible: bool, shown: &mut Vec<u8>) {
        if visible {
            self.cut = false;
        } else if mem::replace(&mut self.cut, true) {
            return;
        }
        // Bytes above the limit are not shown, so they are not kept.
        if shown.len() <= LONGEST {
            shown.extend_from_slice(if visible { bytes } else { MARK.as_bytes() });
        }
    }
}

/// Local names of elements, in any namespace, with dialback keys, component digests, SASL messages (also of
/// XEP-0388), passwords, tokens, bodies and values of forms (XEP-0004: a field may be a password).
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

/// Bytes of the longest name in these lists.
const LONGEST_NAME: usize = 16;

/// Bytes of one read that are shown at most.
const LONGEST: usize = 4096;

/// The mark for hidden bytes.
const MARK: &str = "…";

#[cfg(test)]
mod tests;
