//! A number of stanzas and the number of their bytes.

use serde::{Deserialize, Serialize};
use xmpp::Stanza;

/// The number and the size of some stanzas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amount {
    /// The number of stanzas.
    pub stanzas: u64,
    /// The sum of their lengths in bytes.
    pub bytes: u64,
}

impl Amount {
    /// Counts stanzas and their bytes.
    pub fn of<'a>(stanzas: impl IntoIterator<Item = &'a Stanza>) -> Self {
        let amounts =
            stanzas.into_iter().map(|stanza| Self { stanzas: 1, bytes: stanza.bytes().len() as u64 });
        amounts.fold(Self::default(), Self::plus)
    }

    /// Returns the sum of both.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { stanzas: self.stanzas + other.stanzas, bytes: self.bytes + other.bytes }
    }

    /// Returns the difference; zero where `other` is larger.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self {
            stanzas: self.stanzas.saturating_sub(other.stanzas),
            bytes: self.bytes.saturating_sub(other.bytes),
        }
    }
}
