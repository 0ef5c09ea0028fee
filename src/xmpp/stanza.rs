//! Stanzas that pass through, and their error answers (RFC 6120 section 8).
//!
//! A stanza is carried as the bytes that it came in. Where the next stream would read them differently, because
//! they lean on something that the stream's header said or name its content namespace, they are edited in place and
//! never written anew.

mod admit;
mod bounce;
mod edits;
mod error;
mod intake;
mod memento;
mod names;
pub(crate) mod refusal;

use crate::{
    Domain, DomainPair,
    brief::brief,
    framer::{self, Span},
    jid, xml,
};
use bytes::Bytes;
use std::{borrow::Cow, fmt, str};

pub use bounce::MAX_ECHO;
pub use error::{Condition, Error, ErrorType};
pub use intake::Intake;
pub use refusal::{Reason, Refused};

/// What a stanza is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `<message/>`: pushed.
    Message,
    /// `<presence/>`: broadcast or asked for.
    Presence,
    /// `<iq/>`: request and answer.
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

/// A stanza ready to be written to any of our streams: neither `xmlns` nor a prefix for a content namespace on it,
/// nothing in it leans on prefixes of the stream that it came on, `xml:lang` is there if its stream had one.
#[derive(Clone, Debug)]
pub struct Stanza {
    bytes: Bytes,
    kind: Kind,
    from: Domain,
    to: Domain,
    places: Places,
    /// Set for few: see there.
    names: Option<Box<names::Names>>,
}

/// Where in the bytes of a stanza is what its start tag says: raw values, references not resolved.
#[derive(Clone, Debug)]
struct Places {
    from: Span,
    to: Span,
    id: Option<Span>,
    type_: Option<Span>,
    /// There is nothing else: `<message …/>`.
    alone: bool,
}

/// The stream that a stanza came on.
#[derive(Clone, Debug)]
pub struct Origin {
    /// Its content namespace: `jabber:server` or `jabber:component:accept`.
    pub namespace: &'static str,
    /// Prefixes the header declared, "" being the default namespace, in the order of [`framer::Framer::scope`].
    pub scope: Vec<(String, String)>,
    /// `xml:lang` of the header.
    pub lang: Option<String>,
}

impl Stanza {
    /// Takes a framed first-level element in.
    ///
    /// The bytes are not copied when they mean the same on every stream, as those of most stanzas do.
    ///
    /// # Errors
    /// Says why this is no stanza that can go on. The addresses are only checked to be addresses: whether the peer
    /// may use them is for the stream to say. An [`Intake`] does the same for many.
    pub fn admit(element: framer::Element, origin: &Origin) -> Result<Self, Rejection> {
        admit::admit(element, origin, &mut intake::Recent::default()).map_err(|refused| refused.0)
    }

    /// Makes one of the node's own (namespace `jabber:server` or none means the content namespace).
    ///
    /// # Errors
    /// As [`admit`](Self::admit).
    pub fn from_element(element: &xml::Element) -> Result<Self, Rejection> {
        admit::from_element(element)
    }

    /// As it is written to a stream.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// As it is written to a component, where that is not what [`bytes`](Self::bytes) gives: what a component said of
    /// its own content namespace inside other payload is what it was.
    pub fn bytes_for_component(&self) -> Option<Bytes> {
        Some(self.names.as_ref()?.called(xml::ns::COMPONENT, &self.bytes))
    }

    /// What it is for.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Domain of `from`.
    pub fn from_domain(&self) -> &Domain {
        &self.from
    }

    /// Domain of `to`.
    pub fn to_domain(&self) -> &Domain {
        &self.to
    }

    /// The pair when it leaves the node.
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

    /// The `type` attribute as written.
    pub fn type_(&self) -> Option<&str> {
        self.places.type_.map(|place| self.raw(place))
    }

