//! The purpose of an attempt.

/// The purpose of an attempt. Each has limits of its own for lookups and connections, so that verifications, which
/// other servers cause, cannot delay sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// A session.
    Session,
    /// The verification of a dialback key.
    Verification,
}

impl Purpose {
    /// The label in the metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Verification => "verification",
        }
    }
}
