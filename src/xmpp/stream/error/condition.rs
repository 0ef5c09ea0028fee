//! The conditions of stream errors, and the names of their elements.

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

pub(super) const CONDITIONS: [(Condition, &str); 25] = [
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
