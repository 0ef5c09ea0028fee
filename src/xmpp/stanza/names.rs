//! The content namespace inside payload of other namespaces, where it has to be named.
//!
//! Outside of such payload a stanza is in the default namespace of its stream and needs no declaration.
//! Inside, the content namespace of components becomes `jabber:server` on the way to another server, and
//! keeps its name on the way to another component.

use super::edits::Edits;
use crate::xml::ns;
use bytes::Bytes;

/// The places in the bytes of a stanza where `jabber:server` stands for the content namespace of the next
/// stream.
#[derive(Clone, Debug, Default)]
pub(super) struct Names(Vec<u32>);

impl Names {
    /// Adds a place behind all others.
    pub(super) fn note(&mut self, at: usize) {
        self.0.extend(u32::try_from(at));
    }

    /// The places for a stanza; `None` when there are none.
    pub(super) fn kept(self) -> Option<Box<Self>> {
        (!self.0.is_empty()).then(|| Box::new(self))
    }

    /// The places after edits that do not touch them.
    pub(super) fn moved(&self, edits: &Edits<'_>) -> Self {
        let mut moved = Self::default();
        for at in self.places() {
            moved.note(edits.position(at));
        }
        moved
    }

    /// The bytes of the stanza with `name` at all of these places.
    pub(super) fn called(&self, name: &str, bytes: &[u8]) -> Bytes {
        let mut edits = Edits::with_capacity(self.0.len());
        for at in self.places() {
            edits.replace(at..at + ns::SERVER.len(), name);
        }
        edits.apply(bytes).into()
    }

    fn places(&self) -> impl Iterator<Item = usize> {
        self.0.iter().map(|at| *at as usize)
    }
}
