//! The content namespace inside payload of other namespaces, where it has to be called by its name.
//!
//! Around that payload nothing has to be said: a stanza is in the default namespace of its stream. Inside, what a
//! component said of its content namespace says `jabber:server` on its way to another server; on its way to another
//! component it stays what it was.

use super::edits::Edits;
use crate::xml::ns;
use bytes::Bytes;

/// Where in a stanza's bytes `jabber:server` is the content namespace, whatever the next stream calls it.
#[derive(Clone, Debug, Default)]
pub(super) struct Names(Vec<u32>);

impl Names {
    /// Notes a place behind all others.
    pub(super) fn note(&mut self, at: usize) {
        self.0.extend(u32::try_from(at));
    }

    /// The same for a stanza, when there is something to keep.
    pub(super) fn kept(self) -> Option<Box<Self>> {
        (!self.0.is_empty()).then(|| Box::new(self))
    }

    /// The same after edits that touch none of them.
    pub(super) fn moved(&self, edits: &Edits<'_>) -> Self {
        let mut moved = Self::default();
        for at in self.places() {
            moved.note(edits.position(at));
        }
        moved
    }

    /// The bytes of the stanza with all of them called `name`.
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
