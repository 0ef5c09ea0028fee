//! The error for a stanza that the rules of a component do not permit.

use super::{Condition, Error, ErrorType};

/// The error that the sender of a denied stanza gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Denial {
    /// `not-allowed`
    #[default]
    NotAllowed,
    /// `policy-violation`
    PolicyViolation,
    /// `forbidden`
    Forbidden,
    /// `service-unavailable`, as if there were no such component.
    ServiceUnavailable,
}

impl Denial {
    /// The error, with the type that RFC 6120 section 8.3.3 gives the condition.
    pub fn error(self, text: impl Into<String>) -> Error {
        let (type_, condition) = match self {
            Self::NotAllowed => (ErrorType::Cancel, Condition::NotAllowed),
            Self::PolicyViolation => (ErrorType::Modify, Condition::PolicyViolation),
            Self::Forbidden => (ErrorType::Auth, Condition::Forbidden),
            Self::ServiceUnavailable => (ErrorType::Cancel, Condition::ServiceUnavailable),
        };
        Error { type_, condition, text: text.into() }
    }
}
