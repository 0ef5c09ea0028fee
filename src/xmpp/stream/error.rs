//! Stream errors (RFC 6120 section 4.9) and the one place where every other error becomes one.
use crate::{Domain, brief::brief, framer, policy, stanza, xml};
use std::fmt;

/// What ends a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// one of the defined ones; what a peer makes up reads as `UndefinedCondition`
    pub condition: Condition,
    /// plain words, may be empty
    pub text: String,
    /// name of an application-specific condition, if one was there
    pub application: Option<String>,
    /// with `SeeOtherHost`: where
    pub other_host: Option<String>,
}

impl Error {
    /// An error with a text, which may be empty.
    pub fn new(condition: Condition, text: impl Into<String>) -> Self {
        Self { condition, text: text.into(), application: None, other_host: None }
    }

    /// Reads a `<stream:error/>`, as much of its texts as is worth being repeated.
    pub fn parse(element: &xml::Element) -> Self {
        let mut error = Self::new(Condition::UndefinedCondition, "");
        for child in element.elements() {
            match (child.namespace.as_str(), child.name.as_str()) {
                (xml::ns::STREAM_ERRORS, "text") => error.text = brief(&child.text()).into_owned(),
                (xml::ns::STREAM_ERRORS, name) => {
                    error.condition = Condition::parse(name).unwrap_or(Condition::UndefinedCondition);
                    if error.condition == Condition::SeeOtherHost {
                        error.other_host = Some(brief(child.text().trim()).into_owned());
                    }
                }
                (_, name) => error.application = Some(brief(name).into_owned()),
            }
        }
        error
    }

    pub(crate) fn element(&self) -> xml::Element {
        let mut condition = xml::Element::new(self.condition.as_str(), xml::ns::STREAM_ERRORS);
        if let Some(host) = &self.other_host {
            condition = condition.with_text(host);
        }
        let error = xml::Element::new("error", xml::ns::STREAM).with_child(condition);
        match self.text.as_str() {
            "" => error,
            text => error.with_child(xml::Element::new("text", xml::ns::STREAM_ERRORS).with_text(text)),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.condition.as_str())?;
        if let Some(application) = &self.application {
            write!(f, ", {application}")?;
        }
        match self.text.as_str() {
            "" => Ok(()),
            text => write!(f, " ({text})"),
        }
    }
}

impl std::error::Error for Error {}

