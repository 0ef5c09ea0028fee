//! Takes in the stanzas of one stream.

use super::{Error, Origin, Rejection, Stanza, admit, refusal};
use crate::{Domain, framer};
use std::borrow::Cow;

pub(crate) use super::admit::NotAdmitted;

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
        self.take(element).map_err(|refused| refused.0)
    }

    /// The same for a stream that goes on behind what it refuses: gives the element back.
    pub(crate) fn take(&mut self, element: framer::Element) -> Result<Stanza, Box<NotAdmitted>> {
        admit::admit(element, &self.origin, &mut self.recent)
    }

    /// The namespace of a first-level element of the stream.
    pub(crate) fn namespace<'a>(&'a self, element: &'a framer::Element) -> Cow<'a, str> {
        admit::namespace(element.head.namespace, &element.bytes, &self.origin)
    }

    /// The error answer to an element that is refused, if it is a stanza that may have one (RFC 6120 section 8.3.1):
    /// from the domain `from`, to its sender or, when its `from` is unusable, to the domain `to`.
    pub(crate) fn answer(
        &self,
        element: &framer::Element,
        from: &Domain,
        to: Option<&Domain>,
        error: &Error,
    ) -> Option<Stanza> {
        refusal::answer(element, &self.origin, from, to, error)
    }
}
