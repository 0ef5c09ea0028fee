//! From the features to TLS, and what the policy allows on the connection as it is.
use super::{Cause, Goal, Handshake, Output, Protection, State};
use crate::{
    certificate::Problem,
    policy::{self, Admission, Refusal, Tls},
    stream::{error::Fault, features::Necessity},
    xml::{Element, ns},
};

impl<G: Goal> Handshake<G> {
    /// Takes the next step that the features allow: TLS, or authentication.
    pub(super) fn negotiate(&mut self) -> Result<(), Cause> {
        match (self.plan.policy.tls, self.features.starttls) {
            _ if self.transport().is_some() => G::authenticate(self),
            (Tls::Disabled, Some(Necessity::Required)) => Err(Cause::TlsForbidden),
            (Tls::Disabled, _) | (Tls::Optional, None) => G::authenticate(self),
            (Tls::Required | Tls::Optional, offered) => {
                // An attacker may have removed the offer: TLS is tried all the same (RFC 7590 section 3.1).
                self.protection = Protection::Clear { guessed: offered.is_none() };
                self.wire.write(&Element::new("starttls", ns::TLS));
                self.state = State::Proceed;
                Ok(())
            }
        }
    }

    pub(super) fn start_tls(&mut self) -> Result<(), Cause> {
        self.state = State::Tls;
        if self.wire.has_unread() {
            return Err(Fault::Injected.into());
        }
        self.wire.emit(Output::StartTls);
        Ok(())
    }

    /// Asks the policy which mechanisms may prove the remote on this connection as it is.
    pub(super) fn admit(&self) -> Result<Admission, Cause> {
        let (secured, verdict) = match &self.protection {
            Protection::Clear { .. } => (false, Err(Problem::Missing)),
            Protection::Tls { verdict, .. } => (true, verdict.clone()),
        };
        policy::admit(&self.plan.policy, secured, verdict).map_err(|refused| match refused {
            Refusal::TlsRequired => Cause::TlsUnavailable,
            Refusal::TlsForbidden => Cause::TlsForbidden,
            Refusal::Certificate(problem) => Cause::Certificate(problem),
            Refusal::NoMechanism => Cause::NoMechanism,
        })
    }

    /// TLS was requested although it was not offered, and the answer is missing.
    pub(super) fn has_guessed(&self) -> bool {
        matches!(self.protection, Protection::Clear { guessed: true })
    }
}
