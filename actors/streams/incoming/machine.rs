//! The protocol of an incoming stream: a handshake first, then the open stream.

use std::sync::Arc;

use bytes::BytesMut;
use xmpp::{
    Domain, DomainPair,
    certificate::Certificate,
    dialback::{Answer, Request},
    policy::Rules,
    stanza,
    stream::{
        Error, Secured, Stage,
        receiving::{Handshake, Open},
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

    pub(super) fn judged(&mut self, certificate: Option<Certificate>) {
        match self {
            Self::Handshake(handshake) => handshake.judged(certificate),
            Self::Open(open) => open.judged(certificate),
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

    pub(super) fn claimed(&self) -> Option<&Domain> {
        match self {
            Self::Handshake(handshake) => handshake.claimed(),
            Self::Open(open) => open.claimed(),
        }
    }

    pub(super) fn transport(&self) -> Option<&Secured> {
        match self {
            Self::Handshake(handshake) => handshake.transport(),
            Self::Open(open) => open.transport(),
        }
    }

    pub(super) fn has_vouched(&self) -> bool {
        match self {
            Self::Handshake(handshake) => handshake.has_vouched(),
            Self::Open(open) => open.has_vouched(),
        }
    }

    pub(super) fn is_verifying(&self) -> bool {
        match self {
            Self::Handshake(handshake) => handshake.is_verifying(),
            Self::Open(open) => open.is_verifying(),
        }
    }

    pub(super) fn is_open(&self) -> bool {
        match self {
            Self::Handshake(handshake) => handshake.is_open(),
            Self::Open(open) => open.is_open(),
        }
    }

    pub(super) fn is_closing(&self) -> bool {
        match self {
            Self::Handshake(handshake) => handshake.is_closing(),
            Self::Open(open) => open.is_closing(),
        }
    }

    pub(super) fn unfinished(&self) -> Option<u64> {
        match self {
            Self::Handshake(handshake) => handshake.unfinished(),
            Self::Open(open) => open.unfinished(),
        }
    }

    pub(super) fn stage(&self) -> Stage {
        match self {
            Self::Handshake(handshake) => handshake.stage(),
            Self::Open(open) => open.stage(),
        }
    }
}
