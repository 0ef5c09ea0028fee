//! External components (XEP-0114), the accepting side.
use crate::{Domain, Stanza, stream};
use bytes::{Bytes, BytesMut};
use std::{collections::HashMap, fmt, sync::Arc};

/// What a component proves itself with; never shown, not even by `Debug`.
#[derive(Clone)]
pub struct Secret(String);
impl Secret {
    /// Takes the configured text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// One accepted component stream.
pub struct Accepting {}

/// What the driver has to do next.
#[derive(Debug)]
pub enum Output {
    /// bytes to write
    Transmit(Bytes),
    /// the handshake is right; answer with [`Accepting::accept`] or [`Accepting::conflict`], nothing is read until then
    Claimed {
        /// which name it serves from now on
        name: Domain,
    },
    /// a stanza from the served name
    Stanza(Stanza),
    /// the stream is over: flush what was transmitted, then close
    Ended(stream::End),
}

impl Accepting {
    /// A stream that waits for its header. `max_stanza` is in bytes.
    pub fn new(
        _names: Arc<HashMap<Domain, Secret>>,
        _max_stanza: usize,
        _ids: Box<dyn FnMut() -> String + Send>,
    ) -> Self {
        todo!()
    }
    /// Takes what was read.
    pub fn receive(&mut self, _bytes: BytesMut) {
        todo!()
    }
    /// Lets a claimed name be served here.
    pub fn accept(&mut self) {
        todo!()
    }
    /// Refuses a claimed name because another connection serves it.
    pub fn conflict(&mut self) {
        todo!()
    }
    /// Closes the stream; stanzas under way are still taken until the peer's closing tag.
    pub fn close(&mut self, _error: Option<stream::Error>) {
        todo!()
    }
    /// The next thing to do, `None` when more bytes are needed.
    pub fn poll(&mut self) -> Option<Output> {
        todo!()
    }
    /// What the stream waits for, in words for the log.
    pub fn stage(&self) -> &'static str {
        todo!()
    }
}
