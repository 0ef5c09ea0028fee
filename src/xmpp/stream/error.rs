//! Stream errors (RFC 6120 section 4.9), and the mapping from every fault of a peer to a stream error.
use crate::{Domain, acks, framer, policy, stanza, truncate::truncate, xml};
use std::fmt;

/// A stream error (RFC 6120 section 4.9). `Display` gives the condition and the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The defined condition. An unknown one reads as `UndefinedCondition`.
    pub condition: Condition,
    /// The text, which may be empty.
    pub text: String,
    /// The name of the application-specific condition, if there was one.
    pub application: Option<String>,
    /// The other host, with `SeeOtherHost`.
    pub other_host: Option<String>,
    /// The refusal by our policy that this error of ours reports. The peer gets it as the text.
    pub refusal: Option<Box<policy::Refusal>>,
    /// The counts, with `handled-count-too-high` (XEP-0198 section 6).
    pub too_high: Option<acks::TooHigh>,
}

impl Error {
    /// An error with a condition and a text, which may be empty.
    pub fn new(condition: Condition, text: impl Into<String>) -> Self {
        Self {
            condition,
            text: text.into(),
            application: None,
            other_host: None,
            refusal: None,
            too_high: None,
        }
    }

    /// Reads a `<stream:error/>`. Long texts are truncated.
    pub fn parse(element: &xml::Element) -> Self {
        let mut error = Self::new(Condition::UndefinedCondition, "");
        for child in element.elements() {
            match (child.namespace.as_str(), child.name.as_str()) {
                (xml::ns::STREAM_ERRORS, "text") => error.text = truncate(&child.text()).into_owned(),
                (xml::ns::STREAM_ERRORS, name) => {
                    error.condition = Condition::parse(name).unwrap_or(Condition::UndefinedCondition);
                    if error.condition == Condition::SeeOtherHost {
                        error.other_host = Some(truncate(child.text().trim()).into_owned());
                    }
                }
                (_, name) => {
                    error.application = Some(truncate(name).into_owned());
                    error.too_high = acks::TooHigh::parse(child);
                }
            }
        }
        error
    }

