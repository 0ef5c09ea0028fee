//! The elements of stream management: how they are written, and how their attributes are read.
use super::{
    Malformed,
    value::{self, boolean},
};
use crate::{
    framer::RawElement,
    truncate::truncate,
    xml::{self, Element, ns},
};
use std::{str, time::Duration};

/// Writes `<enable/>`.
pub(crate) fn enable(resumable: bool) -> Element {
    let enable = Element::new("enable", ns::ACKS);
    if resumable { enable.with("resume", "true") } else { enable }
}

/// Writes `<enabled/>`, with the id of a stream that can be resumed and the time for which it can.
pub(crate) fn enabled(resumable: Option<(&str, Duration)>) -> Element {
    let enabled = Element::new("enabled", ns::ACKS);
    match resumable {
        Some((id, max)) => {
            enabled.with("id", id).with("resume", "true").with("max", max.as_secs().to_string())
        }
        None => enabled,
    }
}

/// Writes `<resume/>`.
pub(crate) fn resume(previd: &str, h: u32) -> Element {
    Element::new("resume", ns::ACKS).with("previd", previd).with("h", h.to_string())
}

/// Writes `<resumed/>`.
pub(crate) fn resumed(previd: &str, h: u32) -> Element {
    Element::new("resumed", ns::ACKS).with("previd", previd).with("h", h.to_string())
}

/// Writes `<failed/>` with a condition of RFC 6120 section 8.3.3, and the count of a stream that cannot be
/// resumed, if it is remembered.
pub(crate) fn failed(condition: &str, h: Option<u32>) -> Element {
    let failed = Element::new("failed", ns::ACKS).with_child(Element::new(condition, ns::STANZA_ERRORS));
    match h {
        Some(h) => failed.with("h", h.to_string()),
        None => failed,
    }
}

/// Writes `<a/>`: as text, since it is as frequent as chunks.
pub(crate) fn answer(h: u32) -> String {
    format!("<a xmlns=\"{}\" h=\"{h}\"/>", ns::ACKS)
}

/// The contents of elements.
pub(crate) mod read {
    use super::*;

    /// The count of an `<a/>`. It is frequent, so `xml-rs` does not read it.
    pub(crate) fn answer(element: &RawElement) -> Result<u32, Malformed> {
        let start = element.head.name.range().end;
        let tag = element.bytes.get(start..element.head.content).unwrap_or_default();
        let tag = str::from_utf8(tag).unwrap_or_default();
        let h = attributes(tag).find(|(name, _)| *name == "h").ok_or(Malformed::Missing("h"))?.1;
        value::count("h", &xml::unescape(h))
    }

    /// Whether `<enable/>` asks for a stream that can be resumed.
    pub(crate) fn enable(element: &Element) -> bool {
        boolean(element.attribute("resume"))
    }

    /// The id and the time of `<enabled/>`, if the stream can be resumed: `resume` alone is not enough, and
    /// neither is `id`.
    ///
    /// COMPAT: Prosody until 13 sends `resume` without `id`, and does not answer a `<resume/>` at all.
    /// Metronome sends `id` without `resume`, and refuses to resume.
    pub(crate) fn enabled(element: &Element) -> Option<(String, Option<Duration>)> {
        let id = value::id("id", element.attribute("id")?).ok()?;
        let max = element.attribute("max").and_then(value::seconds);
        boolean(element.attribute("resume")).then_some((id, max))
    }

    /// The previous id and the count of `<resume/>` or `<resumed/>`.
    pub(crate) fn resume(element: &Element) -> Result<(String, u32), Malformed> {
        let attribute = |name| element.attribute(name).ok_or(Malformed::Missing(name));
        Ok((value::id("previd", attribute("previd")?)?, value::count("h", attribute("h")?)?))
    }

    /// The count of a `<resumed/>` that answers a `<resume/>` with this id.
    pub(crate) fn resumed(element: &Element, asked: &str) -> Result<u32, Malformed> {
        let (previd, h) = resume(element)?;
        if previd == asked { Ok(h) } else { Err(Malformed::OtherId("previd")) }
    }

    /// The count of `<failed/>`. One that cannot be read is none.
    pub(crate) fn failed(element: &Element) -> Option<u32> {
        value::count("h", element.attribute("h")?).ok()
    }

    /// The condition of `<failed/>`, for the log.
    pub(crate) fn condition(element: &Element) -> String {
        let condition = element.elements().find(|child| child.namespace == ns::STANZA_ERRORS);
        condition.map_or_else(|| "no reason".to_owned(), |condition| truncate(&condition.name).into_owned())
    }

