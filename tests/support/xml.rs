//! XML as the tests see it: a stream cut into its first-level elements, each read whole by
//! roxmltree. On purpose nothing of the node's own code.

use std::fmt;

use roxmltree::{Document, Node};

/// An XML element that owns what it holds. Two are equal when they mean the same: prefixes and the
/// order of attributes make no difference.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Element {
    pub(crate) name: String,
    pub(crate) namespace: String,
    attributes: Vec<(String, String)>,
    contents: Vec<Content>,
    source: Source,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Content {
    Element(Element),
    Text(String),
}

impl Element {
    /// Reads an element that stands alone.
    pub(crate) fn parse(text: &str) -> Self {
        let document = Document::parse(text).unwrap_or_else(|error| panic!("{error}: {text}"));
        Self::read(document.root_element(), text)
    }

    /// Reads an element that stands inside of a stream opened by `header`, whose prefixes it may use.
    fn parse_in(header: &str, text: &str) -> Self {
        let opened = header.trim_start_matches('<');
        let tag = opened.split(|c: char| c.is_whitespace() || c == '>').next().unwrap_or_default();
        let whole = format!("{header}{text}</{tag}>");
        let document = Document::parse(&whole).unwrap_or_else(|error| panic!("{error}: {whole}"));
        match document.root_element().first_element_child() {
            Some(element) => Self::read(element, text),
            None => Self::read(document.root_element(), header),
        }
    }

    fn read(node: Node<'_, '_>, text: &str) -> Self {
        let mut attributes: Vec<_> = node
            .attributes()
            .map(|attribute| {
                (qualified(attribute.namespace(), attribute.name()), attribute.value().to_owned())
            })
            .collect();
        attributes.sort();
        let contents = node
            .children()
            .filter_map(|child| match child.is_element() {
                true => Some(Content::Element(Self::read(child, &text_of(child)))),
                false => Some(Content::Text(child.text()?.to_owned())),
            })
            .collect();
        Self {
            name: node.tag_name().name().to_owned(),
            namespace: node.tag_name().namespace().unwrap_or_default().to_owned(),
            attributes,
            contents,
            source: Source(text.to_owned()),
        }
    }

    /// The value of an attribute; `""` when it is not there.
    pub(crate) fn attribute(&self, name: &str) -> &str {
        let found = self.attributes.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value.as_str())
    }

    /// The child elements.
    pub(crate) fn children(&self) -> impl Iterator<Item = &Self> {
        self.contents.iter().filter_map(|content| match content {
            Content::Element(element) => Some(element),
            Content::Text(_) => None,
        })
    }

    /// The first child of that name.
    pub(crate) fn child(&self, name: &str) -> Option<&Self> {
        self.children().find(|child| child.name == name)
    }

    /// The first child of that name, without which the test fails.
    #[track_caller]
    pub(crate) fn expect(&self, name: &str) -> &Self {
        self.child(name).unwrap_or_else(|| panic!("no <{name}/> in {self}"))
    }

    /// The text directly inside.
    pub(crate) fn text(&self) -> String {
        let texts = self.contents.iter().filter_map(|content| match content {
            Content::Text(text) => Some(text.as_str()),
            Content::Element(_) => None,
        });
        texts.collect()
    }

    /// Whether it is a stanza of that type.
    pub(crate) fn is(&self, name: &str, kind: &str) -> bool {
        self.name == name && self.attribute("type") == kind
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source.0)
    }
}

impl fmt::Debug for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text an element was read from, which does not count when two are compared.
#[derive(Clone, Debug, Eq)]
struct Source(String);

impl PartialEq for Source {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// What comes next on a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The stream header.
    Opened(Element),
    /// A whole first-level element.
    Element(Element),
    /// The closing tag of the stream.
    Closed,
}

/// Cuts the bytes of a stream into events.
#[derive(Default)]
pub(crate) struct Splitter {
    buffer: Vec<u8>,
    start: usize,
    header: Option<String>,
}

impl Splitter {
    /// Takes more bytes.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// Forgets the header, as each side of a restarted stream must.
    pub(crate) fn restart(&mut self) {
        self.header = None;
    }

    /// The next event that is complete.
    pub(crate) fn next(&mut self) -> Option<Event> {
        loop {
            let rest = &self.buffer[self.start..];
            let blank = rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            self.start += blank;
            let rest = &self.buffer[self.start..];
            if rest.starts_with(b"<?") {
                self.start += find(rest, b"?>")?;
            } else if rest.starts_with(b"</") {
                self.start += find(rest, b">")?;
                return Some(Event::Closed);
            } else if let Some(header) = &self.header {
                let header = header.clone();
                let length = element_length(rest)?;
                let text = self.take(length);
                return Some(Event::Element(Element::parse_in(&header, &text)));
            } else {
                let (length, _) = tag_length(rest)?;
                let text = self.take(length);
                let element = Element::parse_in(&text, "");
                self.header = Some(text);
                return Some(Event::Opened(element));
            }
        }
    }

    fn take(&mut self, length: usize) -> String {
        let bytes = &self.buffer[self.start..self.start + length];
        self.start += length;
        String::from_utf8(bytes.to_vec()).expect("UTF-8 on the stream")
    }
}

/// How long the element is that starts here, if all of it is here.
fn element_length(bytes: &[u8]) -> Option<usize> {
    let mut depth = 0;
    let mut at = 0;
    loop {
        at += bytes[at..].iter().position(|byte| *byte == b'<')?;
        let rest = &bytes[at..];
        if rest.starts_with(b"<![CDATA[") {
            at += find(rest, b"]]>")?;
            continue;
        }
        let (length, empty) = tag_length(rest)?;
        at += length;
        match (rest.starts_with(b"</"), empty) {
            (true, _) => depth -= 1,
            (false, true) => {}
            (false, false) => depth += 1,
        }
        if depth == 0 {
            return Some(at);
        }
    }
}

/// How long the tag is that starts here, and whether it is that of an empty element.
fn tag_length(bytes: &[u8]) -> Option<(usize, bool)> {
    let mut quote = None;
    for (at, byte) in bytes.iter().enumerate() {
        match (quote, byte) {
            (None, b'>') => return Some((at + 1, bytes[at - 1] == b'/')),
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), _) if open == byte => quote = None,
            _ => {}
        }
    }
    None
}

fn find(bytes: &[u8], end: &[u8]) -> Option<usize> {
    bytes.windows(end.len()).position(|window| window == end).map(|at| at + end.len())
}

fn qualified(namespace: Option<&str>, name: &str) -> String {
    match namespace {
        None => name.to_owned(),
        Some(XML) => format!("xml:{name}"),
        Some(namespace) => format!("{{{namespace}}}{name}"),
    }
}

fn text_of(node: Node<'_, '_>) -> String {
    node.document().input_text()[node.range()].to_owned()
}

const XML: &str = "http://www.w3.org/XML/1998/namespace";
