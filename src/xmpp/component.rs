//! External components (XEP-0114), the accepting side: with a shared secret a component serves one of our
//! names, or several.
//!
//! The component may open its stream with any of its names; with a wildcard, `*.example.org`, also with any domain that
//! it matches, or with the domain `example.org` above them. A [`Handshake`] ends in an [`Open`] stream once the driver has
//! found that the component is not connected.
use crate::{
    Domain, Served,
    dialback::hex,
    framer::{self, Frame},
    policy::{Access, Bounds},
    stream::{
        End, Error, Header, Stage,
        error::Fault,
        wire::{self, Wire},
    },
    xml::ns,
};
use bytes::{Bytes, BytesMut};
use sha1::{Digest, Sha1};
use std::{fmt, sync::Arc};
use subtle::ConstantTimeEq;

pub mod open;

pub use open::Open;

/// The secret that a component and the node share. It is never shown, not even by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A secret with the configured text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Whether `shown` is the right hash for the stream `id` (XEP-0114 section 3). The time that this takes
    /// does not depend on the right answer.
    fn admits(&self, id: &str, shown: &str) -> bool {
        let right = hex(&Sha1::digest(format!("{id}{}", self.0)));
        right.as_bytes().ct_eq(shown.as_bytes()).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The configuration of a component.
#[derive(Clone, Debug)]
pub struct Configured {
    /// The name under which it is configured. Its other names have the same.
    pub name: Domain,
    /// The shared secret of the handshake.
    pub secret: Secret,
    /// The limit for one of its stanzas in bytes, if it differs from that of all components.
    pub max_stanza: Option<usize>,
    /// The remote addresses that it may write to; `None`: all.
    pub access: Option<Arc<Access>>,
}

impl Configured {
    /// A component with the limits of all components.
    pub fn new(name: Domain, secret: Secret) -> Self {
        Self { name, secret, max_stanza: None, access: None }
    }
}

/// The configured names, each with its component.
pub type Names = Arc<Served<Configured>>;

/// A component stream from its header to the answer about its secret.
pub struct Handshake {
    names: Names,
    ids: Box<dyn FnMut() -> String + Send>,
    max_stanza: usize,
    bounds: Bounds,
    wire: Wire<Output>,
    state: State,
    /// The name in its header, whether we know it or not.
    claimed: Option<Domain>,
    /// The language in its header.
    lang: Option<String>,
}

/// The next thing for the driver to do.
#[derive(Debug)]
pub enum Output {
    /// Write these bytes.
    Transmit(Bytes),
    /// The secret is right. Answer with [`Handshake::accept`] or [`Handshake::conflict`]; nothing is read
    /// until then.
    Claimed {
        /// The name under which the component is configured.
        name: Domain,
    },
    /// The stream is over. Write what was transmitted, then close.
    Ended(End),
}

/// The next thing that the handshake needs.
#[derive(Debug)]
enum State {
    /// The component's header.
    Header,
    /// The component's `<handshake/>`.
    Handshake {
        /// The name in its header, which is configured.
        name: Domain,
        /// The id in our header, which the secret is hashed with.
        id: String,
    },
    /// The driver's decision.
    Decision {
        /// The name in its header.
        announced: Domain,
        /// The component in question.
        configured: Configured,
    },
    /// The component's closing tag. Ours is sent, and the stream ends like this.
    Closing(End),
    /// Nothing.
    Over,
}

/// A whole stream for a component that is not let in: it holds the error and nothing else. `id` is
/// unpredictable.
pub fn refusal(id: String, error: &Error) -> Bytes {
    wire::refusal(ns::COMPONENT, &Header { id: Some(id), ..Header::default() }, error)
}

impl Handshake {
    /// A stream that waits for its header. `max_stanza` is in bytes, for components without a limit of their
    /// own. `ids` gives unpredictable stream ids, each of them once.
    pub fn new(
        names: Names,
        max_stanza: usize,
        bounds: Bounds,
        ids: Box<dyn FnMut() -> String + Send>,
    ) -> Self {
        let limits = bounds.for_unauthenticated(max_stanza.min(UNAUTHENTICATED));
        Self {
            names,
            ids,
            max_stanza,
            bounds,
            wire: Wire::new(ns::COMPONENT, limits, Output::Transmit),
            state: State::Header,
            claimed: None,
            lang: None,
        }
    }

    /// Whether the component has opened its stream and not closed it.
    pub fn is_open(&self) -> bool {
        self.wire.is_open()
    }

    /// The name in the component's header, also when it is not configured or the secret was wrong.
    pub fn claimed(&self) -> Option<&Domain> {
        self.claimed.as_ref()
    }

    /// Whether our closing tag is sent: nothing may follow it (RFC 6120 section 4.4).
    pub fn has_closed(&self) -> bool {
        matches!(self.state, State::Closing(_) | State::Over)
    }

    /// Goes on with other secrets and limits. A secret that is still to come is compared with the new ones.
    pub fn adopt(&mut self, names: Names, max_stanza: usize, bounds: Bounds) {
        (self.names, self.max_stanza, self.bounds) = (names, max_stanza, bounds);
        if !self.has_closed() {
            self.wire.limit(bounds.for_unauthenticated(max_stanza.min(UNAUTHENTICATED)));
        }
    }

    /// Takes bytes that were read from the component.
    pub fn receive(&mut self, bytes: BytesMut) {
        if !matches!(self.state, State::Over) {
            self.wire.receive(bytes);
        }
    }

    /// Lets the claimed name be served here, and ends the handshake. `None` when no name waits for a
    /// decision.
    pub fn accept(&mut self) -> Option<Open> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Decision { announced, configured } => {
                let wire = self.wire.hand_over(open::Output::Transmit);
                let mut open = Open::new(configured.name, announced, wire, self.lang.take());
                open.adopt(Arc::clone(&self.names), self.max_stanza, &self.bounds);
                Some(open)
            }
            other => {
                self.state = other;
                None
            }
        }
    }

    /// Refuses a claimed name because another connection serves it.
    pub fn conflict(&mut self) {
        if matches!(self.state, State::Decision { .. }) {
            self.fail(Fault::NameTaken);
        }
    }

    /// Closes the stream. [`Output::Ended`] follows when the component has closed its side too.
    pub fn close(&mut self, error: Option<Error>) {
        if !self.has_closed() {
            self.open_for_error();
            self.wire.close(error.as_ref());
            self.state = State::Closing(error.map_or(End::Closed, End::ByUs));
        }
    }

    /// The next thing to do; `None` when more bytes or a decision are needed.
    pub fn poll(&mut self) -> Option<Output> {
        loop {
            if let Some(output) = self.wire.take() {
                return Some(output);
            }
            if matches!(self.state, State::Decision { .. } | State::Over) {
                return None;
            }
            let step = match self.wire.next() {
                Ok(None) => return None,
                Ok(Some(Frame::Header(bytes))) => self.header(&bytes),
                Ok(Some(Frame::Element(element))) => self.element(&element),
                Ok(Some(Frame::Footer)) => {
                    self.footer();
                    Ok(())
                }
                Err(fault) => Err(fault),
            };
            if let Err(fault) = step {
                self.fail(fault);
            }
        }
    }

    /// The point at which the handshake is.
    pub fn stage(&self) -> Stage {
        match self.state {
            State::Header => Stage::Header,
            State::Handshake { .. } => Stage::ComponentHandshake,
            State::Decision { .. } => Stage::ComponentName,
            State::Closing(_) => Stage::ClosingTag,
            State::Over => Stage::Over,
        }
    }

    fn header(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        if !matches!(self.state, State::Header) {
            return Ok(());
        }
        let header = self.wire.header(bytes)?;
        self.wire.confine_header(&header)?;
        self.claimed.clone_from(&header.to);
        self.lang = header.lang;
        let known = header.to.clone().filter(|to| self.names.announced(to).is_some());
        let id = self.open(known.clone());
        match known {
            Some(name) => self.state = State::Handshake { name, id },
            None => {
                // Our header is sent, so the error needs no other one.
                let error = Error::from(Fault::UnknownHost(header.to.as_ref().map(Domain::to_string)));
                self.wire.close(Some(&error));
                self.end(End::ByUs(error));
            }
        }
        Ok(())
    }

    fn element(&mut self, framed: &framer::RawElement) -> Result<(), Fault> {
        if wire::is_stanza(framed) {
            return Err(Fault::Early);
        }
        self.wire.confine(framed, UNAUTHENTICATED)?;
        let element = self.wire.read(framed, wire::TAGS)?;
        match (element.namespace.as_str(), element.name.as_str(), &self.state) {
            (ns::STREAM, "error", _) => {
                if !self.has_closed() {
                    self.wire.close(None);
                }
                self.end(End::ByPeer(Error::parse(&element)));
                Ok(())
            }
            (_, _, State::Closing(_)) => Ok(()),
            (ns::COMPONENT, "handshake", State::Handshake { name, id }) => {
                let shown = element.text();
                let known = self.names.announced(name);
                let Some(configured) = known.filter(|it| it.secret.admits(id, shown.trim())).cloned() else {
                    return Err(Fault::Handshake);
                };
                let claimed = configured.name.clone();
                self.state = State::Decision { announced: name.clone(), configured };
                self.wire.emit(Output::Claimed { name: claimed });
                Ok(())
            }
            (ns::CLIENT | ns::SERVER, ..) => Err(Fault::ForeignElement { name: element.name }),
            _ => Err(Fault::Unexpected { name: element.name }),
        }
    }

    fn footer(&mut self) {
        let end = match &self.state {
            State::Closing(end) => end.clone(),
            _ => {
                self.wire.close(None);
                End::Closed
            }
        };
        self.end(end);
    }

    /// Sends our header, and gives its id.
    fn open(&mut self, name: Option<Domain>) -> String {
        let id = (self.ids)();
        self.wire.open(&Header { from: name, id: Some(id.clone()), ..Header::default() });
        id
    }

    /// An error needs an opening tag before it (RFC 6120 section 4.9.1.2).
    fn open_for_error(&mut self) {
        if matches!(self.state, State::Header) {
            self.open(None);
        }
    }

    fn fail(&mut self, fault: Fault) {
        let error = Error::from(fault);
        if !self.has_closed() {
            self.open_for_error();
            self.wire.close(Some(&error));
        }
        self.end(End::ByUs(error));
    }

    fn end(&mut self, end: End) {
        self.state = State::Over;
        self.wire.emit(Output::Ended(end));
    }
}

impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshake").field("state", &self.state).finish_non_exhaustive()
    }
}

/// Bytes of a header or a `<handshake/>`. Both are a few hundred.
const UNAUTHENTICATED: usize = 4096;

#[cfg(test)]
mod tests;
