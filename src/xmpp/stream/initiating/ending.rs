//! The end of the stream: who ended it, and for which reason.
//!
//! Before there is an outcome, a reason that the peer tells goes before one that we concluded from an odd answer: what
//! is already here is read first, and then the peer gets the time of its closing tag to tell it.
use super::{Cause, Failure, Initiating, Output, State};
use crate::{
    policy::Refusal,
    stream::{Condition, End, Error, error::Fault},
};

impl Initiating {
    pub(super) fn peer_error(&mut self, error: Error) -> Result<(), Cause> {
        if self.settled {
            if self.state != State::ExpectFooter {
                self.wire.close(None);
            }
            self.end(End::ByPeer(error));
            return Ok(());
        }
        Err(match error.other_host.clone() {
            Some(host) => Cause::Redirected { host, secured: self.secured.is_some() },
            None if self.has_guessed() && answers_an_unknown_element(error.condition) => {
                Cause::TlsUnavailable
            }
            None => Cause::Stream(error),
        })
    }

    pub(super) fn footer(&mut self) -> Result<(), Cause> {
        if !self.settled {
            return Err(if self.has_guessed() { Cause::TlsUnavailable } else { Cause::Closed });
        }
        if self.state != State::ExpectFooter {
            self.wire.close(None);
        }
        self.end(self.ending.clone());
        Ok(())
    }

    pub(super) fn fail(&mut self, cause: Cause) {
        let cause = match cause {
            // A web server's greeting is no breach of a protocol that it never spoke.
            Cause::Misbehaved(_) if !self.met && !self.settled => Cause::NotXmpp,
            cause => self.blame(cause),
        };
        let concluded = !self.settled && self.state != State::ExpectTls && is_conclusion(&cause);
        let told = if concluded { self.told() } else { None };
        let awaited = concluded && told.is_none() && self.heard.is_markup() && !self.heard.is_closed();
        let cause = told.unwrap_or(cause);
        match (&cause, self.state) {
            // Our tag is out already, or the other side waits for a handshake.
            (_, State::ExpectFooter | State::ExpectTls | State::Over) => {}
            (Cause::Misbehaved(error), _) => self.wire.close(Some(error)),
            (Cause::Certificate(problem), _) => {
                let refusal = Refusal::Certificate(problem.clone());
                self.wire.close(Some(&Fault::Refused(self.plan.pair.remote.clone(), refusal).into()));
            }
            _ => self.wire.close(None),
        }
        match (self.settled, cause) {
            (true, Cause::Misbehaved(error)) => self.end(End::ByUs(error)),
            (true, _) => self.end(self.ending.clone()),
            (false, cause) if awaited => {
                self.conclusion = Some(cause);
                self.state = State::ExpectReason;
            }
            (false, cause) => self.failed(cause),
        }
    }

    /// Takes what the peer sends after we gave up.
    pub(super) fn hear_reason(&mut self, bytes: &[u8]) {
        self.heard.push(bytes);
        if let Some(cause) = self.told() {
            self.failed(cause);
        } else if self.heard.is_closed() {
            self.conclude();
        }
    }

    pub(super) fn failed(&mut self, cause: Cause) {
        self.state = State::Over;
        self.conclusion = None;
        self.heard.clear();
        self.wire.emit(Output::Failed(Failure { remote: self.plan.pair.remote.clone(), cause }));
    }

    pub(super) fn end(&mut self, end: End) {
        self.state = State::Over;
        self.wire.emit(Output::Ended(end));
    }

    /// The reason that the peer told in what it sent so far.
    fn told(&self) -> Option<Cause> {
        let error = self.heard.error()?;
        let guessed = self.has_guessed() && answers_an_unknown_element(error.condition);
        // A redirect that comes in such a way is not followed.
        (!guessed).then(|| self.blame(Cause::Stream(error)))
    }

    /// TLS was asked for although it was not offered, and the answer is not here yet.
    fn has_guessed(&self) -> bool {
        self.unoffered && self.secured.is_none()
    }

    /// Why the stream failed if its connection ends now, where the peer said so before.
    pub fn lost(&self) -> Option<Failure> {
        let remote = self.plan.pair.remote.clone();
        let refused = self.external.clone().filter(|_| !self.settled)?;
        Some(Failure { remote, cause: Cause::ExternalRefused(refused) })
    }

    /// A peer that refuses EXTERNAL and then ends the stream gave its reason with the refusal, unless it ends the
    /// stream for another one.
    fn blame(&self, cause: Cause) -> Cause {
        let is_sequel = match &cause {
            Cause::Closed => true,
            Cause::Stream(error) => !speaks_of_something_else(error.condition),
            _ => false,
        };
        self.lost().filter(|_| is_sequel).map_or(cause, |failure| failure.cause)
    }
}

/// Whether a cause is what we made of the peer's answer, which its own reason may explain better.
fn is_conclusion(cause: &Cause) -> bool {
    match cause {
        Cause::NotXmpp
        | Cause::TlsUnavailable
        | Cause::TlsForbidden
        | Cause::NoMechanism
        | Cause::Misbehaved(_) => true,
        Cause::TlsRefused
        | Cause::Certificate(_)
        | Cause::ExternalRefused(_)
        | Cause::DialbackInvalid
        | Cause::DialbackError(_)
        | Cause::Stream(_)
        | Cause::Closed
        | Cause::Redirected { .. } => false,
    }
}

/// Whether a stream error says no more than that an element has no meaning for the peer: so servers without TLS answer a
/// `<starttls/>` that they did not offer.
fn answers_an_unknown_element(condition: Condition) -> bool {
    matches!(
        condition,
        Condition::BadFormat
            | Condition::BadNamespacePrefix
            | Condition::InvalidNamespace
            | Condition::InvalidXml
            | Condition::NotAuthorized
            | Condition::NotWellFormed
            | Condition::RestrictedXml
            | Condition::UndefinedCondition
            | Condition::UnsupportedFeature
            | Condition::UnsupportedStanzaType
            | Condition::UnsupportedVersion
    )
}

/// Whether a stream error is about the peer's own state, the domains, or a dialback key that it could not have verified
/// (XEP-0220 knew stream errors for that once), rather than about who we are.
fn speaks_of_something_else(condition: Condition) -> bool {
    matches!(
        condition,
        Condition::ConnectionTimeout
            | Condition::HostGone
            | Condition::HostUnknown
            | Condition::InternalServerError
            | Condition::RemoteConnectionFailed
            | Condition::Reset
            | Condition::ResourceConstraint
            | Condition::SystemShutdown
    )
}
