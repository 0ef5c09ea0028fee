//! The peer's headers and elements during a handshake.
use super::{Cause, Goal, Handshake, Note, Output, State, open};
use crate::{
    framer,
    stream::{Error, error::Fault, features::Features, wire},
    truncate::truncate,
    xml::{self, ns},
};

impl<G: Goal> Handshake<G> {
    pub(super) fn header(&mut self, bytes: &[u8]) -> Result<(), Cause> {
        if !matches!(self.state, State::Header) {
            return Ok(());
        }
        let header = self.wire.header(bytes);
        self.greeted |= !matches!(header, Err(Fault::NotAStream));
        self.header = header?;
        self.wire.emit(Output::Noted(Note::Greeted(self.header.clone())));
        self.features = Features::default();
        // COMPAT: servers from before XMPP 1.0 send no features; dialback is all they know.
        self.state = if self.header.is_modern() { State::Features } else { State::Unversioned };
        Ok(())
    }

    pub(super) fn element(&mut self, element: &framer::RawElement) -> Result<(), Cause> {
        let closing = self.is_closing();
        if closing && !open::concerns_the_stream(element, &self.plan.policy) {
            return Ok(());
        }
        if wire::is_stanza(element) {
            return Err(Fault::AgainstTheStream.into());
        }
        self.elements += 1;
        if self.elements > open::ELEMENTS {
            return Err(Fault::TooMany("elements that are not an answer").into());
        }
        let element = self.wire.read(element, wire::TAGS_OF_FEATURES)?;
        match (element.namespace.as_str(), element.name.as_str(), &self.state) {
            (ns::STREAM, "error", _) => self.peer_error(Error::parse(&element)),
            (_, _, State::Closing(_)) => Ok(()),
            (ns::STREAM, "features", State::Features | State::Unversioned) => {
                self.features = Features::parse(&element);
                self.wire.emit(Output::Noted(Note::Offered(self.features.clone())));
                self.negotiate()
            }
            (ns::STREAM, "features", _) => Ok(()),
            (ns::TLS, "proceed", State::Proceed) => self.start_tls(),
            (ns::TLS, "failure", State::Proceed) if self.has_guessed() => Err(Cause::TlsUnavailable),
            (ns::TLS, "failure", State::Proceed) => Err(Cause::TlsRefused),
            (_, _, State::Goal(waiting)) => {
                let waiting = *waiting;
                match G::answered(self, waiting, &element)? {
                    true => Ok(()),
                    false => self.unexpected(&element),
                }
            }
            _ => self.unexpected(&element),
        }
    }

    fn unexpected(&mut self, element: &xml::Element) -> Result<(), Cause> {
        match element.namespace.as_str() {
            // An answer without a question is ignored (XEP-0220 sections 2.1.1 and 2.1.2).
            ns::DIALBACK => {
                self.report_unsolicited(element);
                Ok(())
            }
            // Acks without a request end no stream.
            ns::ACKS if self.plan.acks.enabled => Ok(()),
            ns::CLIENT | ns::COMPONENT => Err(Fault::ForeignElement { name: element.name.clone() }.into()),
            _ => Err(Fault::Unexpected { name: element.name.clone() }.into()),
        }
    }

    pub(super) fn report_unsolicited(&mut self, element: &xml::Element) {
        if !std::mem::replace(&mut self.unsolicited, true) {
            self.wire.emit(Output::Unsolicited { element: truncate(&element.name).into_owned() });
        }
    }
}