    pub(crate) fn element(&self) -> xml::Element {
        let mut condition = xml::Element::new(self.condition.as_str(), xml::ns::STREAM_ERRORS);
        if let Some(host) = &self.other_host {
            condition = condition.with_text(host);
        }
        let mut error = xml::Element::new("error", xml::ns::STREAM).with_child(condition);
        if !self.text.is_empty() {
            let text = xml::Element::new("text", xml::ns::STREAM_ERRORS).with_text(&*self.text);
            error = error.with_child(text);
        }
        match self.too_high {
            Some(too_high) => error.with_child(too_high.element()),
            None => error,
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

/// A fault of a peer that ends its stream. `Display` is the text of the stream error.
///
/// During the handshake any fault ends the stream. On an open stream a stanza that cannot be accepted costs
/// only itself (`stanza::Reason` lists the reasons), and the stream ends only for
/// - XML that is not well-formed, restricted, or not UTF-8: `Bytes`, `Unreadable`;
/// - an element over the size limit: `Bytes`;
/// - a `from` domain that is not proved on the stream: `Spoofed` (a component gets an answer, since its users
///   may type the address);
/// - a `to` domain that is not ours or not proved, under `unknown_recipient = "close"`: `Misdirected`;
/// - a malformed stanza under `malformed_stanza = "close"`: `Stanza`;
/// - the limits against abuse: nesting and width (`Bytes`), failed authentications and tags of an element
///   that is read (`TooMany`);
/// - two faults of acks (XEP-0198): a count of stanzas that were not sent (`TooHigh`), a second `<enable/>`
///   (`EnabledTwice`).
///
/// It also ends by the peer's closing tag or stream error, by a `<starttls/>` out of place (RFC 6120 section
/// 5.4.2.2 requires that), and by decisions of the node: idleness, changed rules, shutdown.
/// [`Fault::ends_established`] is the same list for the compiler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The framer refuses the bytes.
    Bytes(framer::Error),
    /// `xml-rs` cannot read an element that the framer has accepted.
    Unreadable(xml::Error),
    /// The root element is not a stream.
    NotAStream,
    /// The stream has another default namespace.
    ContentNamespace { wanted: &'static str },
    /// `version` is not a version.
    Version(String),
    /// An address of the header or of a dialback element is invalid.
    Address { attribute: &'static str, value: String },
    /// `to` of the header is not a domain of ours.
    UnknownHost(Option<String>),
    /// `to` has changed after authentication.
    OtherHost(Domain),
    /// `from` has changed after authentication, or is a domain of ours.
    From(Domain),
    /// The configuration does not allow the domain to federate.
    Denied(Domain),
    /// The policy for the domain refuses it.
    Refused(Domain, policy::Refusal),
    /// A stanza came before authentication.
    Early,
    /// A stanza came against the direction of the stream.
    AgainstTheStream,
    /// A stanza cannot be accepted.
    Stanza(stanza::Rejection),
    /// The sender of a stanza has not proved itself on this stream.
    Spoofed(Domain),
    /// The sender of a stanza has not proved itself to its recipient on this stream.
    Misdirected(Domain),
    /// An element is not expected at this point.
    Unexpected { name: String },
    /// A first-level element is in the content namespace of another kind of stream.
    ForeignElement { name: String },
    /// The peer requires a feature that is not supported.
    Feature(String),
    /// A response header has no id.
    NoId,
    /// Bytes came between `<proceed/>` and TLS.
    Injected,
    /// A limit is exceeded.
    TooMany(&'static str),
    /// A component does not know the secret of the name that it claims.
    Handshake,
    /// Another connection serves the name.
    NameTaken,
    /// An ack counts stanzas that were not sent.
    TooHigh(acks::TooHigh),
    /// `<enable/>` on a stream that has acks.
    EnabledTwice,
    /// Another connection resumes the same stream.
    Overtaken,
    /// The stream to be resumed has not given its count in time.
    NotYielded,
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        let error = Self::new(fault.condition(), fault.to_string());
        match fault {
            Fault::Refused(_, refusal) => Self { refusal: Some(Box::new(refusal)), ..error },
            Fault::TooHigh(too_high) => {
                Self { application: Some(acks::TooHigh::NAME.to_owned()), too_high: Some(too_high), ..error }
            }
            _ => error,
        }
    }
}

impl From<acks::TooHigh> for Error {
    /// The error of XEP-0198 section 6.
    fn from(too_high: acks::TooHigh) -> Self {
        Fault::TooHigh(too_high).into()
    }
}

impl From<acks::WrongCount> for Error {
    fn from(wrong: acks::WrongCount) -> Self {
        match wrong {
            acks::WrongCount::TooHigh(too_high) => too_high.into(),
            acks::WrongCount::Decreased(decreased) => {
                let acks::Decreased { h, sent, .. } = decreased;
                Self { text: decreased.to_string(), ..acks::TooHigh { h, sent }.into() }
            }
        }
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
    /// Whether an element may end an open stream by this fault: see the list above.
    pub(crate) fn ends_established(&self) -> bool {
        match self {
            Self::Bytes(_)
            | Self::Unreadable(_)
            | Self::Spoofed(_)
            | Self::Misdirected(_)
            | Self::Stanza(_) => true,
            Self::TooMany(_) | Self::TooHigh(_) | Self::EnabledTwice => true,
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
            | Self::NameTaken
            | Self::Overtaken
            | Self::NotYielded => false,
        }
    }

    /// The condition for the fault. This is the only mapping.
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
            Self::Denied(_) | Self::Refused(..) | Self::Injected | Self::TooMany(_) | Self::EnabledTwice => {
                Condition::PolicyViolation
            }
            Self::TooHigh(_) => Condition::UndefinedCondition,
            Self::Early | Self::AgainstTheStream | Self::Handshake => Condition::NotAuthorized,
            Self::NameTaken | Self::Overtaken => Condition::Conflict,
            Self::NotYielded => Condition::ResourceConstraint,
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
            Self::Unreadable(error) => f.write_str(&truncate(&error.to_string())),
            Self::NotAStream => write!(f, "the root element is not <stream/> in {}", xml::ns::STREAM),
            Self::ContentNamespace { wanted } => {
                write!(f, "the stream header must declare {wanted} as its default namespace")
            }
            Self::Version(value) => write!(f, "\"{}\" is not a version", truncate(value)),
            Self::Address { attribute, value } => {
                write!(f, "\"{}\" in '{attribute}' is not a domain", truncate(value))
            }
            Self::UnknownHost(None) => f.write_str("the stream header has no 'to'"),
            Self::UnknownHost(Some(host)) => write!(f, "{host} is not served here"),
            Self::OtherHost(domain) => write!(f, "'to' became {domain} after authentication"),
            Self::From(domain) => write!(f, "'from' of the stream header cannot be {domain}"),
            Self::Denied(domain) => write!(f, "{domain} may not federate with this server"),
            Self::Refused(domain, refusal) => f.write_str(&refusal.explain(domain)),
            Self::Early => f.write_str("stanzas are not allowed before authentication"),
            Self::AgainstTheStream => f.write_str("this stream carries stanzas in the other direction only"),
            Self::Stanza(rejection) => rejection.fmt(f),
            Self::Spoofed(domain) => write!(f, "{domain} is not authenticated on this stream"),
            Self::Misdirected(domain) => write!(f, "no domain is authenticated to {domain} on this stream"),
            Self::Unexpected { name } => write!(f, "unexpected element <{}/>", truncate(name)),
            Self::ForeignElement { name } => {
                write!(
                    f,
                    "<{}/> is in the wrong content namespace (that of another kind of stream)",
                    truncate(name)
                )
            }
            Self::Feature(name) => {
                write!(f, "the required feature <{}/> is not supported", truncate(name))
            }
            Self::NoId => f.write_str("the stream header has no 'id'"),
            Self::Injected => f.write_str("bytes in clear text after <proceed/>"),
            Self::TooMany(what) => write!(f, "too many {what}"),
            Self::Handshake => f.write_str("wrong secret"),
            Self::NameTaken => f.write_str("another connection serves this name"),
            Self::TooHigh(too_high) => too_high.fmt(f),
            Self::EnabledTwice => f.write_str("<enable/> on a stream that has acks"),
            Self::Overtaken => f.write_str("another connection resumes the same stream"),
            Self::NotYielded => f.write_str("the stream is still being processed: try to resume it later"),
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
    /// The name of the element.
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

    // H9
    #[test]
    fn a_count_that_is_too_high_is_written_and_read() {
        let error = Error::from(acks::TooHigh { h: 10, sent: 8 });
        assert_eq!(error.condition, Condition::UndefinedCondition);
        assert_eq!(Error::parse(&error.element()), error);
        let written = error.element().write(xml::ns::SERVER, &[("stream", xml::ns::STREAM)]);
        let detail = r#"<handled-count-too-high xmlns="urn:xmpp:sm:3" h="10" send-count="8"/>"#;
        assert!(written.contains(detail), "{written}");
    }

    // H9
    #[test]
    fn a_count_that_decreases_has_the_condition_of_one_that_is_too_high_and_its_own_text() {
        let error = Error::from(acks::WrongCount::Decreased(acks::Decreased { h: 4, acked: 5, sent: 8 }));
        assert_eq!(error.condition, Condition::UndefinedCondition);
        assert_eq!(error.text, "'h' is 4, and 5 stanzas were acknowledged before");
        assert_eq!(Error::parse(&error.element()), error);
        assert_eq!(error.application.as_deref(), Some("handled-count-too-high"));
        assert_eq!(error.too_high, Some(acks::TooHigh { h: 4, sent: 8 }));
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
    fn every_fault_of_bytes_and_stanzas_has_its_condition() {
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
