//! The limits of an element, and the work of the framer.

use super::*;
use std::slice;

/// A limit on bytes that lets the header pass, and an element of exactly that many, and of one more.
#[test]
fn counts_the_bytes_of_an_element_from_its_first_to_its_last() {
    let limit = HEADER.len() + 20;
    let limits = Limits { element: limit, ..Limits::default() };
    for [before, after] in
        [["<a>", "</a>"], ["<a b='", "'/>"], ["<a><![CDATA[", "]]></a>"], ["<a ", "/>"], ["<a></a", ">"]]
    {
        let fill = if before.ends_with([' ', 'a']) { " " } else { "x" };
        let text = |length: usize| {
            format!("{HEADER}  {before}{}{after}", fill.repeat(length - before.len() - after.len()))
        };
        let (frames, error) = outcome_within(limits, text(limit).as_bytes());
        assert_eq!((frames.len(), error), (2, None), "{before}");
        let (frames, error) = outcome_within(limits, text(limit + 1).as_bytes());
        assert_eq!((frames.len(), error), (1, Some(Error::TooLarge { limit })), "{before}");
    }
}

#[test]
fn notices_too_large_an_element_while_it_comes() {
    let limit = HEADER.len() + 20;
    let limits = Limits { element: limit, ..Limits::default() };
    for endless in [
        "<a>xxxx",
        "<a b='xx",
        "<aaaa",
        "<a    ",
        "<a>&#0000",
        "<a></a   ",
        "<a><![CDATA[xx",
        "<a>üü",
        "<a ='",
        "<a b&",
    ] {
        let last = endless.chars().last().unwrap().to_string();
        let input = format!("{HEADER}{endless}{}", last.repeat(2 * limit));
        let (_, error) = outcome_within(limits, input.as_bytes());
        assert_eq!(error, Some(Error::TooLarge { limit }), "{endless}");
    }
    let (_, error) = outcome_within(limits, format!("<a {}", " ".repeat(2 * limit)).as_bytes());
    assert_eq!(error, Some(Error::TooLarge { limit }));
}

#[test]
fn headers_are_limited_for_every_peer() {
    let header = |length: usize| format!("<s a='{}'>", "x".repeat(length - 8));
    let limit = Limits::UNAUTHENTICATED.element;
    assert_eq!(feed(Limits::default(), [header(limit).as_bytes()]).1, None);
    assert_eq!(feed(Limits::default(), [header(limit + 1).as_bytes()]).1, Some(Error::TooLarge { limit }));
}

#[test]
fn limits_depth_attributes_and_declarations() {
    let limits = Limits { depth: 2, attributes: 3, declarations: 4, ..Limits::default() };
    let error = |text: &str| outcome_within(limits, format!("<s xmlns='' xmlns:p='p'>{text}").as_bytes()).1;
    assert_eq!(error("<a><b/></a><a><b></b></a>"), None);
    assert_eq!(error("<a><b><c/></b></a>"), Some(Error::TooComplex { measure: Measure::Depth, limit: 2 }));
    assert_eq!(error("<a a='' b='' c=''/>"), None);
    assert_eq!(
        error("<a a='' b='' c='' d=''/>"),
        Some(Error::TooComplex { measure: Measure::Attributes, limit: 3 })
    );
    assert_eq!(error("<a xmlns='b'><b xmlns='c'/><b xmlns='c'/></a>"), None);
    let measure = Measure::Declarations;
    assert_eq!(
        error("<a xmlns='b'><b xmlns='c' xmlns:x='d'/></a>"),
        Some(Error::TooComplex { measure, limit: 4 })
    );
}

#[test]
fn limits_the_bytes_of_namespaces() {
    let limits = Limits { namespace: 4, namespaces: 10, ..Limits::default() };
    let error = |text: &str| outcome_within(limits, format!("<s xmlns='' xmlns:p='pp'>{text}").as_bytes()).1;
    assert_eq!(error("<a xmlns='aaaa' a='aaaaa'><b xmlns='bbbb'/><b xmlns='bbbb'/></a>"), None);
    let one = Error::TooComplex { measure: Measure::Namespace, limit: 4 };
    for text in ["<a xmlns='aaaaa'/>", "<a xmlns:a='&lt;&lt;'/>", "<a><b xmlns:b='bbbbb'/></a>"] {
        assert_eq!(error(text), Some(one.clone()), "{text}");
    }
    let all = Error::TooComplex { measure: Measure::Namespaces, limit: 10 };
    for text in
        ["<a xmlns='aaaa' xmlns:a='aaa' xmlns:b='bb'/>", "<a xmlns='aaaa'><b xmlns='bbbb' xmlns:b='b'/></a>"]
    {
        assert_eq!(error(text), Some(all.clone()), "{text}");
    }
}

#[test]
fn an_element_keeps_the_limits_of_its_begin() {
    let mut framer = Framer::new(Limits::default());
    let mut buffer = BytesMut::from("<s><a><b>");
    assert!(framer.next(&mut buffer).unwrap().is_some());
    assert_eq!(framer.next(&mut buffer), Ok(None));
    framer.set_limits(Limits { element: 4, ..Limits::default() });
    buffer.extend_from_slice(b"</b></a><a/><a>");
    assert!(framer.next(&mut buffer).unwrap().is_some());
    assert!(framer.next(&mut buffer).unwrap().is_some());
    buffer.extend_from_slice(b"x");
    assert_eq!(framer.next(&mut buffer), Err(Error::TooLarge { limit: 4 }));
}

/// Byte by byte, which would take minutes if what was looked at before were looked at again.
#[test]
fn reads_every_byte_a_constant_number_of_times() {
    let length = 200_000;
    for [before, fill, after] in [
        ["<a>", "x", "</a>"],
        ["<a>", "]", "</a>"],
        ["<a>&#", "0", "65;</a>"],
        ["<a><![CDATA[", "]", "]]></a>"],
        ["<a b='", "x", "'/>"],
        ["<a b='", "&amp;", "'/>"],
        ["<a", "a", "/>"],
        ["<a", " ", "/>"],
        ["<a></a", " ", ">"],
        ["<a>", "<b/>", "</a>"],
    ] {
        let text = format!("<s>{before}{}{after}", fill.repeat(length / fill.len()));
        let (frames, error) = feed(Limits::default(), text.as_bytes().iter().map(slice::from_ref));
        assert_eq!((frames.len(), error), (2, None), "{before}");
    }
}

/// Which would take minutes if the URIs were compared with each other wherever attributes are.
#[test]
fn is_not_kept_busy_by_long_namespaces() {
    let uri = "&amp;".repeat(2000);
    let declarations: String = (10..37).map(|i| format!(" xmlns:p{i}='{uri}{i}'")).collect();
    let attributes: String = (10..37).map(|i| format!(" p{i}:a=''")).collect();
    let children = format!("<b{attributes}/><c xmlns='jabber:server'/>").repeat(500);
    let text = format!("{HEADER}<a xmlns='{uri}'{declarations}>{children}</a>");
    let limits = Limits { namespace: usize::MAX, namespaces: usize::MAX, ..Limits::default() };
    let (frames, error) = feed(limits, [text.as_bytes()]);
    assert_eq!((frames.len(), error), (2, None));
}
