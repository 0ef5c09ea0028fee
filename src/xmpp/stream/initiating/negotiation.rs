//! From features to stanzas: TLS, then EXTERNAL or dialback, or a question about somebody else's key.
use super::{Cause, Established, Initiating, Note, Output, Purpose, State};
use crate::{
    DomainPair,
    dialback::{self, Answer},
    policy::{Mechanism, Tls},
    sasl,
    stream::{End, error::Fault, features::Necessity},
    xml::{Element, ns},
};

impl Initiating {
    /// Takes the next step that the features allow: TLS, then authentication, then stanzas.
    pub(super) fn negotiate(&mut self) -> Result<(), Cause> {
        if self.authenticated {
            return match self.features.unknown.take() {
                Some(name) => Err(Fault::Feature(name).into()),
                None => self.establish(Mechanism::External),
            };
        }
        match (self.plan.policy.tls, self.features.starttls) {
            _ if self.secured.is_some() => self.authenticate(),
            (Tls::Disabled, Some(Necessity::Required)) => Err(Cause::TlsForbidden),
            (Tls::Disabled, _) | (Tls::Optional, None) => self.authenticate(),
            (Tls::Required | Tls::Optional, offered) => {
                // A missing offer may be the work of somebody in between: TLS is tried all the same (RFC 7590 3.1).
                self.unoffered = offered.is_none();
                self.wire.write(&Element::new("starttls", ns::TLS));
                self.state = State::ExpectProceed;
                Ok(())
            }
        }
    }

    pub(super) fn start_tls(&mut self) -> Result<(), Cause> {
        self.state = State::ExpectTls;
        if self.wire.has_unread() {
            return Err(Fault::Injected.into());
        }
        self.wire.emit(Output::StartTls);
        Ok(())
    }

    /// Tries the first mechanism that the policy allows on this link, the peer offers and that has not failed yet.
    ///
    /// EXTERNAL shows who we are, and yet takes a peer that its own certificate proves: a link is worth the same
    /// whichever side opens it. Dialback after it costs no trust of ours, so `dialback_after_external` is not asked.
    pub(super) fn authenticate(&mut self) -> Result<(), Cause> {
        let admission = self.admit()?;
        let DomainPair { local, remote } = &self.plan.pair;
        if let Purpose::Verify(request) = &self.plan.purpose {
            self.wire.write(&dialback::verify_request(request));
            self.state = State::ExpectVerdict;
            return Ok(());
        }
        let usable = |mechanism: &Mechanism| admission.admits(*mechanism) && self.is_offered(*mechanism);
        let mechanism = self.plan.policy.auth.iter().copied().find(usable);
        if let Some(mechanism) = mechanism {
            self.wire.emit(Output::Noted(Note::Tried(mechanism)));
        }
        match mechanism {
            Some(Mechanism::External) => {
                self.wire.write(&sasl::auth(local));
                self.challenged = false;
                self.state = State::ExpectOutcome;
                Ok(())
            }
            Some(Mechanism::Dialback) => {
                let id = self.header.id.as_ref().ok_or(Fault::NoId)?;
                let key = dialback::key(&self.plan.policy.secret, remote, local, id);
                self.wire.write(&dialback::result_request(local, remote, &key));
                self.state = State::ExpectResult;
                Ok(())
            }
            None => Err(match (self.external.clone(), self.features.unknown.take(), &self.certificate) {
                (Some(failure), ..) => Cause::ExternalRefused(failure),
                (_, Some(name), _) => Fault::Feature(name).into(),
                (.., Err(problem)) if self.is_offered(Mechanism::External) => {
                    Cause::Certificate(problem.clone())
                }
                _ => Cause::NoMechanism,
            }),
        }
    }

    fn is_offered(&self, mechanism: Mechanism) -> bool {
        match mechanism {
            Mechanism::External => {
                self.secured.is_some()
                    && self.plan.certificate
                    && self.features.external
                    && self.external.is_none()
            }
            // COMPAT: before there was a feature, the prefix on the header announced dialback (XEP-0220 2.4.1).
            Mechanism::Dialback => self.features.dialback || self.header.dialback || !self.header.is_modern(),
        }
    }

    pub(super) fn outcome(&mut self, element: &Element) -> Result<(), Cause> {
        match element.name.as_str() {
            "success" => {
                self.authenticated = true;
                self.wire.restart();
                self.begin();
                Ok(())
            }
            // COMPAT: some ignore the initial response and ask for it; nobody has reason to ask twice.
            "challenge" if !self.challenged => {
                self.challenged = true;
                self.wire.write(&sasl::response(&self.plan.pair.local));
                Ok(())
            }
            "challenge" => {
                self.wire.write(&Element::new("abort", ns::SASL));
                Ok(())
            }
            "failure" => {
                let failure = sasl::Failure::parse(element);
                self.wire.emit(Output::Noted(Note::ExternalRefused(failure.clone())));
                self.external = Some(failure);
                self.state = State::Refused;
                Ok(())
            }
            _ => Err(Fault::Unexpected { name: element.name.clone() }.into()),
        }
    }

    /// Whether it failed because EXTERNAL was refused, and dialback would have been the next mechanism of this stream if
    /// the peer had let it go on. Dialback may pass on a new connection then.
    pub fn has_dialback_left(&self) -> bool {
        let admission = self.admit();
        self.external.is_some()
            && self.plan.purpose == Purpose::Session
            && self.plan.policy.allows(Mechanism::Dialback)
            && admission.is_ok_and(|admission| admission.admits(Mechanism::Dialback))
            && self.is_offered(Mechanism::Dialback)
    }

    pub(super) fn dialback_result(&mut self, element: &Element) -> Result<(), Cause> {
        if !dialback::is_between(element, &self.plan.pair.remote, &self.plan.pair.local) {
            self.tell_unasked(element);
            return Ok(());
        }
        match dialback::read_answer(element) {
            Some(Answer::Valid) => self.establish(Mechanism::Dialback),
            Some(Answer::Invalid) => Err(Cause::DialbackInvalid),
            Some(Answer::Error(error)) => Err(Cause::DialbackError(error)),
            None => {
                self.tell_unasked(element);
                Ok(())
            }
        }
    }

    pub(super) fn dialback_verdict(&mut self, element: &Element) -> Result<(), Cause> {
        let Purpose::Verify(request) = &self.plan.purpose else {
            return Ok(());
        };
        let ours = dialback::is_between(element, &self.plan.pair.remote, &self.plan.pair.local)
            && element.attribute("id") == Some(&request.id);
        match dialback::read_answer(element).filter(|_| ours) {
            Some(answer) => {
                self.settled = true;
                self.wire.emit(Output::Verified(answer));
                self.wire.close(None);
                self.end(End::Closed);
            }
            None => self.tell_unasked(element),
        }
        Ok(())
    }

    pub(super) fn establish(&mut self, mechanism: Mechanism) -> Result<(), Cause> {
        self.state = State::Established;
        self.settled = true;
        self.heard.clear();
        self.expect_answers();
        self.wire.emit(Output::Established(Established {
            mechanism,
            secured: self.secured.is_some(),
            max_stanza: self.features.limits.max_bytes,
            idle_seconds: self.features.limits.idle_seconds,
        }));
        Ok(())
    }
}
