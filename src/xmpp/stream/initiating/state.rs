//! The states of a handshake: the next thing that it needs, and the protection of the connection so far.
use super::{Cause, Goal, Handshake, goal::Waiting};
use crate::{
    certificate::Problem,
    stream::{End, Secured, Stage},
};

/// The next thing that the handshake needs.
#[derive(Debug)]
pub(super) enum State<G: Goal> {
    /// The peer's header.
    Header,
    /// The end of the received bytes: the peer is from before XMPP 1.0 and has no features, but may have sent
    /// an error behind its header.
    Unversioned,
    /// The peer's features.
    Features,
    /// The answer to `<starttls/>`.
    Proceed,
    /// The TLS session.
    Tls,
    /// The answer that the goal waits for.
    Goal(G::Waiting),
    /// The driver: it takes the outcome once it has taken everything that is ready.
    Reached(G::Reached),
    /// The peer's reason. The handshake has failed with this cause of ours, and our closing tag is sent.
    Reason(Cause),
    /// The peer's closing tag. Ours is sent, and the stream ends like this.
    Closing(End),
    /// Nothing.
    Over,
}

/// The protection of the connection.
#[derive(Debug)]
pub(super) enum Protection {
    /// None so far.
    Clear {
        /// TLS was requested although it was not offered, and the answer is missing.
        guessed: bool,
    },
    /// TLS.
    Tls {
        /// The session.
        secured: Box<Secured>,
        /// Whether the certificate proves the remote domain.
        verdict: Result<(), Problem>,
    },
}

impl<G: Goal> Handshake<G> {
    /// The point at which the handshake is.
    pub fn stage(&self) -> Stage {
        match self.state {
            State::Header => Stage::Header,
            State::Unversioned | State::Features => Stage::Features,
            State::Proceed => Stage::StartTls,
            State::Tls => Stage::Tls,
            State::Goal(waiting) => waiting.stage(),
            State::Reached(_) => Stage::Open,
            State::Reason(_) | State::Closing(_) => Stage::ClosingTag,
            State::Over => Stage::Over,
        }
    }

    pub(super) fn is_closing(&self) -> bool {
        matches!(self.state, State::Closing(_))
    }
}
