//! The goals of an attempt: to open a session, or to verify a dialback key.

use xmpp::{
    dialback,
    stream::initiating::{self, Handshake, Open, Plan},
};

use super::{
    negotiation::{Goal, Negotiation, Transport},
    session::Session,
};
use crate::observe::metrics::Purpose;

/// The goal of an authenticated stream that takes stanzas, a [`Session`].
#[derive(Clone, Debug)]
pub struct OpenSession;

/// The goal of an answer about a dialback key: our domain got it from a peer, and asks the server of the
/// remote domain whether it is valid (XEP-0220 section 2.3).
#[derive(Clone, Debug)]
pub struct VerifyKey {
    /// The key and the stream on which it was sent.
    pub request: dialback::Request,
}

impl Goal for OpenSession {
    const PURPOSE: Purpose = Purpose::Session;

    type Outcome = Session;
    type Completed = Box<Open>;
    type Handshake = initiating::Session;

    fn handshake(&self, plan: Plan) -> Handshake<Self::Handshake> {
        Handshake::session(plan)
    }

    fn complete(
        negotiation: Negotiation<'_, Self>,
        transport: Transport,
        open: Box<Open>,
        _: bool,
    ) -> Session {
        negotiation.into_session(transport, open)
    }

    fn give_up(transport: Transport, open: Box<Open>, _: bool) {
        transport.close_open(open);
    }

    fn is_success(_: &Session) -> bool {
        true
    }
}

impl Goal for VerifyKey {
    const PURPOSE: Purpose = Purpose::Verification;

    type Outcome = dialback::Answer;
    type Completed = dialback::Answer;
    type Handshake = initiating::Verification;

    fn handshake(&self, plan: Plan) -> Handshake<Self::Handshake> {
        Handshake::verification(plan, self.request.clone())
    }

    fn complete(
        _: Negotiation<'_, Self>,
        transport: Transport,
        answer: dialback::Answer,
        is_open: bool,
    ) -> dialback::Answer {
        transport.close(is_open);
        answer
    }

    fn give_up(transport: Transport, _: dialback::Answer, is_open: bool) {
        transport.close(is_open);
    }

    fn is_success(answer: &dialback::Answer) -> bool {
        *answer == dialback::Answer::Valid
    }
}
