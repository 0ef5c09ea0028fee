//! Compares the results of the framer and of `xml-rs` for any bytes. The fuzz targets use it too (`fuzz/`).

use super::mutants::HEADERS;
use bytes::BytesMut;
use xml::reader::{EventReader, ParserConfig, XmlEvent};
use xmpp::framer::{Error, Frame, Framer, Limits, RawElement};
use xmpp::xml::{ns, unescape};

/// The result of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Both accept the input.
    Taken,
    /// Both refuse the input.
    Refused,
    /// They differ, by a known fault of `xml-rs`.
    Fault,
    /// The input exceeds a limit of the framer, which `xml-rs` does not have.
    Beyond,
}

/// Compares the results for an element behind [`HEADER`].
///
/// # Panics
/// If the two differ for no known reason.
pub(crate) fn element(input: &[u8]) -> Verdict {
    let text = String::from_utf8_lossy(input);
    match (frame(input), element_by_xml_rs(input)) {
        (Err(Error::TooLarge { .. } | Error::TooComplex { .. }), _) => Verdict::Beyond,
        (Ok(Some(element)), Ok(attributes)) => {
            assert_eq!(noted(&element), attributes, "{text}");
            Verdict::Taken
        }
        (Ok(None) | Err(_), Err(_)) => Verdict::Refused,
        (ours, theirs) => {
            let known = FAULTS.iter().any(|fault| (fault.shows)(&text, theirs.as_ref().err()));
            assert!(known, "the framer says {ours:?},\nxml-rs says {theirs:?},\nof {text}");
            Verdict::Fault
        }
    }
}

/// Compares the results for a stream header, with an XML declaration before it.
///
/// # Panics
/// If the two differ for no known reason.
pub(crate) fn header(input: &[u8]) -> Verdict {
    let text = String::from_utf8_lossy(input);
    let mut buffer = BytesMut::from(input);
    let ours = Framer::new(Limits::default()).next(&mut buffer);
    match (&ours, header_by_xml_rs(input)) {
        (Err(Error::TooLarge { .. } | Error::TooComplex { .. }), _) => Verdict::Beyond,
        (Ok(Some(Frame::Header(_))), Ok(())) if buffer.is_empty() => Verdict::Taken,
        (Ok(Some(Frame::Header(_))), Err(_)) if !buffer.is_empty() => Verdict::Refused,
        (Ok(None) | Err(_), Err(_)) => Verdict::Refused,
        (_, theirs) => {
            let known = FAULTS.iter().any(|fault| (fault.shows)(&text, theirs.as_ref().err()));
            assert!(known, "the framer says {ours:?},\nxml-rs says {theirs:?},\nof {text}");
            Verdict::Fault
        }
    }
}

/// The stream that the damaged stanzas come on.
pub(crate) const HEADER: &str = "<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' \
                      xmlns:db='jabber:server:dialback' from='a.example' to='b.example' version='1.0'>";

/// A framer that has taken the header.
pub(crate) fn framer_after_header() -> Framer {
    let mut framer = Framer::new(Limits::default());
    let header = framer.next(&mut BytesMut::from(HEADER));
    assert!(matches!(header, Ok(Some(Frame::Header(_)))), "{header:?}");
    framer
}

/// The result of the framer for the input behind the header: exactly one element, or an error.
pub(crate) fn frame(input: &[u8]) -> Result<Option<RawElement>, Error> {
    let mut framer = framer_after_header();
    let mut buffer = BytesMut::from(input);
    let first = framer.next(&mut buffer)?;
    let rest = framer.next(&mut buffer)?;
    match (first, rest) {
        (Some(Frame::Element(element)), None) if buffer.is_empty() => Ok(Some(element)),
        _ => Ok(None),
    }
}

/// All frames of a stream that arrives in these pieces, and the error that ended it.
pub(crate) fn all<'a>(
    mut framer: Framer,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<Frame>, Option<Error>) {
    let (mut buffer, mut frames) = (BytesMut::new(), Vec::new());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match framer.next(&mut buffer) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Some(error)),
            }
        }
    }
    (frames, None)
}

/// The result of `xml-rs` for a stream header: exactly one start tag or empty element of plain XML, or an
/// error.
fn header_by_xml_rs(input: &[u8]) -> Result<(), String> {
    let document = match input.strip_suffix(b">") {
        Some(tag) if tag.ends_with(b"/") => input.to_vec(),
        Some(tag) => [tag, b"/>"].concat(),
        None => return Err("not a tag".into()),
    };
    let mut reader = EventReader::new_with_config(document.as_slice(), config());
    let mut events = Vec::new();
    loop {
        match reader.next().map_err(|error| error.to_string())? {
            XmlEvent::EndDocument => break,
            event => events.push(event),
        }
    }
    match events.as_slice() {
        [XmlEvent::StartDocument { .. }, XmlEvent::StartElement { .. }, XmlEvent::EndElement { .. }] => {
            Ok(())
        }
        other => Err(format!("more than a header: {other:?}")),
    }
}

/// `to`, `from`, `id`, `type` and `xml:lang`, resolved.
type Attributes = [Option<String>; 5];

fn noted(element: &RawElement) -> Attributes {
    let head = &element.head;
    [head.to, head.from, head.id, head.kind, head.lang].map(|place| {
        place.map(|place| unescape(std::str::from_utf8(place.of(&element.bytes)).unwrap()).into_owned())
    })
}

