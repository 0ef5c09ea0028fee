//! Prepared stanzas for the benchmarks, each with a number in its text that identifies it at the receiver.
//!
//! A server may rewrite a stanza with other quotes or another order of attributes. It does not change text,
//! so the text holds the number.

use memchr::memmem::Finder;

/// Stanzas from one address to another, sent cyclically.
pub(crate) struct Script(Vec<Template>);

struct Template {
    bytes: Vec<u8>,
    /// Offset of the number in `bytes`.
    number: usize,
}

impl Script {
    /// Chat messages with a body of 200 bytes.
    pub(crate) fn messages(from: &str, to: &str) -> Self {
        let body = format!("{MARK}{BLANK} {}", text(200 - MARK.len() - DIGITS - 1));
        let message = format!(
            "<message from='romeo@{from}/orchard' to='juliet@{to}/balcony' id='bench' type='chat'>\
             <body>{body}</body></message>"
        );
        Self(vec![Template::new(&message)])
    }

    /// Typical traffic of a chat server. Of 100 stanzas, 48 are messages with common client extensions, 20
    /// are presences, 20 are IQs, 10 are standalone chat states and 2 are messages of 20 KB.
    pub(crate) fn mix(from: &str, to: &str) -> Self {
        let addresses = format!("from='romeo@{from}/orchard' to='juliet@{to}/balcony'");
        let message = format!(
            "<message {addresses} id='9f1c6a52-7b0e-4d0c-8d5c-1f2e3a4b5c6d' type='chat' xml:lang='en'>\
             <body>{MARK}{BLANK} {}</body>\
             <active xmlns='http://jabber.org/protocol/chatstates'/><request xmlns='urn:xmpp:receipts'/>\
             <markable xmlns='urn:xmpp:chat-markers:0'/>\
             <origin-id xmlns='urn:xmpp:sid:0' id='9f1c6a52-7b0e-4d0c-8d5c-1f2e3a4b5c6d'/>\
             <stanza-id xmlns='urn:xmpp:sid:0' by='romeo@{from}' id='1700000000000000'/></message>",
            text(60)
        );
        let presence = format!(
            "<presence {addresses}><show>away</show><status>{MARK}{BLANK} at the ball</status>\
             <priority>5</priority>\
             <c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='https://chat.example' \
             ver='q07IKJEyjvHSyhy//CH0CxmKi8w='/>\
             <x xmlns='vcard-temp:x:update'><photo>01b87fcd030b72895ff8e88db57ec525450f000d</photo></x>\
             <idle xmlns='urn:xmpp:idle:1' since='2026-01-01T10:00:00Z'/></presence>"
        );
        let iq = format!(
            "<iq {addresses} id='disco-17' type='result'>\
             <query xmlns='http://jabber.org/protocol/disco#info' node='{MARK}{BLANK}'>\
             <identity category='client' type='phone' name='Chat'/>\
             <feature var='http://jabber.org/protocol/disco#info'/><feature var='urn:xmpp:ping'/>\
             <feature var='urn:xmpp:receipts'/><feature var='urn:xmpp:jingle:1'/></query></iq>"
        );
        let state = format!(
            "<message {addresses} type='chat' id='state'><thread>{MARK}{BLANK}</thread>\
             <composing xmlns='http://jabber.org/protocol/chatstates'/></message>"
        );
        let large = format!(
            "<message {addresses} type='chat' id='large'><body>{MARK}{BLANK} {}</body></message>",
            text(20_000)
        );
        let templates = (0..50).map(|turn| match turn {
            _ if turn == 25 => Template::new(&large),
            _ if turn % 10 == 9 => Template::new(&state),
            _ if turn % 10 == 4 || turn % 10 == 7 => Template::new(&presence),
            _ if turn % 4 == 2 => Template::new(&iq),
            _ => Template::new(&message),
        });
        Self(templates.collect())
    }

    /// Appends stanza `number` to `output`.
    pub(crate) fn write(&self, number: u64, output: &mut Vec<u8>) {
        let turn = number % self.0.len() as u64;
        let template = &self.0[usize::try_from(turn).unwrap_or_default()];
        let place = output.len() + template.number;
        output.extend_from_slice(&template.bytes);
        let mut rest = number;
        for digit in output[place..place + DIGITS].iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
    }
}

impl Template {
    fn new(stanza: &str) -> Self {
        let number = stanza.find(BLANK).expect("a place for the number");
        Self { bytes: stanza.as_bytes().to_vec(), number }
    }
}

/// Finds the stanza numbers in a received byte stream, with chunks of any size.
pub(crate) struct Numbers {
    finder: Finder<'static>,
    buffer: Vec<u8>,
    /// Number of bytes kept at the front of the buffer, because a mark may begin in them.
    kept: usize,
}

impl Numbers {
    /// Creates a finder that reads up to `piece` bytes at once.
    pub(crate) fn new(piece: usize) -> Self {
        Self { finder: Finder::new(MARK), buffer: vec![0; piece + WHOLE], kept: 0 }
    }

    /// The free part of the buffer, to read into.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        &mut self.buffer[self.kept..]
    }

    /// Scans the `length` bytes just read, and calls `found` with every number in them.
    pub(crate) fn read(&mut self, length: usize, mut found: impl FnMut(u64)) {
        let end = self.kept + length;
        let bytes = &self.buffer[..end];
        let mut behind = 0;
        while let Some(at) = self.finder.find(&bytes[behind..]).map(|at| at + behind)
            && let Some(digits) = bytes.get(at + MARK.len()..at + WHOLE)
        {
            found(digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0')));
            behind = at + WHOLE;
        }
        let keep = behind.max(end.saturating_sub(WHOLE - 1));
        self.buffer.copy_within(keep..end, 0);
        self.kept = end - keep;
    }
}

/// Filler text of `length` bytes.
fn text(length: usize) -> String {
    "It is the east, and Juliet is the sun. ".chars().cycle().take(length).collect()
}

/// Marker before a number; it occurs nowhere else in a stanza.
const MARK: &str = "~#~";

/// Placeholder for the number.
const BLANK: &str = "0000000000";

const DIGITS: usize = BLANK.len();

/// Length of a mark with its number, in bytes.
const WHOLE: usize = MARK.len() + DIGITS;
