//! Stanzas that are relayed, and their error answers (RFC 6120 section 8).
//!
//! A stanza is relayed as the bytes that it came in. Where they mean something else on the next stream,
//! because they rely on a declaration in the stream header or name the content namespace, they are edited in
//! place and never serialised again.

mod admit;
mod bounce;
mod delay;
mod denial;
mod edits;
mod error;
mod intake;
mod memento;
mod names;
pub(crate) mod refusal;
mod restore;

use crate::{
    Domain, DomainPair,
    framer::{self, Span},
    jid,
    truncate::truncate,
    xml,
};
use bytes::Bytes;
use std::{borrow::Cow, fmt, str};

pub use bounce::MAX_ECHO;
pub use denial::Denial;
pub use error::{Condition, Error, ErrorType};
pub use intake::Intake;
pub use refusal::{Denied, Reason, Refused};
pub use restore::Restorer;

/// The kind of a stanza (RFC 6120 section 8.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `<message/>`.
    Message,
    /// `<presence/>`.
    Presence,
    /// `<iq/>`: a request or an answer.
    Iq,
}

impl Kind {
    /// The element's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Presence => "presence",
            Self::Iq => "iq",
        }
    }

    /// The kind with that element name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Message, Self::Presence, Self::Iq].into_iter().find(|kind| kind.as_str() == name)
    }
}

/// A stanza that can be written to any of our streams. It has no `xmlns` and no prefix for a content
/// namespace, it does not rely on prefixes of the stream that it came on, and it has `xml:lang` if its stream
/// had one.
#[derive(Clone, Debug)]
pub struct Stanza {
    bytes: Bytes,
    kind: Kind,
    from: Domain,
    to: Domain,
    places: Places,
    /// Few stanzas have any: see the module.
    names: Option<Box<names::Names>>,
}

/// The places of the attributes in the bytes of a stanza: raw values, references not resolved.
#[derive(Clone, Debug)]
struct Places {
    from: Span,
    to: Span,
    id: Option<Span>,
    type_: Option<Span>,
    /// The stanza is an empty element: `<message …/>`.
    alone: bool,
}

/// The properties of the stream that a stanza came on.
#[derive(Clone, Debug)]
pub struct Origin {
    /// Its content namespace: `jabber:server` or `jabber:component:accept`.
    pub namespace: &'static str,
    /// The prefixes that the header declares, in the order of [`framer::Framer::scope`]. "" is the default
    /// namespace.
    pub scope: Vec<(String, String)>,
    /// The `xml:lang` of the header.
    pub lang: Option<String>,
}

impl Stanza {
    /// Makes a stanza of a framed first-level element.
    ///
    /// The bytes are not copied when they mean the same on every stream, as in most stanzas.
    ///
    /// # Errors
    /// Gives the reason why the element cannot be relayed. The addresses are checked for their syntax only;
    /// whether the peer may use them is for the stream to decide. An [`Intake`] does the same faster for many
    /// elements.
    pub fn admit(element: framer::RawElement, origin: &Origin) -> Result<Self, Rejection> {
        admit::admit(element, origin, &mut admit::Recent::default()).map_err(|refused| refused.0)
    }

    /// Makes a stanza of the node's own. The namespace `jabber:server`, or none, means the content namespace.
    ///
    /// # Errors
    /// As [`admit`](Self::admit).
    pub fn from_element(element: &xml::Element) -> Result<Self, Rejection> {
        admit::from_element(element)
    }

    /// The bytes as they are written to a stream between servers.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The bytes as they are written to a component, if they differ from [`bytes`](Self::bytes): inside
    /// payload, the content namespace of components keeps its name on the way from one component to another.
    pub fn bytes_for_component(&self) -> Option<Bytes> {
        Some(self.names.as_ref()?.called(xml::ns::COMPONENT, &self.bytes))
    }

    /// The kind of the stanza.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The domain of `from`.
    pub fn from_domain(&self) -> &Domain {
        &self.from
    }

    /// The domain of `to`.
    pub fn to_domain(&self) -> &Domain {
        &self.to
    }

    /// The pair of domains when the stanza leaves the node.
    pub fn pair(&self) -> DomainPair {
        DomainPair { local: self.from.clone(), remote: self.to.clone() }
    }

