//! The peer's own reason for the end of a stream: a stream error behind a header, or in place of one, that is odd
//! enough to be refused.
//!
//! Servers that refuse a connection early often send a header that follows no standard, or none (RFC 6120 4.9.1.2 wants
//! one). The fault of the header explains nothing then; the stream error behind it does.
use crate::{
    framer::{self, Frame, Framer, Limits},
    stream::{Error, wire},
    xml::{self, ns},
};
use bytes::{Bytes, BytesMut};

/// The last bytes that the peer sent before there was an outcome.
#[derive(Debug, Default)]
pub(super) struct Heard(Vec<u8>);

impl Heard {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(&bytes[bytes.len().saturating_sub(MOST)..]);
        let surplus = self.0.len().saturating_sub(MOST);
        self.0.drain(..surplus);
    }

    /// Gives the memory back.
    pub(super) fn clear(&mut self) {
        self.0 = Vec::new();
    }

    /// Whether it may be XML, so that more of it may be a stream error.
    pub(super) fn is_markup(&self) -> bool {
        self.0.trim_ascii_start().starts_with(b"<")
    }

    /// Whether it ends with a closing tag of a stream, behind which nothing follows.
    pub(super) fn is_closed(&self) -> bool {
        let heard = self.0.trim_ascii_end();
        let tag = memchr::memrchr(b'<', heard).map_or(&[][..], |at| &heard[at..]);
        tag.starts_with(b"</") && local_name(&tag[2..]) == b"stream" && tag.ends_with(b">")
    }

    /// The first stream error in it, whatever surrounds it.
    pub(super) fn error(&self) -> Option<Error> {
        let tags = memchr::memchr_iter(b'<', &self.0).map(|at| &self.0[at..]);
        let errors = tags.filter(|tag| local_name(&tag[1..]) == b"error");
        errors.take(CANDIDATES).find_map(read)
    }
}

/// Reads the element at the beginning of `bytes` as a stream error, whatever its prefix, which need not be declared.
fn read(bytes: &[u8]) -> Option<Error> {
    let name = name(&bytes[1..]);
    let prefix = match name.iter().position(|byte| *byte == b':') {
        Some(colon) => std::str::from_utf8(&name[..colon]).ok()?,
        None => "",
    };
    let mut scope = vec![(prefix.to_owned(), ns::STREAM.to_owned())];
    if !prefix.is_empty() {
        scope.push((String::new(), ns::SERVER.to_owned()));
    }
    let element = frame(bytes, scope.clone())?;
    if xml::has_more_tags(&element, wire::TAGS) {
        return None;
    }
    let element = xml::Element::parse(&element, &scope).ok()?;
    let has_condition = element.elements().any(|child| child.namespace == ns::STREAM_ERRORS);
    // Without a prefix it is most likely the error of a stanza, unless it says what only a stream error says.
    let is_stream_error = element.namespace == ns::STREAM && (has_condition || !prefix.is_empty());
    is_stream_error.then(|| Error::parse(&element))
}

fn frame(bytes: &[u8], scope: Vec<(String, String)>) -> Option<Bytes> {
    let mut framer = Framer::inside(scope);
    framer.set_limits(Limits::UNAUTHENTICATED);
    match framer.next(&mut BytesMut::from(bytes)) {
        Ok(Some(Frame::Element(framer::Element { bytes, .. }))) => Some(bytes),
        _ => None,
    }
}

/// The name of a tag whose `<` was taken off.
fn name(tag: &[u8]) -> &[u8] {
    let ends = |byte: &u8| matches!(byte, b'>' | b'/') || byte.is_ascii_whitespace();
    &tag[..tag.iter().position(ends).unwrap_or(tag.len())]
}

fn local_name(tag: &[u8]) -> &[u8] {
    let name = name(tag);
    &name[name.iter().position(|byte| *byte == b':').map_or(0, |colon| colon + 1)..]
}

/// Bytes of a header and an error: what either may have before authentication, with room to spare.
const MOST: usize = 16 * 1024;

/// Elements called `error` that are looked at: who sends more of them does not mean to be understood.
const CANDIDATES: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn error(heard: &str) -> Option<String> {
        let mut bytes = Heard::default();
        heard.as_bytes().chunks(7).for_each(|part| bytes.push(part));
        bytes.error().map(|error| error.to_string())
    }

    const SHUTDOWN: &str = "<system-shutdown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>";

    #[test]
    fn a_stream_error_is_found_whatever_surrounds_it() {
        for (before, name, declared) in [
            ("", "stream:error", ""),
            ("", "stream:error", " xmlns:stream='http://etherx.jabber.org/streams'"),
            ("", "s:error", " xmlns:s='http://etherx.jabber.org/streams'"),
            ("", "error", " xmlns='http://etherx.jabber.org/streams'"),
            ("<stream xmlns='http://etherx.jabber.org/streams'>", "error", ""),
            ("<?xml version='1.0'?><stream:stream xmlns:stream='urn:x' a=b>\0", "stream:error", ""),
            ("<stream:features><errors/></stream:features>", "stream:error", ""),
            ("<m><error type='cancel'/></m>", "stream:error", ""),
        ] {
            let heard = format!("{before}<{name}{declared}>{SHUTDOWN}</{name}></stream:stream>");
            assert_eq!(error(&heard).as_deref(), Some("system-shutdown"), "{heard}");
        }
        assert_eq!(error("<stream:error/>").as_deref(), Some("undefined-condition"));
        assert_eq!(
            error(&format!("{}<stream:error/>", "x".repeat(2 * MOST))).as_deref(),
            Some("undefined-condition")
        );
    }

    #[test]
    fn nothing_else_is_taken_for_a_stream_error() {
        for heard in [
            "",
            "<",
            "<error",
            "<stream:error>",
            "<stream:error><host-unknown",
            "<html><error>not found</error></html>",
            "<message><error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>",
            "<stream:error xmlns:stream='urn:x'/>",
            "<:error/>",
            "<stream:stream><stream:errors/>",
        ] {
            assert_eq!(error(heard), None, "{heard}");
        }
    }

    #[test]
    fn the_closing_tag_of_a_stream_is_known_under_any_prefix() {
        for (heard, closed) in [
            ("<stream:stream></stream:stream>", true),
            ("<s:stream></s:stream >\r\n", true),
            ("</stream>", true),
            ("<stream:stream>", false),
            ("</stream:stream><a>", false),
            ("</stream:error>", false),
            ("</stream:stream", false),
            ("", false),
        ] {
            let mut bytes = Heard::default();
            bytes.push(heard.as_bytes());
            assert_eq!(bytes.is_closed(), closed, "{heard}");
        }
    }
}
