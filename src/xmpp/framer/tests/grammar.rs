//! Valid XML, invalid XML, and XML that XMPP forbids.

use super::*;

fn header(text: &str) -> Result<Bytes, Error> {
    match outcome(text.as_bytes()) {
        (_, Some(error)) => Err(error),
        (frames, None) => match frames.as_slice() {
            [Frame::Header(bytes)] => Ok(bytes.clone()),
            other => panic!("{text}: {other:?}"),
        },
    }
}

#[track_caller]
fn assert_ill_formed(text: impl AsRef<[u8]>) {
    let found = element(text.as_ref());
    assert!(
        matches!(found, Err(Error::NotWellFormed(_))),
        "{}: {found:?}",
        String::from_utf8_lossy(text.as_ref())
    );
}

#[test]
fn takes_every_lawful_form_of_content() {
    for text in [
        "<a/>",
        "<a></a\n>",
        "<a\n/>",
        "<a b=''/>",
        "<a\tb = \"\u{10ffff}'\"/>",
        "<a>]] > ]&gt; ]]&gt;</a>",
        "<a><![CDATA[]]></a>",
        "<a><![CDATA[<&]]]]>]]<![CDATA[>]]>x</a>",
        "<a>&lt;&gt;&amp;&quot;&apos;&#65;&#x10FFFF;&#000000000000000000000000000000000000065;</a>",
        "<été ñ·='ü'><日本/></été>",
        "<_a-b.c1/>",
        "<a xml:lang='de' xml:space='preserve'/>",
        "<a xmlns=''><b xmlns='urn:b'/></a>",
        "<a xmlns:xml='http://www.w3.org/XML/1998/namespace' xml:lang=''/>",
        "<p:a xmlns:p='urn:p' p:b='' b=''/>",
        "<a xmlns:p='urn:p' xmlns:q='urn:q' p:b='' q:b=''/>",
        "<a>\u{feff}\u{fffd}\u{85}\u{7f}\r\n</a>",
        "<a b='>'>></a>",
    ] {
        element(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    }
}

#[test]
fn refuses_ill_formed_tags() {
    for text in [
        "<a b/>",
        "<a b=c/>",
        "<a b='1'c='2'/>",
        "<a b='<'/>",
        "<a / >",
        "<a/b>",
        "< a/>",
        "<1/>",
        "<-/>",
        "<a$/>",
        "<a 1=''/>",
        "<a></b>",
        "<a></a b=''>",
        "<a></ a>",
        "<a><b></a></b>",
        "<a b='1\"/><c d='\"/>",
        "<a b='''c'/>",
        "<a =''/>",
        "<·/>",
        "<a\u{a0}b=''/>",
        "<a b\0=''/>",
        "<a b='\u{1}'/>",
        "<a b='\u{ffff}'/>",
        "<>",
        "<a><></a>",
        "<a></>",
        "<a <b/>",
        "<a b='' <",
        "</a>",
        "<a><!></a>",
    ] {
        assert_ill_formed(text);
    }
}

#[test]
fn refuses_a_forgotten_quote_when_the_next_tag_begins() {
    let (frames, error) = feed(Limits::default(), [HEADER.as_bytes(), b"<a b='><body>"]);
    assert_eq!((frames.len(), error), (1, Some(Error::NotWellFormed("< in an attribute value"))));
}

#[test]
fn refuses_ill_formed_text() {
    for text in [
        "<a>]]></a>",
        "<a>&</a>",
        "<a>& </a>",
        "<a>&;</a>",
        "<a>&#;</a>",
        "<a>&#x;</a>",
        "<a>&#65</a>",
        "<a>&lt</a>",
        "<a>&#X41;</a>",
        "<a>&#0;</a>",
        "<a>&#8;</a>",
        "<a>&#xD800;</a>",
        "<a>&#xFFFF;</a>",
        "<a>&#x110000;</a>",
        "<a>&#99999999999999999999;</a>",
        "<a>\0</a>",
        "<a>\u{b}</a>",
        "<a>\u{fffe}</a>",
        "<a><![CDATA[\u{1}]]></a>",
        "<a><![cdata[]]></a>",
        "<a b='&#8;'/>",
        "<a b='&'/>",
        "<a b='&lt'/>",
    ] {
        assert_ill_formed(text);
    }
}

#[test]
fn refuses_bytes_that_are_not_utf_8() {
    for bytes in [&b"\xff"[..], b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82"] {
        for [before, after] in [
            ["<a>", "</a>"],
            ["<a b='", "'/>"],
            ["<a><![CDATA[", "]]></a>"],
            ["<a>", "&amp;</a>"],
            ["<a", "/>"],
        ] {
            let text = [before.as_bytes(), bytes, after.as_bytes()].concat();
            assert_eq!(element(&text), Err(Error::UnsupportedEncoding), "{}", String::from_utf8_lossy(&text));
        }
    }
    assert_eq!(element(b"\xff"), Err(Error::UnsupportedEncoding));
}

#[test]
fn refuses_restricted_xml_at_once() {
    for (text, what) in [
        ("<!-", "a comment"),
        ("<a><!-", "a comment"),
        ("<?", "a processing instruction"),
        ("<a><?", "a processing instruction"),
        ("<!D", "a document type declaration"),
        ("<a><!D", "a document type declaration"),
        ("<a>&n", "an entity reference"),
        ("<a>&ltx", "an entity reference"),
        ("<a b='&nbsp;'/>", "an entity reference"),
    ] {
        assert_eq!(element(text), Err(Error::Restricted(what)), "{text}");
    }
    for (text, what) in
        [("<!D", "a document type declaration"), ("<!-", "a comment"), ("<?p", "a processing instruction")]
    {
        assert_eq!(header(text), Err(Error::Restricted(what)), "{text}");
    }
}

#[test]
fn refuses_names_that_namespaces_forbid() {
    for text in [
        "<p:a/>",
        "<a p:b=''/>",
        "<:a/>",
        "<a:/>",
        "<p:q:a xmlns:p='u'/>",
        "<a b:=''/>",
        "<p:1 xmlns:p='u'/>",
        "<a xmlns:='u'/>",
        "<a xmlns:p=''/>",
        "<a xmlns:xml='u'/>",
        "<a xmlns:xmlns='u'/>",
        "<a xmlns:p='http://www.w3.org/2000/xmlns/'/>",
        "<a xmlns='http://www.w3.org/2000/xmlns/'/>",
        "<a xmlns='http://www.w3.org/XML/1998/namespace'/>",
        "<a xmlns:p='http://www.w3.org/XML/1998/namespace'/>",
        "<xmlns:a/>",
        "<a><b xmlns:p='u'/><p:c/></a>",
        "<a xmlns:p='http://www.w3.org/XML/1998/namespac&#101;'/>",
    ] {
        assert_ill_formed(text);
    }
}

#[test]
fn refuses_an_attribute_twice_by_any_of_its_names() {
    for text in [
        "<a b='' c='' b=''/>",
        "<a xmlns='' xmlns=''/>",
        "<a xmlns:p='u' xmlns:p='u'/>",
        "<a xmlns:p='u' xmlns:q='u' p:b='' q:b=''/>",
        "<a xmlns:p='u&amp;' xmlns:q='u&#38;' p:b='' q:b=''/>",
        "<a xmlns:p='jabber:server:dialback' p:b='' db:b=''/>",
    ] {
        assert_eq!(element(text), Err(Error::NotWellFormed("a duplicate attribute")), "{text}");
    }
}

#[test]
fn takes_one_header_in_lawful_form_only() {
    for text in [
        HEADER.to_owned(),
        format!(" \n{HEADER}"),
        format!("<?xml version='1.0' encoding='utf-8' ?>\n{HEADER}"),
    ] {
        assert_eq!(header(&text).unwrap(), HEADER);
    }
    assert_eq!(header("<stream>").unwrap(), "<stream>");
    for text in [
        "</stream>",
        "stream",
        "<stream:stream/>",
        "\u{feff}<stream>",
        "<stream:stream>",
        "<![CDATA[",
        " <?xml version='1.0'?><stream>",
        "<?xml version='1.0'?><?xml version='1.0'?><stream>",
        "\u{16}\u{3}\u{1}",
        "GET / HTTP/1.1\r\n",
    ] {
        let found = header(text);
        assert!(matches!(found, Err(Error::NotWellFormed(_))), "{text}: {found:?}");
    }
    for bytes in [&b"\xff\xfe<\0s\0"[..], b"\xfe\xff\0<\0s", b"<\0s\0", b"\0<\0s"] {
        assert_eq!(outcome(bytes), (vec![], Some(Error::UnsupportedEncoding)));
    }
    assert_eq!(header("<?xml version='1.0' encoding='ascii'?><stream>"), Err(Error::UnsupportedEncoding));
}

#[test]
fn a_root_that_is_an_empty_element_opens_the_stream_and_ends_it() {
    for root in ["<stream/>", "<a b='/>'\n/>", "<p:a xmlns:p='urn:p' p:b=''/>"] {
        let (frames, error) = outcome(format!("<?xml version='1.0'?>{root} \n").as_bytes());
        assert_eq!((frames.as_slice(), error), (&[Frame::Header(root.into()), Frame::Footer][..], None));
        for behind in ["<a/>", "</stream>", "x"] {
            let (frames, error) = outcome(format!("{root}{behind}").as_bytes());
            assert_eq!(frames.len(), 2, "{root}{behind}");
            assert!(matches!(error, Some(Error::NotWellFormed(_))), "{root}{behind}: {error:?}");
        }
    }
}

#[test]
fn a_stream_begins_again_behind_a_root_that_was_an_empty_element() {
    let mut framer = Framer::new(Limits::default());
    let mut buffer = BytesMut::from("<stream/>");
    assert!(matches!(framer.next(&mut buffer), Ok(Some(Frame::Header(_)))));
    framer.restart();
    assert_eq!(framer.next(&mut buffer), Ok(None));
    buffer.extend_from_slice(HEADER.as_bytes());
    assert!(matches!(framer.next(&mut buffer), Ok(Some(Frame::Header(_)))));
    assert_eq!(framer.next(&mut buffer), Ok(None));
}

#[test]
fn takes_one_footer_that_matches_and_nothing_after_it() {
    for text in ["</stream:stream>", "</stream:stream >", "</stream:stream> \n"] {
        let (frames, error) = outcome(format!("{HEADER}{text}").as_bytes());
        assert_eq!((frames.get(1), error), (Some(&Frame::Footer), None), "{text}");
    }
    for text in [
        "</stream>",
        "</stream:stream/>",
        "</x:stream>",
        "</stream:stream>x",
        "</stream:stream><a/>",
        "</stream:stream></stream:stream>",
    ] {
        assert!(
            matches!(outcome(format!("{HEADER}{text}").as_bytes()).1, Some(Error::NotWellFormed(_))),
            "{text}"
        );
    }
}

#[test]
fn refuses_text_between_elements() {
    for text in ["x", "<a/>x", "&amp;", "\u{feff}", "<![CDATA[x]]>"] {
        let (_, error) = outcome(format!("{HEADER}{text}").as_bytes());
        assert!(matches!(error, Some(Error::Misplaced(_))), "{text}: {error:?}");
    }
    let (_, error) = outcome(format!("{HEADER}\u{1}").as_bytes());
    assert!(matches!(error, Some(Error::NotWellFormed(_))), "{error:?}");
}
