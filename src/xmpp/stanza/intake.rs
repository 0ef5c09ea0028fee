//! Makes stanzas of the elements of one stream.

use super::{
    Error, Origin, Rejection, Stanza,
    admit::{self, Recent},
    refusal,
};
use crate::{Domain, framer};
use std::borrow::Cow;

pub(crate) use super::admit::NotAdmitted;

/// The intake of one stream: [`Stanza::admit`] with a cache.
///
/// In one read most stanzas have the same domains as the previous one. Their names are not parsed and stored
/// again then.
#[derive(Debug)]
pub struct Intake {
    origin: Origin,
    recent: Recent,
}

impl Intake {
    /// An intake for a stream with this header.
    pub fn new(origin: Origin) -> Self {
        Self { origin, recent: Recent::default() }
    }

    /// Drops the domains of the previous read.
    ///
    /// Its stanzas are on other threads by now, which decrement the reference counts of these domains. If
    /// this thread incremented them at the same time, the threads would contend for them at every stanza.
    pub(crate) fn begin_read(&mut self) {
        self.recent = Recent::default();
    }

    /// Makes a stanza of a framed first-level element.
    ///
    /// # Errors
    /// As [`Stanza::admit`].
    pub fn admit(&mut self, element: framer::RawElement) -> Result<Stanza, Rejection> {
        self.take(element).map_err(|refused| refused.0)
    }

    /// The same, but gives a refused element back, for its error answer.
    pub(crate) fn take(&mut self, element: framer::RawElement) -> Result<Stanza, Box<NotAdmitted>> {
        admit::admit(element, &self.origin, &mut self.recent)
    }

    /// The namespace of a first-level element of the stream.
    pub(crate) fn namespace<'a>(&'a self, element: &'a framer::RawElement) -> Cow<'a, str> {
        admit::namespace(element.head.namespace, &element.bytes, &self.origin.scope)
    }

    /// The error answer to a refused element, if it is a stanza that may have one (RFC 6120 section 8.3.1).
    /// It is from the domain `from`. It goes to the sender or, when its `from` is unusable, to the domain
    /// `to`.
    pub(crate) fn answer(
        &self,
        element: &framer::RawElement,
        from: &Domain,
        to: Option<&Domain>,
        error: &Error,
    ) -> Option<Stanza> {
        refusal::answer(element, &self.origin, from, to, error)
    }
}
