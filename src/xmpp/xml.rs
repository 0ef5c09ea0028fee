//! Small elements that the node itself reads and writes, with `xml-rs`.
//!
//! *Architecture invariant:* all bytes of a peer were validated and limited by the [framer](crate::framer)
//! before they come here, and the number of tags is limited too. `xml-rs` needs seconds for a hundred
//! kilobytes of nested namespace declarations, and copies all namespaces in scope for each element.

mod escape;
mod read;
mod write;

use std::fmt;

pub use escape::{escape, unescape};
pub(crate) use escape::{is_char, resolve};

/// The namespaces of RFC 6120 and the XEPs used here.
pub mod ns {
    /// The stream itself, its features and errors.
    pub const STREAM: &str = "http://etherx.jabber.org/streams";
    /// Content namespace between servers.
    pub const SERVER: &str = "jabber:server";
    /// Content namespace between client and server.
    pub const CLIENT: &str = "jabber:client";
    /// Content namespace between component and server (XEP-0114).
    pub const COMPONENT: &str = "jabber:component:accept";
    /// `<db:result/>` and `<db:verify/>` (XEP-0220).
    pub const DIALBACK: &str = "jabber:server:dialback";
    /// The stream feature that announces dialback (XEP-0220).
    pub const DIALBACK_FEATURE: &str = "urn:xmpp:features:dialback";
    /// STARTTLS (RFC 6120 section 5).
    pub const TLS: &str = "urn:ietf:params:xml:ns:xmpp-tls";
    /// SASL (RFC 6120 section 6).
    pub const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";
    /// Conditions of stream errors (RFC 6120 section 4.9).
    pub const STREAM_ERRORS: &str = "urn:ietf:params:xml:ns:xmpp-streams";
    /// Conditions of stanza errors (RFC 6120 section 8.3).
    pub const STANZA_ERRORS: &str = "urn:ietf:params:xml:ns:xmpp-stanzas";
    /// The namespace of the prefix `xml`.
    pub const XML: &str = "http://www.w3.org/XML/1998/namespace";
    /// Stream limits (XEP-0478).
    pub const LIMITS: &str = "urn:xmpp:stream-limits:0";
    /// Stream management: acks and resumption (XEP-0198).
    pub const ACKS: &str = "urn:xmpp:sm:3";
}

/// An element with its content. Names are namespace and local name; prefixes are not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    /// The local name.
    pub name: String,
    /// The namespace URI, empty for none.
    pub namespace: String,
    /// The attributes: namespace or empty, local name, value.
    pub attributes: Vec<(String, String, String)>,
    /// The children, in document order.
    pub children: Vec<Node>,
}

/// A child of an element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// An element.
    Element(Element),
    /// Character data, that of CDATA sections included.
    Text(String),
}

impl Element {
    /// An empty element.
    pub fn new(name: &str, namespace: &str) -> Self {
        Self { name: name.into(), namespace: namespace.into(), attributes: Vec::new(), children: Vec::new() }
    }