/// The result of `xml-rs` for the input: exactly one first-level element of plain XML, or an error.
pub(crate) fn element_by_xml_rs(input: &[u8]) -> Result<Attributes, String> {
    let document = [HEADER.as_bytes(), input, b"</stream:stream>"].concat();
    let mut reader = EventReader::new_with_config(document.as_slice(), config());
    let (mut depth, mut found, mut closed) = (0, None, false);
    loop {
        match reader.next().map_err(|error| error.to_string())? {
            XmlEvent::StartElement { name: _, attributes, namespace: _ } => {
                depth += 1;
                if depth == 2 {
                    if found.is_some() {
                        return Err("two elements".into());
                    }
                    let value = |namespace: Option<&str>, local: &str| {
                        let mut attributes = attributes.iter();
                        let found = attributes
                            .find(|a| a.name.local_name == local && a.name.namespace.as_deref() == namespace);
                        found.map(|a| a.value.clone())
                    };
                    found = Some([
                        value(None, "to"),
                        value(None, "from"),
                        value(None, "id"),
                        value(None, "type"),
                        value(Some(ns::XML), "lang"),
                    ]);
                }
            }
            XmlEvent::EndElement { .. } => {
                depth -= 1;
                closed |= depth == 0;
            }
            XmlEvent::Characters(text) if depth == 1 && !text.trim().is_empty() => {
                return Err("text between".into());
            }
            XmlEvent::CData(_) if depth == 1 => return Err("CDATA between".into()),
            XmlEvent::Comment(_) | XmlEvent::ProcessingInstruction { .. } | XmlEvent::Doctype { .. } => {
                return Err("restricted".into());
            }
            XmlEvent::EndDocument if closed => return found.ok_or_else(|| "no element".into()),
            _ => {}
        }
    }
}

fn config() -> ParserConfig {
    ParserConfig::new()
        .override_encoding(Some(xml::Encoding::Utf8))
        .ignore_comments(false)
        .whitespace_to_characters(true)
        .cdata_to_characters(false)
}

/// A known fault of `xml-rs`.
struct Fault {
    /// Whether it may occur in a text for which `xml-rs` gave this error, or none.
    shows: fn(&str, Option<&String>) -> bool,
}

/// The known faults of `xml` 1.4.0, each with the rule that decides for the framer.
const FAULTS: [Fault; 7] = [
    // Takes `</` and `<!DOCTYPE` inside attribute values. XML 1.0 [10] AttValue has no `<`.
    Fault { shows: |text, refusal| refusal.is_none() && tags(text).any(ends_inside_quotes) },
    // Takes a namespace declaration twice on one tag. XML 1.0 section 3.1, Unique Att Spec.
    Fault {
        shows: |text, refusal| {
            refusal.is_none() && tags(text).any(|tag| tag.matches("xmlns").nth(1).is_some())
        },
    },
    // Takes any NameChar behind a colon. Namespaces in XML 1.0 [4] NCName begins like a Name.
    Fault {
        shows: |text, refusal| {
            let begins_wrong = |name: &str| {
                name.starts_with(['-', '.', '\u{b7}'])
                    || name.starts_with(
                        |c| matches!(c, '0'..='9' | '\u{300}'..='\u{36f}' | '\u{203f}'..='\u{2040}'),
                    )
            };
            refusal.is_none() && tags(text).any(|tag| tag.split(':').skip(1).any(begins_wrong))
        },
    },
    // Reads an XML declaration loosely: `version='1.01'`, `encoding='UTF-8 or so'`, `x:version`. XML 1.0 [23]
    // XMLDecl.
    Fault {
        shows: |text, refusal| {
            let damaged = !HEADERS.iter().any(|header| declaration(header) == declaration(text));
            refusal.is_none() && text.starts_with("<?xml") && damaged
        },
    },
    // Lets any prefix, or none, stand for the namespace of `xml`. Namespaces in XML 1.0 section 3 lets only
    // `xml`.
    Fault {
        shows: |text, refusal| {
            let declared = |tag: &str| tag.contains("xmlns") && unescape(tag).contains(ns::XML);
            refusal.is_none() && tags(text).any(declared)
        },
    },
    // Refuses `<xml:a/>`. Namespaces in XML 1.0 section 3 keeps only the prefix `xmlns` from element names.
    Fault {
        shows: |text, refusal| {
            text.contains("<xml:") && says(refusal, "'xml' cannot be an element name prefix")
        },
    },
    // Refuses `xmlns='xmlns'` and `xmlns='xml'`, which are ordinary, if relative, names of namespaces.
    Fault {
        shows: |text, refusal| {
            let taken_for_a_prefix = ["xmlns", "xml"]
                .iter()
                .any(|name| says(refusal, &format!("Namespace '{name}' cannot be default")));
            text.contains("xmlns") && taken_for_a_prefix
        },
    },
];

fn says(refusal: Option<&String>, words: &str) -> bool {
    refusal.is_some_and(|refusal| refusal.contains(words))
}

/// The text up to the first tag.
fn declaration(text: &str) -> Option<&str> {
    text.split_inclusive("?>").next()
}

/// The text between one `<` and the next.
fn tags(text: &str) -> impl Iterator<Item = &str> {
    text.split('<')
}

fn ends_inside_quotes(tag: &str) -> bool {
    let mut quote = None;
    for c in tag.chars() {
        match (c, quote) {
            ('>', None) => return false,
            ('"' | '\'', None) => quote = Some(c),
            _ if quote == Some(c) => quote = None,
            _ => {}
        }
    }
    quote.is_some()
}
