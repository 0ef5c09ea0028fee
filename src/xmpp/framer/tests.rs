mod grammar;
mod limits;

use super::*;

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
        |place: Option<Span>| place.map(|place| String::from_utf8_lossy(place.of(&bytes)).into_owned());
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