/// What a peer did that ends its stream.
///
/// While a stream is set up, any of these does. Once a domain is proved on it (or a component is served) a stanza that
/// cannot be accepted costs itself (`stanza::Reason` lists those), and the stream ends for nothing but
/// - XML that is not well-formed, or restricted, or not UTF-8: `Bytes`, `Unreadable`;
/// - an element over the size limit: `Bytes`;
/// - a `from` domain that the stream did not prove: `Spoofed` (a component's is answered, since its users may type it);
/// - a `to` domain that is not ours or not proved, under `unknown_recipient = "close"`: `Misdirected`;
/// - a malformed stanza under `malformed_stanza = "close"`: `Stanza`;
/// - the limits against abuse: nesting and width (`Bytes`), failed authentications and tags of an element that is read
///   (`TooMany`).
///
/// Beside these it ends by its own closing tag or stream error, by a `<starttls/>` out of place (RFC 6120 section
/// 5.4.2.2 demands that), and by what the node decides: idleness, rules that changed, shutdown. [`Fault::ends_established`]
/// is the same list for the compiler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// the bytes
    Bytes(framer::Error),
    /// an element that the framer let pass and `xml-rs` does not read
    Unreadable(xml::Error),
    /// the root element is no stream
    NotAStream,
    /// the default namespace of the stream is another
    ContentNamespace { wanted: &'static str },
    /// `version` is no version
    Version(String),
    /// an address of the header or of a dialback element
    Address { attribute: &'static str, value: String },
    /// `to` of the header is no domain of ours
    UnknownHost(Option<String>),
    /// `to` changed after authentication
    OtherHost(Domain),
    /// `from` changed after authentication, or it is ours
    From(Domain),
    /// the configuration does not let it federate
    Denied(Domain),
    /// the policy for it
    Refused(Domain, policy::Refusal),
    /// a stanza before authentication
    Early,
    /// a stanza that goes against the stream's direction
    AgainstTheStream,
    /// a stanza that cannot be taken in
    Stanza(stanza::Rejection),
    /// a stanza whose sender did not prove itself on this stream
    Spoofed(Domain),
    /// a stanza for somebody to whom its sender did not prove itself on this stream
    Misdirected(Domain),
    /// an element that has no place here
    Unexpected { name: String },
    /// a first-level element in the namespace of another kind of stream
    ForeignElement { name: String },
    /// a feature without which the peer does not go on
    Feature(String),
    /// no id in a response header
    NoId,
    /// bytes between `<proceed/>` and TLS
    Injected,
    /// a budget is spent
    TooMany(&'static str),
    /// a component does not know the secret of the name that it claims
    Handshake,
    /// another connection serves that name
    NameTaken,
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        let text = fault.to_string();
        Self::new(fault.condition(), text)
    }
}

impl From<framer::Error> for Fault {
    fn from(error: framer::Error) -> Self {
        Self::Bytes(error)
    }
}

impl From<xml::Error> for Fault {
    fn from(error: xml::Error) -> Self {
        Self::Unreadable(error)
    }
}

impl From<stanza::Rejection> for Fault {
    fn from(rejection: stanza::Rejection) -> Self {
        Self::Stanza(rejection)
    }
}

impl Fault {
    /// Whether an element of an established stream may end it by this: see the list above.
    pub(crate) fn ends_established(&self) -> bool {
        match self {
            Self::Bytes(_)
            | Self::Unreadable(_)
            | Self::Spoofed(_)
            | Self::Misdirected(_)
            | Self::Stanza(_) => true,
            Self::TooMany(_) => true,
            Self::NotAStream
            | Self::ContentNamespace { .. }
            | Self::Version(_)
            | Self::Address { .. }
            | Self::UnknownHost(_)
            | Self::OtherHost(_)
            | Self::From(_)
            | Self::Denied(_)
            | Self::Refused(..)
            | Self::Early
            | Self::AgainstTheStream
            | Self::Unexpected { .. }
            | Self::ForeignElement { .. }
            | Self::Feature(_)
            | Self::NoId
            | Self::Injected
            | Self::Handshake
            | Self::NameTaken => false,
        }
    }

    /// The one mapping from what went wrong to what the peer is told.
    fn condition(&self) -> Condition {
        use stanza::Rejection;
        match self {
            Self::Bytes(error) => match error {
                framer::Error::NotWellFormed(_) => Condition::NotWellFormed,
                framer::Error::Restricted(_) => Condition::RestrictedXml,
                framer::Error::Misplaced(_) => Condition::BadFormat,
                framer::Error::UnsupportedEncoding => Condition::UnsupportedEncoding,
                framer::Error::TooLarge { .. } | framer::Error::TooComplex { .. } => {
                    Condition::PolicyViolation
                }
            },
            Self::Unreadable(_) => Condition::NotWellFormed,
            Self::NotAStream | Self::ContentNamespace { .. } | Self::ForeignElement { .. } => {
                Condition::InvalidNamespace
            }
            Self::Version(_) => Condition::UnsupportedVersion,
            Self::Address { .. } => Condition::ImproperAddressing,
            Self::UnknownHost(_) | Self::OtherHost(_) | Self::Misdirected(_) => Condition::HostUnknown,
            Self::From(_) | Self::Spoofed(_) => Condition::InvalidFrom,
            Self::Denied(_) | Self::Refused(..) | Self::Injected | Self::TooMany(_) => {
                Condition::PolicyViolation
            }
            Self::Early | Self::AgainstTheStream | Self::Handshake => Condition::NotAuthorized,
            Self::NameTaken => Condition::Conflict,
            Self::Stanza(rejection) => match rejection {
                Rejection::UnsupportedStanzaType => Condition::UnsupportedStanzaType,
                Rejection::InvalidNamespace => Condition::InvalidNamespace,
                Rejection::Missing(_) | Rejection::Malformed(..) => Condition::ImproperAddressing,
                Rejection::Displaced => Condition::PolicyViolation,
                Rejection::Xml(_) => Condition::NotWellFormed,
            },
            Self::Unexpected { .. } => Condition::UnsupportedStanzaType,
            Self::Feature(_) => Condition::UnsupportedFeature,
            Self::NoId => Condition::BadFormat,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(error) => error.fmt(f),
            Self::Unreadable(error) => f.write_str(&brief(&error.to_string())),
            Self::NotAStream => write!(f, "the root element is not <stream/> in {}", xml::ns::STREAM),
            Self::ContentNamespace { wanted } => {
                write!(f, "the stream header must declare {wanted} as its default namespace")
            }
            Self::Version(value) => write!(f, "\"{}\" is not a version", brief(value)),
            Self::Address { attribute, value } => {
                write!(f, "\"{}\" in '{attribute}' is not a domain", brief(value))
            }
            Self::UnknownHost(None) => f.write_str("the stream header has no 'to'"),
            Self::UnknownHost(Some(host)) => write!(f, "{host} is not served here"),
            Self::OtherHost(domain) => write!(f, "'to' became {domain} after authentication"),
            Self::From(domain) => write!(f, "this stream cannot be from {domain}"),
            Self::Denied(domain) => write!(f, "{domain} may not federate with this server"),
            Self::Refused(domain, refusal) => f.write_str(&refusal.explain(domain)),
            Self::Early => f.write_str("no stanza before authentication"),
            Self::AgainstTheStream => f.write_str("this stream carries stanzas in the other direction only"),
            Self::Stanza(rejection) => rejection.fmt(f),
            Self::Spoofed(domain) => write!(f, "{domain} is not authenticated on this stream"),
            Self::Misdirected(domain) => write!(f, "no domain is authenticated to {domain} on this stream"),
            Self::Unexpected { name } => write!(f, "unexpected element <{}/>", brief(name)),
            Self::ForeignElement { name } => {
                write!(
                    f,
                    "<{}/> is in the wrong content namespace (that of another kind of stream)",
                    brief(name)
                )
            }
            Self::Feature(name) => {
                write!(f, "feature <{}/> is required and not known here", brief(name))
            }
            Self::NoId => f.write_str("the stream header has no 'id'"),
            Self::Injected => f.write_str("bytes in clear text after <proceed/>"),
            Self::TooMany(what) => write!(f, "too many {what}"),
            Self::Handshake => f.write_str("wrong secret"),
            Self::NameTaken => f.write_str("another connection serves this name"),
        }
    }
}

/// The conditions of RFC 6120 section 4.9.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Condition {
    BadFormat,
    BadNamespacePrefix,
    Conflict,
    ConnectionTimeout,
    HostGone,
    HostUnknown,
    ImproperAddressing,
    InternalServerError,
    InvalidFrom,
    InvalidNamespace,
    InvalidXml,
    NotAuthorized,
    NotWellFormed,
    PolicyViolation,
    RemoteConnectionFailed,
    Reset,
    ResourceConstraint,
    RestrictedXml,
    SeeOtherHost,
    SystemShutdown,
    UndefinedCondition,
    UnsupportedEncoding,
    UnsupportedFeature,
    UnsupportedStanzaType,
    UnsupportedVersion,
}