    /// The attributes in the rest of a start tag that the framer has accepted: names and raw values.
    fn attributes(mut rest: &str) -> impl Iterator<Item = (&str, &str)> {
        std::iter::from_fn(move || {
            let (name, behind) = rest.split_once('=')?;
            let behind = behind.trim_start();
            let quote = behind.chars().next().filter(|quote| matches!(quote, '\'' | '"'))?;
            let (value, behind) = behind.get(1..)?.split_once(quote)?;
            rest = behind;
            Some((name.trim(), value))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framer::{Frame, Framer};
    use bytes::BytesMut;

    fn framed(text: &str) -> RawElement {
        let mut framer = Framer::inside(vec![("sm".to_owned(), ns::ACKS.to_owned())]);
        match framer.next(&mut BytesMut::from(text)) {
            Ok(Some(Frame::Element(element))) => element,
            other => panic!("{text}: {other:?}"),
        }
    }

    fn parsed(text: &str) -> Element {
        Element::parse(text.as_bytes(), &[]).unwrap()
    }

    // H4
    #[test]
    fn the_count_of_an_ack_is_read_in_every_spelling_of_its_tag() {
        for (text, h) in [
            ("<a xmlns='urn:xmpp:sm:3' h='7'/>", Ok(7)),
            ("<a h=\"7\" xmlns=\"urn:xmpp:sm:3\"/>", Ok(7)),
            ("<a\n  h\t=\r\n '7'\n xmlns='urn:xmpp:sm:3' ></a>", Ok(7)),
            ("<sm:a h='4294967295'/>", Ok(u32::MAX)),
            ("<sm:a h='&#55;'/>", Ok(7)),
            ("<sm:a y='a=\"1\" h=' x='>' h='7'/>", Ok(7)),
            ("<sm:a h='7'><h>8</h> h='9'</sm:a>", Ok(7)),
            ("<sm:a sm:h='8' h='7'/>", Ok(7)),
            ("<sm:a hh='8' H='9'/>", Err(Malformed::Missing("h"))),
            ("<sm:a/>", Err(Malformed::Missing("h"))),
            ("<sm:a>h='7'</sm:a>", Err(Malformed::Missing("h"))),
            ("<sm:a h=''/>", Err(Malformed::Count("h"))),
            ("<sm:a h='7 '/>", Err(Malformed::Count("h"))),
            ("<sm:a h='4294967296'/>", Err(Malformed::Count("h"))),
            ("<sm:a h='\u{0667}'/>", Err(Malformed::Count("h"))),
        ] {
            assert_eq!(read::answer(&framed(text)), h, "{text}");
        }
        assert_eq!(read::answer(&framed(&answer(12))), Ok(12));
    }

    // H13
    #[test]
    fn a_stream_can_be_resumed_only_with_both_resume_and_id() {
        let enabled = |attributes: &str| {
            read::enabled(&parsed(&format!("<enabled xmlns='urn:xmpp:sm:3' {attributes}/>")))
        };
        let id = |max| Some(("x".to_owned(), max));
        assert_eq!(enabled("resume='true' id='x'"), id(None));
        assert_eq!(enabled("resume='1' id='x' max='600'"), id(Some(Duration::from_secs(600))));
        assert_eq!(enabled("resume='1' id='x' max='-1'"), id(None));
        assert_eq!(enabled("resume='true' id='x' location='[::1]:9'"), id(None));
        for attributes in ["", "resume='true'", "id='x'", "id='x' resume='false'", "id='' resume='true'"] {
            assert_eq!(enabled(attributes), None, "{attributes}");
        }
        assert_eq!(enabled(&format!("resume='true' id='{}'", "x".repeat(4001))), None);
    }

    // H7, H18
    #[test]
    fn what_is_written_is_read() {
        assert_eq!(read::resume(&resume("a'b\n", 5)), Ok(("a'b\n".to_owned(), 5)));
        assert_eq!(read::resumed(&resumed("a", 5), "a"), Ok(5));
        assert_eq!(read::resumed(&resumed("a", 5), "b"), Err(Malformed::OtherId("previd")));
        assert_eq!(read::resume(&Element::new("resume", ns::ACKS)), Err(Malformed::Missing("previd")));
        let countless = Element::new("resume", ns::ACKS).with("previd", "x");
        assert_eq!(read::resume(&countless), Err(Malformed::Missing("h")));
        for h in [None, Some(0), Some(u32::MAX)] {
            let failed = failed("item-not-found", h);
            assert_eq!((read::failed(&failed), &*read::condition(&failed)), (h, "item-not-found"));
        }
        assert_eq!(read::failed(&Element::new("failed", ns::ACKS).with("h", "x")), None);
        assert_eq!(read::condition(&Element::new("failed", ns::ACKS)), "no reason");
        assert!(read::enable(&enable(true)) && !read::enable(&enable(false)));
        let minute = Duration::from_secs(60);
        let resumable = read::enabled(&enabled(Some(("id", minute))));
        assert_eq!(resumable, Some(("id".to_owned(), Some(minute))));
        assert_eq!(read::enabled(&enabled(None)), None);
    }
}
