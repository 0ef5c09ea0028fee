//! Takes in the stanzas of one stream.

use super::{Origin, Rejection, Stanza, admit};
use crate::{Domain, framer};

/// What takes in the stanzas of one stream: [`Stanza::admit`] with a memory.
///
/// In one read a stanza mostly goes between the same domains as the one before, and then their names are neither read
/// nor stored again.
#[derive(Debug)]
pub struct Intake {
    origin: Origin,
    recent: Recent,
}

/// The domains of the stanza before.
#[derive(Debug, Default)]
pub(super) struct Recent {
    pub(super) from: Option<Domain>,
    pub(super) to: Option<Domain>,
}

impl Intake {
    /// Begins a stream, or begins it anew.
    pub fn new(origin: Origin) -> Self {
        Self { origin, recent: Recent::default() }
    }

    /// A new read begins: lets go of the domains of the read before.
    ///
    /// Its stanzas are with other threads by now, which count the references to these domains down. To count them up
    /// here at the same time would have the threads wait for each other at every stanza.
    pub(crate) fn begin_read(&mut self) {
        self.recent = Recent::default();
    }

    /// Takes a framed first-level element in.
    ///
    /// # Errors
    /// As [`Stanza::admit`].
    pub fn admit(&mut self, element: framer::Element) -> Result<Stanza, Rejection> {
        admit::admit(element, &self.origin, &mut self.recent)
    }
}
