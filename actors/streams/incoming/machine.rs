//! The protocol of an incoming stream: a handshake first, then the open stream.

use std::sync::Arc;

use bytes::BytesMut;
use xmpp::{
    DomainPair,
    certificate::Certificate,
    dialback::{Answer, Request},
    policy::Rules,
    stanza,
    stream::{
        Error, Secured, Stage,
        receiving::{Handshake, Open, Status},
    },
};

/// The protocol of an incoming stream.
#[derive(Debug)]
pub(super) enum Machine {
    Handshake(Box<Handshake>),
    Open(Box<Open>),
}

impl Machine {
    pub(super) fn receive(&mut self, bytes: BytesMut) {
        match self {
            Self::Handshake(handshake) => handshake.receive(bytes),
            Self::Open(open) => open.receive(bytes),
        }
    }

    pub(super) fn secured(&mut self, secured: Secured) {
        if let Self::Handshake(handshake) = self {
            handshake.secured(secured);
        }
    }

    pub(super) fn verified(&mut self, request: &Request, answer: Result<Answer, stanza::Error>) {
        match self {
            Self::Handshake(handshake) => handshake.verified(request, answer),
            Self::Open(open) => open.verified(request, answer),
        }
    }

    pub(super) fn close(&mut self, error: Option<Error>) {
        match self {
            Self::Handshake(handshake) => handshake.close(error),
            Self::Open(open) => open.close(error),
        }
    }

    pub(super) fn certificate_verified(&mut self, certificate: Option<Certificate>) {
        match self {
            Self::Handshake(handshake) => handshake.certificate_verified(certificate),
            Self::Open(open) => open.certificate_verified(certificate),
        }
    }

    pub(super) fn adopt(&mut self, rules: Arc<Rules>) -> Option<Error> {
        match self {
            Self::Handshake(handshake) => handshake.adopt(rules),
            Self::Open(open) => open.adopt(rules),
        }
    }

    /// Notes that the peer's certificate has expired, and says whether the stream has to end for it.
    pub(super) fn certificate_ended(&mut self) -> bool {
        match self {
            Self::Handshake(handshake) => {
                handshake.certificate_ended();
                false
            }
            Self::Open(open) => open.certificate_ended(),
        }
    }

    pub(super) fn take_unproductive(&mut self) -> usize {
        match self {
            Self::Handshake(_) => 0,
            Self::Open(open) => open.take_unproductive(),
        }
    }

    pub(super) fn pairs(&self) -> &[DomainPair] {
        match self {
            Self::Handshake(_) => &[],
            Self::Open(open) => open.pairs(),
        }
    }

    pub(super) fn status(&self) -> Status<'_> {
        match self {
            Self::Handshake(handshake) => handshake.status(),
            Self::Open(open) => open.status(),
        }
    }

    pub(super) fn stage(&self) -> Stage {
        match self {
            Self::Handshake(handshake) => handshake.stage(),
            Self::Open(open) => open.stage(),
        }
    }
}
