//! What the node itself understands of XML: small elements read and written with `xml-rs`.
use std::fmt;

/// The namespaces of RFC 6120 and the XEPs used here.
pub mod ns {
    #![allow(missing_docs)]
    pub const STREAM: &str = "http://etherx.jabber.org/streams";
    pub const SERVER: &str = "jabber:server";
    pub const CLIENT: &str = "jabber:client";
    pub const COMPONENT: &str = "jabber:component:accept";
    pub const DIALBACK: &str = "jabber:server:dialback";
    pub const DIALBACK_FEATURE: &str = "urn:xmpp:features:dialback";
    pub const TLS: &str = "urn:ietf:params:xml:ns:xmpp-tls";
    pub const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";
    pub const STREAM_ERRORS: &str = "urn:ietf:params:xml:ns:xmpp-streams";
    pub const STANZA_ERRORS: &str = "urn:ietf:params:xml:ns:xmpp-stanzas";
    pub const XML: &str = "http://www.w3.org/XML/1998/namespace";
    pub const LIMITS: &str = "urn:xmpp:stream-limits:0";
}

/// An element with everything below it. Names are (namespace, local name); prefixes are not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    /// local name
    pub name: String,
    /// namespace URI, empty for none
    pub namespace: String,
    /// (namespace or empty, local name, value)
    pub attributes: Vec<(String, String, String)>,
    /// in document order
    pub children: Vec<Node>,
}
/// A child of an element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// element
    Element(Element),
    /// text
    Text(String),
}

impl Element {
    /// An empty element.
    pub fn new(_name: &str, _namespace: &str) -> Self {
        todo!()
    }
    /// Adds an attribute without namespace (builder style).
    pub fn with(self, _name: &str, _value: impl Into<String>) -> Self {
        todo!()
    }
    /// Adds a child (builder style).
    pub fn with_child(self, _child: Self) -> Self {
        todo!()
    }
    /// Adds text (builder style).
    pub fn with_text(self, _text: impl Into<String>) -> Self {
        todo!()
    }
    /// Whether it has this name and namespace.
    pub fn is(&self, _name: &str, _namespace: &str) -> bool {
        todo!()
    }
    /// The value of an attribute without namespace.
    pub fn attribute(&self, _name: &str) -> Option<&str> {
        todo!()
    }
    /// The first child element with this name and namespace.
    pub fn child(&self, _name: &str, _namespace: &str) -> Option<&Self> {
        todo!()
    }
    /// Every child element.
    pub fn elements(&self) -> impl Iterator<Item = &Self> {
        self.children.iter().filter_map(|n| match n {
            Node::Element(e) => Some(e),
            Node::Text(_) => None,
        })
    }
    /// The text directly inside.
    pub fn text(&self) -> String {
        todo!()
    }
    /// Reads one element that stands alone, or inside a stream that declares `scope`
    /// (prefix, URI; the empty prefix is the default namespace). Bytes must have passed the framer.
    pub fn parse(_bytes: &[u8], _scope: &[(String, String)]) -> Result<Self, Error> {
        todo!()
    }
    /// Writes it for a stream whose default namespace is `default_namespace` and on which the prefixes of
    /// `prefixes` (prefix, URI) are declared: nothing that the stream declares is declared again.
    pub fn write(&self, _default_namespace: &str, _prefixes: &[(&str, &str)]) -> String {
        todo!()
    }
}
/// Why `xml-rs` could not read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(pub String);
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl std::error::Error for Error {}
/// Escapes text for use in an attribute value or character data.
pub fn escape(_text: &str) -> std::borrow::Cow<'_, str> {
    todo!()
}