    /// Whether an error may be sent about it: not for `error`, nor an IQ `result` (RFC 6120 8.3.1).
    pub fn is_answerable(&self) -> bool {
        match self.type_().map(xml::unescape).as_deref() {
            Some("error") => false,
            Some("result") => self.kind != Kind::Iq,
            _ => true,
        }
    }

    /// Whether its sender waits for an answer: an IQ `get` or `set`.
    pub fn is_request(&self) -> bool {
        self.kind == Kind::Iq && matches!(self.type_().map(xml::unescape).as_deref(), Some("get" | "set"))
    }

    /// Whether one of its children is that element, under whatever prefix. The stanza is read for it only when its
    /// bytes may name the namespace.
    pub fn has_child(&self, name: &str, namespace: &str) -> bool {
        let text = str::from_utf8(&self.bytes).unwrap_or_default();
        let may_name_it = text.contains(namespace) || text.contains("&#");
        may_name_it && self.element().is_ok_and(|element| element.child(name, namespace).is_some())
    }

    /// The error answer: same kind and id, `to` and `from` swapped, children kept unless the stanza is longer than
    /// [`MAX_ECHO`]; `None` when none may be sent.
    pub fn bounce(&self, error: &Error) -> Option<Self> {
        bounce::bounce(self, error)
    }

    /// The same from the domain `sender` itself.
    #[must_use]
    pub fn sent_by(&self, sender: &Domain) -> Self {
        let from = xml::escape(&sender.wire()).into_owned();
        Self { from: sender.clone(), ..self.readdressed(None, Some(&from)) }
    }

    /// The same for the domain `recipient` itself.
    #[must_use]
    pub fn sent_to(&self, recipient: &Domain) -> Self {
        let to = xml::escape(&recipient.wire()).into_owned();
        Self { to: recipient.clone(), ..self.readdressed(Some(&to), None) }
    }

    /// The same with other values, escaped, in those of its addresses that are given.
    fn readdressed(&self, to: Option<&str>, from: Option<&str>) -> Self {
        let mut anew = [(self.places.to, to), (self.places.from, from)];
        anew.sort_by_key(|(place, _)| place.range().start);
        let mut edits = edits::Edits::default();
        for (place, address) in anew {
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

    /// Takes it out of the memory that it was read into, for a stanza that has to wait: a few bytes of it would keep
    /// all that one read brought.
    #[must_use]
    pub fn detached(self) -> Self {
        Self { bytes: Bytes::copy_from_slice(&self.bytes), ..self }
    }

    /// The whole stanza read with `xml-rs`, in `jabber:server`.
    ///
    /// # Errors
    /// Those of [`xml::Element::parse`]; none is expected but that it is beyond what is read whole.
    pub fn element(&self) -> Result<xml::Element, xml::Error> {
        xml::Element::parse(&self.bytes, &[(String::new(), xml::ns::SERVER.to_owned())])
    }

    fn raw(&self, place: Span) -> &str {
        text(&self.bytes, place)
    }
}

/// Why an element is not a stanza that can go on. [`Reason`] lists what else can be wrong with one stanza.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// Not message, presence or iq in the content namespace (RFC 6120 section 4.9.3.24).
    UnsupportedStanzaType,
    /// In the content namespace of another kind of stream (RFC 6120 section 4.8.3).
    InvalidNamespace,
    /// No `to` or no `from` (RFC 6120 sections 8.1.1.2 and 8.1.2.2).
    Missing(Address),
    /// `to` or `from` is no address.
    Malformed(Address, jid::Error),
    /// Its start tag makes another namespace the default one, and too much in it relies on that.
    Displaced,
    /// `xml-rs` and the framer disagree; never expected.
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
    /// The attribute's name.
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
            Self::Xml(error) => f.write_str(&brief(&error.to_string())),
        }
    }
}

impl std::error::Error for Rejection {}

/// The text at some place in bytes that the framer vouched for.
fn text(bytes: &[u8], place: Span) -> &str {
    str::from_utf8(place.of(bytes)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
