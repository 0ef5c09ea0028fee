//! A refused stanza on a stream that goes on: the reasons, the error for each, and the answer.

use super::edits::Edits;
use super::{
    Address, Condition, Error, ErrorType, Kind, MAX_ECHO, Origin, Rejection, Stanza,
    admit::{self, Recent},
};
use crate::{
    Domain,
    framer::{Frame, Framer, RawElement},
    jid::Jid,
    truncate::truncate,
    xml::{self, ns},
};
use bytes::BytesMut;
use std::{borrow::Cow, fmt};

/// Declares each reason once: variant, name in metrics, and description.
macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident => $name:literal,)*) => {
        /// The reason why one stanza is refused while its stream goes on. This is the complete list.
        /// `stream::error::Fault` has the reasons that end a stream.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reason {
            $($(#[$doc])* $variant,)*
        }

        impl Reason {
            /// All reasons.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name in logs and metrics.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

reasons! {
    /// A first-level element that is no stanza, and no element of a negotiation (RFC 6120 section 4.9.3.24).
    NotAStanza => "not-a-stanza",
    /// A stanza in the content namespace of another kind of stream (section 4.8.3).
    Namespace => "wrong-namespace",
    /// No `to` (section 8.1.1.2).
    NoTo => "no-to",
    /// No `from` (section 8.1.2.2).
    NoFrom => "no-from",
    /// `to` is not an address.
    BadTo => "bad-to",
    /// `from` is not an address.
    BadFrom => "bad-from",
    /// A component sends in the name of a domain that it does not serve.
    ForeignFrom => "foreign-from",
    /// It is for a domain of ours that its sender did not prove itself to (with `unknown_recipient =
    /// "bounce"`).
    NotProved => "not-proved",
    /// It is for a domain that is not ours (with `unknown_recipient = "bounce"`).
    NotServed => "not-served",
    /// The rules of its component do not permit the remote address.
    Denied => "denied",
    /// It has another default namespace in too many places.
    Displaced => "displaced-namespace",
    /// It is longer than its sender may send, and short enough to be read to its end.
    TooLarge => "too-large",
    /// `xml-rs` and the framer disagree. Not expected.
    Unreadable => "unreadable",
}

impl Reason {
    /// Whether it is a stanza that was refused. The peer counts stanzas only (XEP-0198 section 4).
    pub fn is_about_a_stanza(self) -> bool {
        self != Self::NotAStanza
    }

    /// The stanza error for the reason (RFC 6120 section 8.3.3). This is the only mapping.
    pub fn error(self, text: impl Into<String>) -> Error {
        let (type_, condition) = match self {
            Self::BadTo | Self::BadFrom => (ErrorType::Modify, Condition::JidMalformed),
            Self::NotAStanza | Self::Namespace | Self::NoTo | Self::NoFrom | Self::Unreadable => {
                (ErrorType::Modify, Condition::BadRequest)
            }
            Self::ForeignFrom => (ErrorType::Auth, Condition::Forbidden),
            Self::NotProved => (ErrorType::Auth, Condition::NotAuthorized),
            Self::NotServed => (ErrorType::Cancel, Condition::ItemNotFound),
            // The configuration of the component may have another one.
            Self::Denied => (ErrorType::Cancel, Condition::NotAllowed),
            Self::Displaced | Self::TooLarge => (ErrorType::Modify, Condition::PolicyViolation),
        };
        Error { type_, condition, text: text.into() }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Rejection {
    /// The reason for the refusal.
    pub fn reason(&self) -> Reason {
        match self {
            Self::UnsupportedStanzaType => Reason::NotAStanza,
            Self::InvalidNamespace => Reason::Namespace,
            Self::Missing(Address::To) => Reason::NoTo,
            Self::Missing(Address::From) => Reason::NoFrom,
            Self::Malformed(Address::To, _) => Reason::BadTo,
            Self::Malformed(Address::From, _) => Reason::BadFrom,
            Self::Displaced => Reason::Displaced,
            Self::Xml(_) => Reason::Unreadable,
        }
    }
}

/// A stanza that its stream has refused. The stream goes on.
#[derive(Clone, Debug)]
pub struct Refused {
    /// The reason.
    pub reason: Reason,
    /// The reason as a sentence.
    pub text: String,
    /// The domain of ours that it is counted for.
    pub local: Domain,
    /// The domain that it came from: one that is proved on the stream.
    pub remote: Domain,
    /// Its length in bytes.
    pub bytes: usize,
    /// The error answer; `None` when it may have none.
    pub answer: Option<Stanza>,
    /// The addresses, with [`Reason::Denied`].
    pub denied: Option<Denied>,
}

/// The addresses of a stanza that the rules of a component do not permit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// The sender, without a resource.
    pub from: String,
    /// The recipient, without a resource.
    pub to: String,
    /// Whether the component sent it.
    pub by_component: bool,
}

impl Denied {
    /// The addresses of a stanza.
    pub(crate) fn of(stanza: &Stanza, by_component: bool) -> Self {
        let bare =
            |address: &str| truncate(address.split_once('/').map_or(address, |(bare, _)| bare)).into_owned();
        Self { from: bare(&stanza.from()), to: bare(&stanza.to()), by_component }
    }
}

/// The rejection of an element as a sentence.
pub(crate) fn explain(element: &RawElement, rejection: &Rejection) -> String {
    match rejection {
        Rejection::UnsupportedStanzaType => {
            format!("unexpected element <{}/>", truncate(super::text(&element.bytes, element.head.name)))
        }
        Rejection::Malformed(address, error) => {
            let value = value(element, *address).unwrap_or_default();
            format!("bad '{}' of a stanza, \"{}\": {error}", address.as_str(), truncate(&value))
        }
        other => other.to_string(),
    }
}

/// The domain in an address attribute. The rest of the address may be invalid.
pub(crate) fn domain(element: &RawElement, address: Address) -> Option<Domain> {
    let value = value(element, address)?;
    let bare = value.split_once('/').map_or(&*value, |(bare, _)| bare);
    Domain::new(bare.split_once('@').map_or(bare, |(_, domain)| domain)).ok()
}

/// The domain in an address attribute, if the address is valid.
pub(crate) fn sound_domain(element: &RawElement, address: Address) -> Option<Domain> {
    Domain::new(Jid::parse(&value(element, address)?).ok()?.domain).ok()
}

fn value(element: &RawElement, address: Address) -> Option<Cow<'_, str>> {
    let place = match address {
        Address::To => element.head.to,
        Address::From => element.head.from,
    };
    Some(xml::unescape(super::text(&element.bytes, place?)))
}

/// The kind of a stanza that may be answered: no error and no result.
fn answerable(element: &RawElement) -> Option<Kind> {
    let kind = Kind::parse(admit::local_name(&element.bytes, &element.head))?;
    let type_ = element.head.kind.map(|place| xml::unescape(super::text(&element.bytes, place)));
    match type_.as_deref() {
        Some("error") => None,
        Some("result") if kind == Kind::Iq => None,
        _ => Some(kind),
    }
}

/// The error answer to a refused element: see [`Intake::answer`](super::Intake::answer).
///
/// The answer never repeats an invalid address: a peer that checks addresses as we do would refuse the
/// answer. So it comes from a domain and not from the malformed recipient, although RFC 6120 section 8.3.1
/// swaps the two.
pub(super) fn answer(
    element: &RawElement,
    origin: &Origin,
    from: &Domain,
    to: Option<&Domain>,
    error: &Error,
) -> Option<Stanza> {
    let kind = answerable(element)?;
    let echo = if element.bytes.len() <= MAX_ECHO { readdressed(element, origin, from, to) } else { None };
    match echo {
        Some(stanza) => stanza.bounce(error),
        None => bare(element, kind, from, to, error),
    }
}

/// The element as a stanza with valid addresses; `None` when something else is wrong with it.
fn readdressed(
    element: &RawElement,
    origin: &Origin,
    recipient: &Domain,
    sender: Option<&Domain>,
) -> Option<Stanza> {
    let RawElement { bytes, head } = element;
    let recipient = xml::escape(&recipient.wire()).into_owned();
    let sender = sender.map(|sender| xml::escape(&sender.wire()).into_owned());
    let mut missing = String::new();
    let mut present = Vec::new();
    for (name, place, value) in [("to", head.to, Some(&recipient)), ("from", head.from, sender.as_ref())] {
        match (place, value) {
            (Some(place), Some(value)) => present.push((place.range(), value)),
            (None, Some(value)) => missing.extend([" ", name, "='", value.as_str(), "'"]),
            (_, None) => {}
        }
    }
    present.sort_by_key(|(place, _)| place.start);
    let mut edits = Edits::default();
    edits.insert(head.name.range().end, &missing);
    for (place, value) in present {
        edits.replace(place, value);
    }
    let mut written = BytesMut::from(&edits.apply(bytes)[..]);
    let Ok(Some(Frame::Element(element))) = Framer::inside(origin.scope.clone()).next(&mut written) else {
        return None;
    };
    admit::admit(element, origin, &mut Recent::default()).ok()
}

/// An answer with the addresses and the id only.
fn bare(
    element: &RawElement,
    kind: Kind,
    from: &Domain,
    to: Option<&Domain>,
    error: &Error,
) -> Option<Stanza> {
    let value = |place| xml::escape(&xml::unescape(super::text(&element.bytes, place))).into_owned();
    let to = match to {
        Some(to) => xml::escape(&to.wire()).into_owned(),
        None => value(element.head.from?),
    };
    let mut answer =
        format!("<{} type='error' to='{to}' from='{}'", kind.as_str(), xml::escape(&from.wire()));
    if let Some(id) = element.head.id {
        answer.extend([" id='", &*value(id), "'"]);
    }
    answer.push('>');
    answer.push_str(&error.element(ns::SERVER).write(ns::SERVER, &[]));
    answer.extend(["</", kind.as_str(), ">"]);
    admit::take_own(admit::frame(&answer).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_name_and_an_error_of_its_own_kind() {
        let mut names: Vec<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Reason::ALL.len());
        for reason in Reason::ALL {
            let error = reason.error("why");
            assert_ne!(error.condition, Condition::UndefinedCondition, "{reason}");
            assert_eq!(error.text, "why");
        }
    }
}
