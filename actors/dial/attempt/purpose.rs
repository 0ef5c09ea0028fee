//! The purpose of an attempt.

use xmpp::dialback;

use crate::dial::resolver::Lane;

/// The purpose of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A stream that takes stanzas.
    Session,
    /// An answer about a dialback key that was shown to `pair.local`, from the server of `pair.remote` (XEP-0220
    /// section 2.3).
    Verify(dialback::Request),
}

impl From<&Purpose> for Lane {
    fn from(purpose: &Purpose) -> Self {
        match purpose {
            Purpose::Session => Self::Session,
            Purpose::Verify(_) => Self::Verification,
        }
    }
}
