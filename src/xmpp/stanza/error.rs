//! Stanza errors (RFC 6120 sections 8.3.2 and 8.3.3).

use crate::{
    truncate::truncate,
    xml::{self, ns},
};
use std::fmt;

/// A stanza error. `Display` gives the condition and the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The possible reaction of the sender.
    pub type_: ErrorType,
    /// The defined condition.
    pub condition: Condition,
    /// The text: what is wrong and where.
    pub text: String,
}

impl Error {
    /// The `<error/>` element, in `namespace`.
    pub fn element(&self, namespace: &str) -> xml::Element {
        let error = xml::Element::new("error", namespace)
            .with("type", self.type_.as_str())
            .with_child(xml::Element::new(self.condition.as_str(), ns::STANZA_ERRORS));
        if self.text.is_empty() {
            return error;
        }
        let text = xml::Element::new("text", ns::STANZA_ERRORS).with_lang("en").with_text(&*self.text);
        error.with_child(text)
    }

    /// Reads an `<error/>` element. Unknown or missing values read as `cancel`, `undefined-condition` and no
    /// text. A long text is truncated.
    pub fn parse(element: &xml::Element) -> Self {
        let inside = || element.elements().filter(|child| child.namespace == ns::STANZA_ERRORS);
        Self {
            type_: element.attribute("type").and_then(ErrorType::parse).unwrap_or(ErrorType::Cancel),
            condition: inside()
                .find_map(|child| Condition::parse(&child.name))
                .unwrap_or(Condition::UndefinedCondition),
            text: inside()
                .find(|child| child.name == "text")
                .map(|text| truncate(&text.text()).into_owned())
                .unwrap_or_default(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.text.as_str() {
            "" => f.write_str(self.condition.as_str()),
            text => write!(f, "{} ({text})", self.condition.as_str()),
        }
    }
}

/// The possible reaction of the sender to an error (RFC 6120 section 8.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorType {
    /// Retry after authentication.
    Auth,
    /// Do not retry.
    Cancel,
    /// Continue: it was only a warning.
    Continue,
    /// Retry with other data.
    Modify,
    /// Retry later: the cause is temporary.
    Wait,
}

impl ErrorType {
    /// The value of the attribute `type`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Cancel => "cancel",
            Self::Continue => "continue",
            Self::Modify => "modify",
            Self::Wait => "wait",
        }
    }

    /// The type with that value.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Auth, Self::Cancel, Self::Continue, Self::Modify, Self::Wait]
            .into_iter()
            .find(|type_| type_.as_str() == text)
    }
}

/// Declares each condition once: variant, element name, and its meaning in the RFC as documentation.
macro_rules! conditions {
    ($($(#[$doc:meta])* $variant:ident => $name:literal,)*) => {
        /// The defined conditions of stanza errors (RFC 6120 section 8.3.3).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Condition {
            $($(#[$doc])* $variant,)*
        }

        impl Condition {
            /// The name of the element.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// The condition with that element name.
            pub fn parse(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

conditions! {
    /// The stanza breaks the schema.
    BadRequest => "bad-request",
    /// Something with that name or address exists already.
    Conflict => "conflict",
    /// The feature is not implemented.
    FeatureNotImplemented => "feature-not-implemented",
    /// The sender lacks permission.
    Forbidden => "forbidden",
    /// The recipient is no longer at this address.
    Gone => "gone",
    /// An internal fault of the server.
    InternalServerError => "internal-server-error",
    /// The address or item cannot be found.
    ItemNotFound => "item-not-found",
    /// An address in it is invalid.
    JidMalformed => "jid-malformed",
    /// It does not meet criteria of the recipient.
    NotAcceptable => "not-acceptable",
    /// No entity may do this.
    NotAllowed => "not-allowed",
    /// The sender has to authenticate first.
    NotAuthorized => "not-authorized",
    /// It violates a local policy.
    PolicyViolation => "policy-violation",
    /// The recipient is temporarily unavailable.
    RecipientUnavailable => "recipient-unavailable",
    /// The recipient redirects requests for now.
    Redirect => "redirect",
    /// The sender has to register first.
    RegistrationRequired => "registration-required",
    /// The authoritative server could not be reached. Used by dialback only (XEP-0220 section 2.5).
    RemoteConnectionFailed => "remote-connection-failed",
    /// The recipient's domain does not exist or has no XMPP service.
    RemoteServerNotFound => "remote-server-not-found",
    /// The recipient's domain exists and could not be reached in time.
    RemoteServerTimeout => "remote-server-timeout",
    /// A server lacks resources.
    ResourceConstraint => "resource-constraint",
    /// The requested service is not available here.
    ServiceUnavailable => "service-unavailable",
    /// The sender has to subscribe first.
    SubscriptionRequired => "subscription-required",
    /// None of the others.
    UndefinedCondition => "undefined-condition",
    /// It was understood, but was not expected at this time.
    UnexpectedRequest => "unexpected-request",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_what_it_writes() {
        for condition in ["bad-request", "gone", "remote-server-not-found", "unexpected-request"] {
            let condition = Condition::parse(condition).unwrap();
            for type_ in ["auth", "cancel", "continue", "modify", "wait"] {
                let type_ = ErrorType::parse(type_).unwrap();
                for text in ["", "no answer from <192.0.2.7> & \"friends\""] {
                    let error = Error { type_, condition, text: text.into() };
                    let written = error.element(ns::SERVER).write("", &[]);
                    let read = xml::Element::parse(written.as_bytes(), &[]).unwrap();
                    assert!(read.is("error", ns::SERVER));
                    assert_eq!(Error::parse(&read), error);
                }
            }
        }
    }

    #[test]
    fn an_unknown_condition_reads_as_undefined() {
        let read = xml::Element::parse(
            b"<error type='odd'><x xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>",
            &[],
        );
        let error = Error::parse(&read.unwrap());
        assert_eq!(error.to_string(), "undefined-condition");
        assert_eq!(error.type_, ErrorType::Cancel);
    }
}
