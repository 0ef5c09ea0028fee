use super::*;
use std::slice;

const HEADER: &str = "<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' \
                      xmlns:db='jabber:server:dialback' from='a.example' to='b.example' version='1.0'>";

/// Frames and, if the bytes were refused, why.
type Outcome = (Vec<Frame>, Option<Error>);

fn feed<'a>(limits: Limits, pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut framer = Framer::new(limits);
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

/// What comes of the input, having made sure that it is the same however the input is split.
fn outcome_within(limits: Limits, input: &[u8]) -> Outcome {
    let whole = feed(limits, [input]);
    assert_eq!(feed(limits, input.chunks(1)), whole, "byte by byte: {}", String::from_utf8_lossy(input));
    for at in 1..input.len() {
        let (a, b) = input.split_at(at);
        assert_eq!(feed(limits, [a, b]), whole, "split at {at}: {}", String::from_utf8_lossy(input));
    }
    whole
}

fn outcome(input: &[u8]) -> Outcome {
    outcome_within(Limits::default(), input)
}

/// What comes of a first-level element.
fn element(text: impl AsRef<[u8]>) -> Result<Element, Error> {
    let (frames, error) = outcome(&[HEADER.as_bytes(), text.as_ref()].concat());
    match (frames.into_iter().nth(1), error) {
        (_, Some(error)) => Err(error),
        (Some(Frame::Element(element)), None) => {
            assert_eq!(element.bytes, text.as_ref());
            Ok(element)
        }
        other => panic!("{}: {other:?}", String::from_utf8_lossy(text.as_ref())),
    }
}

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
fn cuts_a_stream_into_its_parts() {
    let (a, b) =
        ("<message to='b'><body>h&amp;llo &gt; ü</body><x xmlns='urn:x' a=\"'>'\"/></message >", "<iq/>");
    let input = format!("<?xml version='1.0'?>\n {HEADER}{a} \n\t{b}</stream:stream\n> \n");
    let (frames, error) = outcome(input.as_bytes());
    assert_eq!(error, None);
    match frames.as_slice() {
        [Frame::Header(header), Frame::Element(first), Frame::Element(second), Frame::Footer] => {
            assert_eq!(header, HEADER);
            assert_eq!(first.bytes, a);
            assert_eq!(second.bytes, b);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn notes_what_the_start_tag_says() {
    let text = "<message type = 'chat' to='b' from=\"a\" id='i&lt;'\nxml:lang='de' xmlns='jabber:server' other='to'><a to='x'/></message>";
    let Element { bytes, head } = element(text).unwrap();
    let text =
        |range: Option<Range<usize>>| range.map(|range| String::from_utf8_lossy(&bytes[range]).into_owned());
    assert_eq!(text(Some(head.name)).as_deref(), Some("message"));
    assert_eq!(text(head.kind).as_deref(), Some("chat"));
    assert_eq!(text(head.to).as_deref(), Some("b"));
    assert_eq!(text(head.from).as_deref(), Some("a"));
    assert_eq!(text(head.id).as_deref(), Some("i&lt;"));
    assert_eq!(text(head.lang).as_deref(), Some("de"));
    assert_eq!(text(head.xmlns).as_deref(), Some("jabber:server"));
    assert_eq!(&bytes[head.content..], b"<a to='x'/></message>");
}

#[test]
fn notes_declarations_of_content_namespaces_and_where_they_stand() {
    let text = "<message xmlns='jabber:server'><f xmlns='urn:f'><m xmlns='jabber&#58;component:accept'/></f>\
                <s:b xmlns:s='jabber:server'/><c xmlns='jabber:client'/></message>";
    let Element { bytes, head } = element(text).unwrap();
    let text = |range: &Range<usize>| String::from_utf8_lossy(&bytes[range.clone()]).into_owned();
    let notes: Vec<_> = head
        .content_namespaces
        .iter()
        .map(|d| (text(&d.attribute), d.namespace, d.prefixed, d.outer))
        .collect();
    let (server, component) = ("jabber:server", "jabber:component:accept");
    assert_eq!(
        notes,
        [
            (" xmlns='jabber:server'".into(), server, false, Outer::Stream),
            (" xmlns='jabber&#58;component:accept'".into(), component, false, Outer::Foreign),
            (" xmlns:s='jabber:server'".into(), server, true, Outer::Content(server)),
        ]
    );
    assert_eq!(text(&head.content_namespaces[1].value), "jabber&#58;component:accept");
}

#[test]
fn notes_which_prefixes_of_the_stream_an_element_leans_on() {
    assert_eq!(
        element("<message><db:x db:a=''/><stream:y/><db:z/></message>").unwrap().head.leans_on,
        [2, 1]
    );
    assert_eq!(
        element("<message xmlns:db='urn:own'><db:x/></message>").unwrap().head.leans_on,
        [] as [usize; 0]
    );
    assert_eq!(element("<m><a xmlns:db='urn:own'><db:x/></a><db:x/></m>").unwrap().head.leans_on, [2]);
}

#[test]
fn remembers_what_the_header_declared() {
    let mut framer = Framer::new(Limits::default());
    let mut buffer = BytesMut::from("<s:stream xmlns:s='urn:s' xmlns='a&amp;b' a='c'></s:stream>");
    assert!(matches!(framer.next(&mut buffer), Ok(Some(Frame::Header(_)))));
    let pair = |prefix: &str, uri: &str| (prefix.to_owned(), uri.to_owned());
    assert_eq!(framer.scope(), [pair("s", "urn:s"), pair("", "a&b")]);
    assert_eq!(framer.next(&mut buffer), Ok(Some(Frame::Footer)));
    assert_eq!(framer.next(&mut buffer), Ok(None));

    framer.restart();
    assert_eq!(framer.scope(), []);
    buffer.extend_from_slice(b"<?xml version='1.0'?><t>");
    assert!(matches!(framer.next(&mut buffer), Ok(Some(Frame::Header(_)))));
}

#[test]
fn takes_white_space_between_elements_off_the_buffer_at_once() {
    let mut framer = Framer::new(Limits::UNAUTHENTICATED);
    let mut buffer = BytesMut::from(HEADER);
    assert!(framer.next(&mut buffer).unwrap().is_some());
    for _ in 0..100 {
        buffer.extend_from_slice(&[b' '; 1024]);
        assert_eq!(framer.next(&mut buffer), Ok(None));
        assert!(buffer.is_empty());
    }
}

#[test]
fn gives_the_same_error_again() {
    let mut framer = Framer::new(Limits::default());
    let mut buffer = BytesMut::from("nonsense");
    let error = framer.next(&mut buffer).unwrap_err();
    buffer.clear();
    buffer.extend_from_slice(HEADER.as_bytes());
    assert_eq!(framer.next(&mut buffer), Err(error));
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
fn refuses_what_xmpp_leaves_out_of_xml_on_sight() {
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
        assert_eq!(element(text), Err(Error::NotWellFormed("an attribute twice")), "{text}");
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
        "<stream/>",
        "</stream>",
        "stream",
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
        assert!(matches!(error, Some(Error::NotWellFormed(_))), "{text}: {error:?}");
    }
}

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
fn keeps_headers_short_whoever_the_peer_is() {
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
    assert_eq!(error("<a><b><c/></b></a>"), Some(Error::TooComplex { what: "depth", limit: 2 }));
    assert_eq!(error("<a a='' b='' c=''/>"), None);
    assert_eq!(error("<a a='' b='' c='' d=''/>"), Some(Error::TooComplex { what: "attributes", limit: 3 }));
    assert_eq!(error("<a xmlns='b'><b xmlns='c'/><b xmlns='c'/></a>"), None);
    let what = "namespace declarations";
    assert_eq!(
        error("<a xmlns='b'><b xmlns='c' xmlns:x='d'/></a>"),
        Some(Error::TooComplex { what, limit: 4 })
    );
}

#[test]
fn holds_an_element_to_the_limits_it_began_under() {
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
fn looks_at_every_byte_a_constant_number_of_times() {
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