impl Condition {
    /// The element's name.
    pub fn as_str(self) -> &'static str {
        CONDITIONS
            .iter()
            .find(|(condition, _)| *condition == self)
            .map_or("undefined-condition", |(_, name)| name)
    }

    /// The condition with that element name.
    pub fn parse(name: &str) -> Option<Self> {
        CONDITIONS.iter().find(|(_, known)| *known == name).map(|(condition, _)| *condition)
    }
}

const CONDITIONS: [(Condition, &str); 25] = [
    (Condition::BadFormat, "bad-format"),
    (Condition::BadNamespacePrefix, "bad-namespace-prefix"),
    (Condition::Conflict, "conflict"),
    (Condition::ConnectionTimeout, "connection-timeout"),
    (Condition::HostGone, "host-gone"),
    (Condition::HostUnknown, "host-unknown"),
    (Condition::ImproperAddressing, "improper-addressing"),
    (Condition::InternalServerError, "internal-server-error"),
    (Condition::InvalidFrom, "invalid-from"),
    (Condition::InvalidNamespace, "invalid-namespace"),
    (Condition::InvalidXml, "invalid-xml"),
    (Condition::NotAuthorized, "not-authorized"),
    (Condition::NotWellFormed, "not-well-formed"),
    (Condition::PolicyViolation, "policy-violation"),
    (Condition::RemoteConnectionFailed, "remote-connection-failed"),
    (Condition::Reset, "reset"),
    (Condition::ResourceConstraint, "resource-constraint"),
    (Condition::RestrictedXml, "restricted-xml"),
    (Condition::SeeOtherHost, "see-other-host"),
    (Condition::SystemShutdown, "system-shutdown"),
    (Condition::UndefinedCondition, "undefined-condition"),
    (Condition::UnsupportedEncoding, "unsupported-encoding"),
    (Condition::UnsupportedFeature, "unsupported-feature"),
    (Condition::UnsupportedStanzaType, "unsupported-stanza-type"),
    (Condition::UnsupportedVersion, "unsupported-version"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_condition_reads_as_it_is_written() {
        for (condition, _) in CONDITIONS {
            let error = Error::new(condition, "why <not>");
            let mut read = Error::parse(&error.element());
            read.other_host = None;
            assert_eq!(read, error);
        }
    }

    // B32
    #[test]
    fn a_made_up_condition_is_undefined() {
        let error = xml::Element::new("error", xml::ns::STREAM)
            .with_child(xml::Element::new("tired", xml::ns::STREAM_ERRORS))
            .with_child(xml::Element::new("nap", "urn:example"));
        let error = Error::parse(&error);
        assert_eq!(error.condition, Condition::UndefinedCondition);
        assert_eq!(error.to_string(), "undefined-condition, nap");
    }

    // B33
    #[test]
    fn another_host_is_read_with_its_port() {
        let condition =
            xml::Element::new("see-other-host", xml::ns::STREAM_ERRORS).with_text("[2001:db8::1]:5270");
        let error = Error::parse(&xml::Element::new("error", xml::ns::STREAM).with_child(condition));
        assert_eq!(error.other_host.as_deref(), Some("[2001:db8::1]:5270"));
    }

    // E20, E21, E22, E24, E1, E3, E5
    #[test]
    fn what_is_wrong_with_bytes_and_stanzas_has_its_condition() {
        for (fault, condition) in [
            (Fault::Bytes(framer::Error::NotWellFormed("tag")), Condition::NotWellFormed),
            (Fault::Bytes(framer::Error::Restricted("comment")), Condition::RestrictedXml),
            (Fault::Bytes(framer::Error::Misplaced("text")), Condition::BadFormat),
            (Fault::Bytes(framer::Error::UnsupportedEncoding), Condition::UnsupportedEncoding),
            (Fault::Bytes(framer::Error::TooLarge { limit: 1 }), Condition::PolicyViolation),
            (Fault::Stanza(stanza::Rejection::Missing(stanza::Address::To)), Condition::ImproperAddressing),
            (Fault::Stanza(stanza::Rejection::InvalidNamespace), Condition::InvalidNamespace),
        ] {
            assert_eq!(Error::from(fault).condition, condition);
        }
    }
}