    /// Adds an attribute without namespace (builder style).
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.attributes.push((String::new(), name.into(), value.into()));
        self
    }

    /// Adds `xml:lang` (builder style).
    #[must_use]
    pub fn with_lang(mut self, lang: &str) -> Self {
        self.attributes.push((ns::XML.into(), "lang".into(), lang.into()));
        self
    }

    /// Adds a child (builder style).
    #[must_use]
    pub fn with_child(mut self, child: Self) -> Self {
        self.children.push(Node::Element(child));
        self
    }

    /// Adds text (builder style).
    #[must_use]
    pub fn with_text(mut self, text: impl Into<String>) -> Self {
        self.children.push(Node::Text(text.into()));
        self
    }

    /// Whether it has this name and namespace.
    pub fn is(&self, name: &str, namespace: &str) -> bool {
        self.name == name && self.namespace == namespace
    }

    /// The value of an attribute without namespace.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attribute_in("", name)
    }

    /// The value of `xml:lang`.
    pub fn lang(&self) -> Option<&str> {
        self.attribute_in(ns::XML, "lang")
    }

    /// The first child element with this name and namespace.
    pub fn child(&self, name: &str, namespace: &str) -> Option<&Self> {
        self.elements().find(|child| child.is(name, namespace))
    }

    /// All child elements.
    pub fn elements(&self) -> impl Iterator<Item = &Self> {
        self.children.iter().filter_map(|node| match node {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    /// The text directly inside, without that of child elements.
    pub fn text(&self) -> String {
        self.children
            .iter()
            .filter_map(|node| match node {
                Node::Text(text) => Some(text.as_str()),
                Node::Element(_) => None,
            })
            .collect()
    }

    /// Reads one element that stands alone, or inside a stream that declares `scope`
    /// (prefix, URI; the empty prefix is the default namespace). The framer must have accepted the bytes.
    ///
    /// # Errors
    /// Refuses an element with [too many tags](Self::is_too_long). Other errors are those of `xml-rs`; none
    /// is expected for bytes that the framer has accepted.
    pub fn parse(bytes: &[u8], scope: &[(String, String)]) -> Result<Self, Error> {
        if Self::is_too_long(bytes) {
            return Err(Error(format!("more than {MOST_TAGS} tags")));
        }
        read::element(bytes, scope)
    }

    /// Whether it has more tags than any element that the node itself reads: `xml-rs` takes a hundred times
    /// as long for a tag as the framer does, and two hundred times the memory.
    pub fn is_too_long(bytes: &[u8]) -> bool {
        has_more_tags(bytes, MOST_TAGS)
    }

    /// Reads the start tag of a stream (`framer::Frame::Header`), an element without an end tag.
    ///
    /// # Errors
    /// Gives the error of `xml-rs`. None is expected for bytes that the framer has accepted.
    pub fn parse_header(bytes: &[u8]) -> Result<Self, Error> {
        read::header(bytes)
    }

    /// Writes it for a stream with the default namespace `default_namespace` and the declared `prefixes`
    /// (prefix, URI). They are not declared again.
    ///
    /// Characters that XML cannot express become U+FFFD.
    pub fn write(&self, default_namespace: &str, prefixes: &[(&str, &str)]) -> String {
        write::element(self, default_namespace, prefixes)
    }

    fn attribute_in(&self, namespace: &str, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(uri, local, _)| uri == namespace && local == name)
            .map(|(_, _, v)| v.as_str())
    }
}

/// Whether an element that the framer has accepted has more than `most` tags: every `<` begins a tag, or is
/// in a CDATA section.
pub(crate) fn has_more_tags(bytes: &[u8], most: usize) -> bool {
    memchr::memchr_iter(b'<', bytes).nth(most).is_some()
}

/// The limit for tags of an element that is parsed: several times those of the longest stream features.
pub(crate) const MOST_TAGS: usize = 256;

/// The error of `xml-rs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(pub String);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_children_attributes_and_text() {
        let element = Element::new("iq", ns::SERVER)
            .with("id", "1")
            .with_lang("de")
            .with_text("a")
            .with_child(Element::new("query", "urn:x").with_text("inner"))
            .with_text("b");
        assert!(element.is("iq", ns::SERVER) && !element.is("iq", ns::CLIENT));
        assert_eq!(element.attribute("id"), Some("1"));
        assert_eq!((element.attribute("lang"), element.lang()), (None, Some("de")));
        assert_eq!(element.child("query", "urn:x").map(Element::text).as_deref(), Some("inner"));
        assert_eq!(element.child("query", "urn:y"), None);
        assert_eq!(element.text(), "ab");
    }

    #[test]
    fn an_element_with_too_many_tags_is_not_parsed() {
        let element = |children: usize| format!("<a>{}{}</a>", "<b/>".repeat(children), "x".repeat(100_000));
        let read = |children| Element::parse(element(children).as_bytes(), &[]);
        assert!(read(MOST_TAGS - 2).is_ok());
        assert_eq!(read(MOST_TAGS - 1).unwrap_err().to_string(), "more than 256 tags");
    }

    #[test]
    fn reads_back_what_it_wrote() {
        let element = Element::new("message", ns::SERVER)
            .with("to", "a&b<c>\"d'\t\r\n e")
            .with_lang("en")
            .with_child(Element::new("body", ns::SERVER).with_text("]]> & < > \r\n\t\u{10ffff}"))
            .with_child(Element::new("x", "urn:x&y").with_child(Element::new("body", ns::SERVER)))
            .with_child(Element::new("none", ""));
        let written = element.write(ns::SERVER, &[]);
        let scope = [(String::new(), ns::SERVER.to_owned())];
        assert_eq!(Element::parse(written.as_bytes(), &scope).unwrap(), element, "{written}");
    }
}
