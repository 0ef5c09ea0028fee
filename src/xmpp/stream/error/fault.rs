//! The faults of a peer that end its stream, and the stream error for each.
use super::{Condition, Error};
use crate::{Domain, acks, framer, policy, stanza, truncate::truncate, xml};
use std::fmt;

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

#[cfg(test)]
mod tests {
    use super::*;

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
