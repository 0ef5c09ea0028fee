//! The end of a handshake: the cause, and whether the peer has given it.
//!
//! A reason that the peer gives takes precedence over a conclusion of ours from an unexpected answer. The
//! received bytes are read first, and then the peer has the time until its closing tag to send a reason.
use super::{Cause, Failure, Goal, Handshake, Output, State};
use crate::{
    policy::Refusal,
    stream::{Condition, End, Error, error::Fault},
};

impl<G: Goal> Handshake<G> {
    pub(super) fn peer_error(&mut self, error: Error) -> Result<(), Cause> {
        if self.is_closing() {
            self.end(End::ByPeer(error));
            return Ok(());
        }
        Err(match error.other_host.clone() {
            Some(host) => Cause::Redirected { host, secured: self.transport().is_some() },
            None if self.has_guessed() && answers_an_unknown_element(error.condition) => {
                Cause::TlsUnavailable
            }
            None => Cause::Stream(error),
        })
    }

    pub(super) fn footer(&mut self) -> Result<(), Cause> {
        match &self.state {
            State::Closing(end) => self.end(end.clone()),
            _ if self.has_guessed() => return Err(Cause::TlsUnavailable),
            _ => return Err(Cause::Closed),
        }
        Ok(())
    }

    pub(super) fn fail(&mut self, cause: Cause) {
        if let State::Closing(end) = &self.state {
            let end = match cause {
                Cause::Misbehaved(error) => End::ByUs(error),
                _ => end.clone(),
            };
            return self.end(end);
        }
        let cause = match cause {
            // The greeting of a web server is no breach of a protocol that it does not speak.
            Cause::Misbehaved(_) if !self.greeted => Cause::NotXmpp,
            cause => self.blame(cause),
        };
        let in_tls = matches!(self.state, State::Tls);
        let concluded = !in_tls && is_conclusion(&cause);
        let given = if concluded { self.given_reason() } else { None };
        let awaited = concluded && given.is_none() && self.heard.is_markup() && !self.heard.is_closed();
        let cause = given.unwrap_or(cause);
        match &cause {
            // The peer waits for a TLS handshake.
            _ if in_tls => {}
            Cause::Misbehaved(error) => self.wire.close(Some(error)),
            Cause::Certificate(problem) => {
                let refusal = Refusal::Certificate(problem.clone());
                self.wire.close(Some(&Fault::Refused(self.plan.pair.remote.clone(), refusal).into()));
            }
            _ => self.wire.close(None),
        }
        match awaited {
            true => self.state = State::Reason(cause),
            false => self.failed(cause),
        }
    }

    /// Takes what the peer sends after we have given up.
    pub(super) fn hear_reason(&mut self, bytes: &[u8]) {
        self.heard.push(bytes);
        if let Some(cause) = self.given_reason() {
            self.failed(cause);
        } else if self.heard.is_closed() {
            self.conclude();
        }
    }

    pub(super) fn failed(&mut self, cause: Cause) {
        self.state = State::Over;
        self.heard.clear();
        self.wire.emit(Output::Failed(Failure { remote: self.plan.pair.remote.clone(), cause }));
    }

    pub(super) fn end(&mut self, end: End) {
        self.state = State::Over;
        self.wire.emit(Output::Ended(end));
    }

    /// The reason that the peer has given in what it has sent so far.
    fn given_reason(&self) -> Option<Cause> {
        let error = self.heard.error()?;
        let guessed = self.has_guessed() && answers_an_unknown_element(error.condition);
        // A redirect that comes in such a way is not followed.
        (!guessed).then(|| self.blame(Cause::Stream(error)))
    }

    /// The cause of the failure if the connection ends now, where the peer has given it before.
    pub fn lost(&self) -> Option<Failure> {
        let refused = self.goal.external_refusal().filter(|_| !self.is_closing())?;
        let cause = Cause::ExternalRefused(refused.clone());
        Some(Failure { remote: self.plan.pair.remote.clone(), cause })
    }

    /// Whether the handshake has failed because EXTERNAL was refused, and dialback would have been the next
    /// mechanism if the peer had not ended the stream. Dialback may succeed on a new connection then.
    pub fn has_dialback_left(&self) -> bool {
        G::is_dialback_left(self)
    }

    /// A peer that refuses EXTERNAL and then ends the stream has given its reason with the refusal, unless it
    /// ends the stream for another one.
    fn blame(&self, cause: Cause) -> Cause {
        let is_sequel = match &cause {
            Cause::Closed => true,
            Cause::Stream(error) => !has_another_subject(error.condition),
            _ => false,
        };
        self.lost().filter(|_| is_sequel).map_or(cause, |failure| failure.cause)
    }
}

/// Whether a cause is a conclusion of ours from the peer's answer. The peer's own reason may explain more.
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

/// Whether a stream error says only that the peer does not know an element. Servers without TLS answer so to
/// a `<starttls/>` that they did not offer.
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

/// Whether a stream error is about the peer's own state, the domains, or a dialback key that it could not
/// have verified (early versions of XEP-0220 used stream errors for that), rather than about our identity.
fn has_another_subject(condition: Condition) -> bool {
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
