//! Limits that hold for every stream and every peer.
use crate::framer::Limits;

/// Limits for one stream, of servers and of components.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes in total before authentication.
    pub early_bytes: usize,
    /// First-level elements before authentication.
    pub early_elements: usize,
    /// Levels of nesting below the stream. A stanza is level 1.
    pub depth: usize,
    /// Attributes of one tag, namespace declarations included.
    pub attributes: usize,
    /// Namespace declarations in scope at once, those of the stream included.
    pub declarations: usize,
    /// Pairs of domains that a peer may prove on one stream. Each stanza is looked up among them, and they
    /// are kept for the life of the stream.
    pub pairs: usize,
    /// Dialback keys of one stream under verification at once. Each needs a connection of ours.
    pub pending_keys: usize,
}

impl Bounds {
    /// Limits for elements of up to `max` bytes from an authenticated peer.
    pub(crate) fn for_known(&self, max: usize) -> Limits {
        Limits {
            element: max,
            depth: self.depth,
            attributes: self.attributes,
            declarations: self.declarations,
            ..Limits::default()
        }
    }

    /// Limits for elements of up to `max` bytes before authentication. They are as narrow as a negotiation
    /// allows.
    pub(crate) fn for_unauthenticated(&self, max: usize) -> Limits {
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
    /// A negotiation has about ten elements and 4 KiB. The rest is for a server that shows keys of many
    /// domains on one stream. No known protocol needs as much depth and width.
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
