//! The framer cuts a stream into its parts, and notes what decides how an element is forwarded.

mod grammar;
mod limits;

use super::*;
use std::ops::Range;

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

/// The output for an input. It must be the same however the input is split.
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

/// The result for a first-level element.
fn element(text: impl AsRef<[u8]>) -> Result<RawElement, Error> {
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
fn notes_the_attributes_of_the_start_tag() {
    let text = "<message type = 'chat' to='b' from=\"a\" id='i&lt;'\nxml:lang='de' xmlns='jabber:server' other='to'><a to='x'/></message>";
    let RawElement { bytes, head } = element(text).unwrap();
    let text =
        |place: Option<Span>| place.map(|place| String::from_utf8_lossy(place.of(&bytes)).into_owned());
    assert_eq!(text(Some(head.name)).as_deref(), Some("message"));
    assert_eq!(text(head.kind).as_deref(), Some("chat"));
    assert_eq!(text(head.to).as_deref(), Some("b"));
    assert_eq!(text(head.from).as_deref(), Some("a"));
    assert_eq!(text(head.id).as_deref(), Some("i&lt;"));
    assert_eq!(text(head.lang).as_deref(), Some("de"));
    assert_eq!(namespace(&bytes, head.namespace), "jabber:server");
    assert_eq!(&bytes[head.content..], b"<a to='x'/></message>");
}

/// The declaration of a namespace.
fn namespace(bytes: &[u8], meaning: Meaning) -> String {
    match meaning {
        Meaning::Nowhere => String::new(),
        Meaning::Stream(place) => format!("stream's {place}"),
        Meaning::Element(place) => String::from_utf8_lossy(place.of(bytes)).into_owned(),
    }
}

/// The other outputs.
fn elsewhere(head: &Head) -> Elsewhere {
    head.elsewhere.as_deref().cloned().unwrap_or_default()
}

/// The element with its changes marked: what goes is in `{}`, what is called otherwise in `[]`, and where the
/// default namespace has to be declared is a `+`.
fn marked(text: &str) -> String {
    let RawElement { bytes, head } = element(text).unwrap();
    let (mut out, mut done) = (String::new(), 0);
    let copy = |range: Range<usize>| String::from_utf8_lossy(&bytes[range]).into_owned();
    for Change { place, what } in elsewhere(&head).changes {
        let range = place.range();
        out += &copy(done..range.start);
        match what {
            What::Cut => out += &format!("{{{}}}", copy(range.clone())),
            What::Own => out += &format!("[{}]", copy(range.clone())),
            What::Default => out.push('+'),
        }
        done = range.end;
    }
    out + &copy(done..bytes.len())
}

#[test]
fn notes_where_an_element_would_say_something_else_on_another_stream() {
    for marks in [
        "<message><body xmlns='urn:x'/><x xmlns=''><y/></x></message>",
        // Declarations of its own namespace as the default: where it is inherited, and inside other payload.
        "<message{ xmlns='jabber:server'}><body{\n xmlns = \"jabber&#58;server\"}/></message>",
        "<message><f xmlns='u'><m xmlns='[jabber:server]'><b{ xmlns='jabber:server'}/></m><c/></f><g{ xmlns='jabber:server'}/></message>",
        "<message><f xmlns='jabber:component:accept'><m xmlns='[jabber:server]'/></f><f xmlns='jabber:client'/></message>",
        "<message><f xmlns=''><m xmlns='[jabber:server]'/></f></message>",
        // Prefixes for it: gone where the default namespace is the same, kept where it is another.
        "<{s:}message xmlns:s='[jabber:server]'><{s:}body>x</{s:}body ><{s:}e/></{s:}message>",
        "<message xmlns:s='[jabber:server]' xmlns:t='[jabber:server]'><{s:}a><{t:}b/><c/></{s:}a></message>",
        "<message><x xmlns='foo'><s:body xmlns:s='[jabber:server]'/></x></message>",
        "<message xmlns:s='[jabber:server]'><x xmlns='foo'><s:b><s:c/></s:b></x><s:d xmlns='foo'><s:e/></s:d><{s:}f/></message>",
        "<message><x xmlns='foo'><s:b xmlns:s='[jabber:server]' xmlns='[jabber:server]'><{s:}c/></s:b></x></message>"
            .replace("<s:b ", "<{s:}b ").replace("</s:b>", "</{s:}b>").as_str(),
        // A prefix that means something else deeper inside, and something else outside.
        "<message xmlns:s='[jabber:server]'><{s:}a><s:b xmlns:s='urn:x'><s:c/></s:b></{s:}a></message>",
        "<message xmlns:s='urn:x'><s:a><{s:}b xmlns:s='[jabber:server]'/></s:a></message>",
        "<message xmlns:c='jabber:component:accept'><c:body/><d xmlns='jabber:component:accept'/></message>",
        // Attributes keep their prefix, for without one they mean something else.
        "<message xmlns:s='[jabber:server]' s:a=''><{s:}b s:c=''/></message>",
        // Another default namespace on the first start tag.
        "<{s:}message{ xmlns='foo'} xmlns:s='[jabber:server]'><a+ b=''><c/><s:d/></a><{s:}e><f+/></{s:}e><g xmlns=''/><h{ xmlns='jabber:server'}/></{s:}message>",
        "<{s:}message xmlns:s='[jabber:server]'{ xmlns=''}><p:a xmlns:p='u'><b+></b></p:a></{s:}message>",
        // None of a stanza's concern.
        "<s:x xmlns:s='urn:x'><y xmlns='jabber:server'/></s:x>",
        "<stream:features><y xmlns='jabber:server'/></stream:features>",
    ] {
        let text = marks.replace(['{', '}', '[', ']', '+'], "");
        assert_eq!(marked(&text), marks);
    }
}

#[test]
fn an_element_in_another_content_namespace_keeps_its_meaning() {
    let text = "<c:iq xmlns:c='jabber:component:accept'><c:q xmlns:s='jabber:server' s:a=''/><r/></c:iq>";
    assert_eq!(
        marked(text),
        "<{c:}iq xmlns:c='[jabber:component:accept]'><{c:}q xmlns:s='jabber:server' s:a=''/><r+/></{c:}iq>"
    );
    let RawElement { bytes, head } = element(text).unwrap();
    assert_eq!(namespace(&bytes, head.namespace), "jabber:component:accept");
    assert_eq!(namespace(&bytes, elsewhere(&head).displaced), "stream's 0");
}

#[test]
fn notes_attributes_that_two_content_namespaces_keep_apart() {
    let twins = |attributes: &str| {
        let prefixes = "xmlns:s='jabber:server' xmlns:c='jabber:component:accept' xmlns:u='urn:u'";
        elsewhere(&element(format!("<iq {prefixes}><a {attributes}/></iq>")).unwrap().head).twins
    };
    assert!(twins("s:a='' b='' c:a=''"));
    assert!(!twins("s:a='' a='' c:b='' u:a='' u:b=''"));
}

#[test]
fn notes_the_prefixes_of_the_stream_that_an_element_uses() {
    let leans = |text: &str| elsewhere(&element(text).unwrap().head).leans_on;
    assert_eq!(leans("<message><db:x db:a=''/><stream:y/><db:z/></message>"), [2, 1]);
    assert_eq!(leans("<message xmlns:db='urn:own'><db:x/></message>"), [] as [usize; 0]);
    assert_eq!(leans("<m><a xmlns:db='urn:own'><db:x/></a><db:x/></m>"), [2]);
}

#[test]
fn relies_on_a_prefix_for_its_own_namespace_only_where_that_stays() {
    let leans = |text: &str| {
        let header = "<stream:stream xmlns:stream='http://etherx.jabber.org/streams' xmlns='jabber:server' xmlns:s='jabber:server'>";
        let (frames, error) = outcome(format!("{header}{text}").as_bytes());
        assert_eq!(error, None);
        match frames.into_iter().nth(1) {
            Some(Frame::Element(element)) => elsewhere(&element.head).leans_on,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(leans("<s:iq><s:a xml:lang=''/></s:iq>"), [] as [usize; 0]);
    assert_eq!(leans("<s:iq s:a=''/>"), [2]);
    assert_eq!(leans("<iq><x xmlns='u'><s:a/></x></iq>"), [2]);
    assert_eq!(leans("<iq><x xmlns='u' xmlns:s='v'><s:a/></x></iq>"), [] as [usize; 0]);
}

#[test]
fn keeps_the_declarations_of_the_header() {
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
