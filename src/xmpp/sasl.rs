//! SASL EXTERNAL between servers (RFC 6120 section 6, XEP-0178).
use std::fmt;

/// A failed attempt, as the peer reports it (RFC 6120 section 6.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// name of the condition as written
    pub condition: String,
    /// plain words, may be empty
    pub text: String,
}
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.condition)
    }
}
