//! Stanzas that pass through, and their error answers (RFC 6120 section 8).
use crate::{Domain, DomainPair, framer, jid, xml};
use bytes::Bytes;
use std::{borrow::Cow, fmt};

/// message, presence or iq.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Kind {
    Message,
    Presence,
    Iq,
}

/// A stanza ready to be written to any of our streams: no `xmlns` of a content namespace on it,
/// nothing in it leans on prefixes of the stream that it came on, `xml:lang` is there if its stream had one.
#[derive(Clone, Debug)]
pub struct Stanza {
    bytes: Bytes,
    kind: Kind,
    from: Domain,
    to: Domain,
}

/// The stream that a stanza came on.
#[derive(Clone, Debug)]
pub struct Origin {
    /// its content namespace: `jabber:server` or `jabber:component:accept`
    pub namespace: &'static str,
    /// prefixes the header declared, "" being the default namespace
    pub scope: Vec<(String, String)>,
    /// `xml:lang` of the header
    pub lang: Option<String>,
}

/// Why an element is not a stanza that can go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// not message, presence or iq in the content namespace (RFC 6120 4.9.3.24); the namespace was a known content namespace of another kind of stream: `InvalidNamespace`
    UnsupportedStanzaType,
    /// RFC 6120 4.8.3
    InvalidNamespace,
    /// no `to` or no `from` (RFC 6120 8.1.1.2, 8.1.2.2)
    ImproperAddressing(&'static str),
    /// `to` or `from` is no address
    Malformed(&'static str, jid::Error),
    /// `xml-rs` and the framer disagree; never expected
    Xml(xml::Error),
}

impl Stanza {
    /// Takes a framed first-level element in.
    pub fn admit(_element: framer::Element, _origin: &Origin) -> Result<Self, Rejection> {
        todo!()
    }
    /// Makes one of the node's own (namespace `jabber:server` or none means the content namespace).
    pub fn from_element(_element: &xml::Element) -> Result<Self, Rejection> {
        todo!()
    }
    /// As it is written to a stream.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }
    #[allow(missing_docs)]
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
    #[allow(missing_docs)]
    pub fn from(&self) -> Cow<'_, str> {
        todo!()
    }
    #[allow(missing_docs)]
    pub fn to(&self) -> Cow<'_, str> {
        todo!()
    }
    #[allow(missing_docs)]
    pub fn id(&self) -> Option<Cow<'_, str>> {
        todo!()
    }
    /// The `type` attribute as written.
    pub fn type_(&self) -> Option<&str> {
        todo!()
    }
    /// Whether an error may be sent about it: not for `error`, nor an IQ `result` (RFC 6120 8.3.1).
    pub fn is_answerable(&self) -> bool {
        todo!()
    }
    /// The error answer: same kind and id, `to` and `from` swapped, children kept unless the stanza is longer than
    /// `MAX_ECHO`; `None` when none may be sent.
    pub fn bounce(&self, _error: &Error) -> Option<Self> {
        todo!()
    }
    /// The whole stanza read with `xml-rs`, in `jabber:server`.
    pub fn element(&self) -> Result<xml::Element, xml::Error> {
        todo!()
    }
}

/// error types of RFC 6120 8.3.2
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum ErrorType {
    Auth,
    Cancel,
    Continue,
    Modify,
    Wait,
}
/// defined conditions of RFC 6120 8.3.3 that this node uses or reads
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Condition {
    BadRequest,
    Conflict,
    FeatureNotImplemented,
    Forbidden,
    Gone,
    InternalServerError,
    ItemNotFound,
    JidMalformed,
    NotAcceptable,
    NotAllowed,
    NotAuthorized,
    PolicyViolation,
    RecipientUnavailable,
    Redirect,
    RegistrationRequired,
    RemoteServerNotFound,
    RemoteServerTimeout,
    ResourceConstraint,
    ServiceUnavailable,
    SubscriptionRequired,
    UndefinedCondition,
    UnexpectedRequest,
}
impl Condition {
    /// The element's name.
    pub fn as_str(self) -> &'static str {
        todo!()
    }
    /// The condition with that element name.
    pub fn parse(_name: &str) -> Option<Self> {
        todo!()
    }
}
/// What an error answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// type
    pub type_: ErrorType,
    /// condition
    pub condition: Condition,
    /// plain words: what went wrong and where
    pub text: String,
}
impl Error {
    /// The `<error/>` element, in `namespace`.
    pub fn element(&self, _namespace: &str) -> xml::Element {
        todo!()
    }
    /// Reads an `<error/>` element.
    pub fn parse(_element: &xml::Element) -> Self {
        todo!()
    }
}
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.condition.as_str(), self.text)
    }
}
