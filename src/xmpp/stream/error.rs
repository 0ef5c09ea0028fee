//! Stream errors (RFC 6120 section 4.9) and the one place where other errors become stream errors.
use crate::xml;
use std::fmt;

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
        todo!()
    }
    /// The condition with that element name.
    pub fn parse(_name: &str) -> Option<Self> {
        todo!()
    }
}

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
    /// An error with a text.
    pub fn new(_condition: Condition, _text: impl Into<String>) -> Self {
        todo!()
    }
    /// Reads a `<stream:error/>`.
    pub fn parse(_element: &xml::Element) -> Self {
        todo!()
    }
}
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.condition.as_str())
    }
}
impl std::error::Error for Error {}
