//! XML for tests: a stream is cut into first-level elements, which roxmltree parses, so that the node's own parser does
//! not check itself.

use std::fmt;

use roxmltree::{Document, Node};

/// An owned XML element. Equality ignores prefixes and the order of attributes.
#[derive(Clone, PartialEq, Eq)]
pub struct Element {
    /// The local name.
    pub name: String,
    /// The namespace, `""` if there is none.
    pub namespace: String,
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
    /// Parses a document.
    pub fn parse(text: &str) -> Self {
        let document = Document::parse(text).unwrap_or_else(|error| panic!("{error}: {text}"));
        Self::read(document.root_element(), text)
    }

    /// Parses an element inside a stream with this `header`, whose prefixes it may use.
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

    /// The value of an attribute, `""` if there is none.
    pub fn attribute(&self, name: &str) -> &str {
        let found = self.attributes.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value.as_str())
    }

    /// The child elements.
    pub fn children(&self) -> impl Iterator<Item = &Self> {
        self.contents.iter().filter_map(|content| match content {
            Content::Element(element) => Some(element),
            Content::Text(_) => None,
        })
    }

    /// The first child of that name.
    pub fn child(&self, name: &str) -> Option<&Self> {
        self.children().find(|child| child.name == name)
    }

    /// The first child of that name; the test fails without it.
    #[track_caller]
    pub fn expect(&self, name: &str) -> &Self {
        self.child(name).unwrap_or_else(|| panic!("no <{name}/> in {self}"))
    }

    /// The text directly inside.
    pub fn text(&self) -> String {
        let texts = self.contents.iter().filter_map(|content| match content {
            Content::Text(text) => Some(text.as_str()),
            Content::Element(_) => None,
        });
        texts.collect()
    }

    /// Whether it is a stanza of that type.
    pub fn is(&self, name: &str, kind: &str) -> bool {
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

/// The source text, which comparisons ignore.
#[derive(Clone, Debug, Eq)]
struct Source(String);

impl PartialEq for Source {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// An event of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The stream header.
    Opened(Element),
    /// A whole first-level element.
    Element(Element),
    /// The closing tag of the stream.
    Closed,
}

/// Cuts the bytes of a stream into events.
#[derive(Default)]
pub struct Splitter {
    buffer: Vec<u8>,
    start: usize,
    header: Option<String>,
}

impl Splitter {
    /// Takes more bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// Forgets the header, as each side of a restarted stream must.
    pub fn restart(&mut self) {
        self.header = None;
    }

    fn take(&mut self, length: usize) -> String {
        let bytes = &self.buffer[self.start..self.start + length];
        self.start += length;
        String::from_utf8(bytes.to_vec()).expect("UTF-8 on the stream")
    }
}

/// The complete events so far; more may follow after [`Splitter::push`].
impl Iterator for Splitter {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
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
}

/// The length of the element at the start, if it is complete.
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

/// The length of the tag at the start, and whether it is an empty element.
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