    /// The sender's address, as written.
    pub fn from(&self) -> Cow<'_, str> {
        xml::unescape(self.raw(self.places.from))
    }

    /// The recipient's address, as written.
    pub fn to(&self) -> Cow<'_, str> {
        xml::unescape(self.raw(self.places.to))
    }

    /// The `id` attribute.
    pub fn id(&self) -> Option<Cow<'_, str>> {
        self.places.id.map(|place| xml::unescape(self.raw(place)))
    }

    /// The `type` attribute, as written.
    pub fn type_(&self) -> Option<&str> {
        self.places.type_.map(|place| self.raw(place))
    }

    /// Whether an error may answer it: not an `error`, nor an IQ `result` (RFC 6120 section 8.3.1).
    pub fn is_answerable(&self) -> bool {
        match self.type_().map(xml::unescape).as_deref() {
            Some("error") => false,
            Some("result") => self.kind != Kind::Iq,
            _ => true,
        }
    }

    /// Whether its sender expects an answer: an IQ `get` or `set`.
    pub fn is_request(&self) -> bool {
        self.kind == Kind::Iq && matches!(self.type_().map(xml::unescape).as_deref(), Some("get" | "set"))
    }

    /// Whether one of its children is that element, under any prefix. The stanza is parsed only when its
    /// bytes may name the namespace.
    pub fn has_child(&self, name: &str, namespace: &str) -> bool {
        let text = str::from_utf8(&self.bytes).unwrap_or_default();
        let may_name_it = text.contains(namespace) || text.contains("&#");
        may_name_it && self.element().is_ok_and(|element| element.child(name, namespace).is_some())
    }

    /// Whether its sender forbids storing it (XEP-0334 sections 4.1 and 4.2). `no-copy` says nothing about it.
    pub fn forbids_storing(&self) -> bool {
        ["no-store", "no-permanent-store"].into_iter().any(|hint| self.has_child(hint, "urn:xmpp:hints"))
    }

    /// The error answer: same kind and id, `to` and `from` swapped, children kept unless the stanza is longer
    /// than [`MAX_ECHO`]. `None` when no error may be sent.
    pub fn bounce(&self, error: &Error) -> Option<Self> {
        bounce::bounce(self, error)
    }

    /// The same stanza from the domain `sender` itself.
    #[must_use]
    pub fn sent_by(&self, sender: &Domain) -> Self {
        let from = xml::escape(&sender.wire()).into_owned();
        Self { from: sender.clone(), ..self.readdressed(None, Some(&from)) }
    }

    /// The same stanza to the domain `recipient` itself.
    #[must_use]
    pub fn sent_to(&self, recipient: &Domain) -> Self {
        let to = xml::escape(&recipient.wire()).into_owned();
        Self { to: recipient.clone(), ..self.readdressed(Some(&to), None) }
    }

    /// The same stanza with other addresses, which have to be escaped.
    fn readdressed(&self, to: Option<&str>, from: Option<&str>) -> Self {
        let mut replaced = [(self.places.to, to), (self.places.from, from)];
        replaced.sort_by_key(|(place, _)| place.range().start);
        let mut edits = edits::Edits::default();
        for (place, address) in replaced {
            if let Some(address) = address {
                edits.replace(place.range(), address);
            }
        }
        let moved = |place| edits.moved(place);
        let places = Places {
            from: moved(self.places.from),
            to: moved(self.places.to),
            id: self.places.id.map(moved),
            type_: self.places.type_.map(moved),
            alone: self.places.alone,
        };
        let names = self.names.as_ref().map(|names| Box::new(names.moved(&edits)));
        let bytes = edits.apply(&self.bytes).into();
        Self { bytes, kind: self.kind, from: self.from.clone(), to: self.to.clone(), places, names }
    }

    /// Copies the bytes, for a stanza that has to wait. Otherwise a small stanza would keep the memory of a
    /// whole read.
    #[must_use]
    pub fn detached(self) -> Self {
        Self { bytes: Bytes::copy_from_slice(&self.bytes), ..self }
    }

    /// The stanza parsed with `xml-rs`, in `jabber:server`.
    ///
    /// # Errors
    /// As [`xml::Element::parse`]. The only expected one is that the stanza has too many tags.
    pub fn element(&self) -> Result<xml::Element, xml::Error> {
        xml::Element::parse(&self.bytes, &[(String::new(), xml::ns::SERVER.to_owned())])
    }

    fn raw(&self, place: Span) -> &str {
        text(&self.bytes, place)
    }
}

/// The reason why an element cannot be relayed as a stanza. [`Reason`] has the further reasons to refuse a
/// stanza.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// Not message, presence or iq in the content namespace (RFC 6120 section 4.9.3.24).
    UnsupportedStanzaType,
    /// In the content namespace of another kind of stream (RFC 6120 section 4.8.3).
    InvalidNamespace,
    /// No `to` or no `from` (RFC 6120 sections 8.1.1.2 and 8.1.2.2).
    Missing(Address),
    /// `to` or `from` is not an address.
    Malformed(Address, jid::Error),
    /// Its start tag declares another default namespace, and too many elements in it rely on that.
    Displaced,
    /// `xml-rs` and the framer disagree. Not expected.
    Xml(xml::Error),
}

/// One of the two attributes that hold an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// The recipient.
    To,
    /// The sender.
    From,
}

impl Address {
    /// The name of the attribute.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::To => "to",
            Self::From => "from",
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnsupportedStanzaType => f.write_str("neither message, presence nor iq"),
            Self::InvalidNamespace => {
                f.write_str("stanza in the wrong content namespace (that of another kind of stream)")
            }
            Self::Missing(address) => write!(f, "stanza without '{}'", address.as_str()),
            Self::Malformed(address, error) => write!(f, "bad '{}' of a stanza: {error}", address.as_str()),
            Self::Displaced => f.write_str("a stanza with another default namespace in too many places"),
            Self::Xml(error) => f.write_str(&truncate(&error.to_string())),
        }
    }
}

impl std::error::Error for Rejection {}

/// The namespace of a first-level element, in a stream that declares `scope`.
pub(crate) fn namespace<'a>(element: &'a framer::RawElement, scope: &'a [(String, String)]) -> Cow<'a, str> {
    admit::namespace(element.head.namespace, &element.bytes, scope)
}

/// Whether a namespace is that of the stanzas of some kind of stream.
pub(crate) fn is_content(namespace: &str) -> bool {
    admit::is_content(namespace)
}

/// The text at a place in bytes that the framer has validated.
fn text(bytes: &[u8], place: Span) -> &str {
    str::from_utf8(place.of(bytes)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
