//! The peer's own reason for the end of a handshake: a stream error behind an invalid header, or instead of
//! one.
//!
//! Servers that refuse a connection early often send an invalid header, or none, although RFC 6120 section
//! 4.9.1.2 requires one. The fault of the header explains nothing then; the stream error behind it does.
use crate::{
    framer::{self, Frame, Framer, Limits},
    stream::{Error, wire},
    xml::{self, ns},
};
use bytes::{Bytes, BytesMut};

/// The last bytes that the peer sent during the handshake.
#[derive(Debug, Default)]
pub(super) struct Heard(Vec<u8>);

impl Heard {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(&bytes[bytes.len().saturating_sub(MOST)..]);
        let surplus = self.0.len().saturating_sub(MOST);
        self.0.drain(..surplus);
    }

    /// Frees the memory.
    pub(super) fn clear(&mut self) {
        self.0 = Vec::new();
    }

    /// Whether the bytes may be XML, so that a stream error may follow.
    pub(super) fn is_markup(&self) -> bool {
        self.0.trim_ascii_start().starts_with(b"<")
    }

    /// Whether the bytes end with the closing tag of a stream.
    pub(super) fn is_closed(&self) -> bool {
        let heard = self.0.trim_ascii_end();
        let tag = memchr::memrchr(b'<', heard).map_or(&[][..], |at| &heard[at..]);
        tag.starts_with(b"</") && local_name(&tag[2..]) == b"stream" && tag.ends_with(b">")
    }

    /// The first stream error in the bytes, whatever surrounds it.
    pub(super) fn error(&self) -> Option<Error> {
        let tags = memchr::memchr_iter(b'<', &self.0).map(|at| &self.0[at..]);
        let errors = tags.filter(|tag| local_name(&tag[1..]) == b"error");
        errors.take(CANDIDATES).find_map(read)
    }
}

/// Reads the element at the beginning of `bytes` as a stream error, whatever its prefix, which need not be
/// declared.
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
    // Without a prefix it is most likely the error of a stanza, unless it has a condition that only stream
    // errors have.
    let is_stream_error = element.namespace == ns::STREAM && (has_condition || !prefix.is_empty());
    is_stream_error.then(|| Error::parse(&element))
}

fn frame(bytes: &[u8], scope: Vec<(String, String)>) -> Option<Bytes> {
    let mut framer = Framer::inside(scope);
    framer.set_limits(Limits::UNAUTHENTICATED);
    match framer.next(&mut BytesMut::from(bytes)) {
        Ok(Some(Frame::Element(framer::RawElement { bytes, .. }))) => Some(bytes),
        _ => None,
    }
}

/// The name of a tag without its `<`.
fn name(tag: &[u8]) -> &[u8] {
    let ends = |byte: &u8| matches!(byte, b'>' | b'/') || byte.is_ascii_whitespace();
    &tag[..tag.iter().position(ends).unwrap_or(tag.len())]
}

fn local_name(tag: &[u8]) -> &[u8] {
    let name = name(tag);
    &name[name.iter().position(|byte| *byte == b':').map_or(0, |colon| colon + 1)..]
}

/// In bytes. A header and an error are shorter, by the limits before authentication.
const MOST: usize = 16 * 1024;

/// The limit for elements with the name `error` that are read.
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
    fn a_stream_error_is_found_in_any_surroundings() {
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
    fn other_text_is_no_stream_error() {
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
