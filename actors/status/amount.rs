//! A number of stanzas and their bytes.

use serde::{Deserialize, Serialize};
use xmpp::Stanza;

/// Some stanzas and what they weigh.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amount {
    /// How many.
    pub stanzas: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Amount {
    /// What these stanzas amount to.
    pub fn of<'a>(stanzas: impl IntoIterator<Item = &'a Stanza>) -> Self {
        let amounts =
            stanzas.into_iter().map(|stanza| Self { stanzas: 1, bytes: stanza.bytes().len() as u64 });
        amounts.fold(Self::default(), Self::plus)
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { stanzas: self.stanzas + other.stanzas, bytes: self.bytes + other.bytes }
    }
}
