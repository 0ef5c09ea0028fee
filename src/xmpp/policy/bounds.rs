//! What a stream may cost, whoever is at its other end.
use crate::framer::Limits;

/// Bounds that hold for every stream, those of components too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// bytes in all before authentication
    pub early_bytes: usize,
    /// elements before authentication
    pub early_elements: usize,
    /// nesting below the stream, a stanza being 1
    pub depth: usize,
    /// attributes of one tag, namespace declarations included
    pub attributes: usize,
    /// namespace declarations in scope at once, those of the stream included
    pub declarations: usize,
    /// pairs of domains that a peer may prove on one stream; each stanza is looked up among them, and each stays as long
    /// as the stream
    pub pairs: usize,
    /// keys of one stream under verification at once; each costs a connection of ours
    pub pending_keys: usize,
}

impl Bounds {
    /// Limits for elements of up to `max` bytes from a peer who has authenticated itself.
    pub(crate) fn for_known(&self, max: usize) -> Limits {
        Limits {
            element: max,
            depth: self.depth,
            attributes: self.attributes,
            declarations: self.declarations,
            ..Limits::default()
        }
    }

    /// Limits for elements of up to `max` bytes from a peer who has not: nothing wider than a negotiation takes.
    pub(crate) fn for_stranger(&self, max: usize) -> Limits {
        let narrow = Limits::UNAUTHENTICATED;
        Limits {
            element: max,
            depth: self.depth.min(narrow.depth),
            attributes: self.attributes.min(narrow.attributes),
            declarations: self.declarations.min(narrow.declarations),
            ..narrow
        }
    }
}

impl Default for Bounds {
    /// A negotiation takes some 4 KiB in ten elements; the rest is room for a server that verifies the keys of many
    /// domains on one stream. Depth and width are more than any known protocol needs.
    fn default() -> Self {
        let Limits { depth, attributes, declarations, .. } = Limits::default();
        Self {
            early_bytes: 64 * 1024,
            early_elements: 128,
            depth,
            attributes,
            declarations,
            pairs: 256,
            pending_keys: 16,
        }
    }
}
