//! The goal of a stream for stanzas: EXTERNAL or dialback authenticates us, and the stream opens.
use super::{
    Cause, Goal, Handshake, Note, Output, Plan, Protection, State, Steps, Waiting,
    counted::Counted,
    open::{self, Negotiated, Open},
};
use crate::{
    DomainPair,
    dialback::{self, Answer},
    policy::{Mechanism, Policy},
    sasl,
    stream::{Stage, error::Fault},
    xml::{Element, ns},
};

/// The goal of a stream that takes stanzas. The outcome is the [`Open`] stream.
#[derive(Debug)]
pub struct Session {
    external: External,
    pub(super) counted: Counted,
}

/// The state of SASL EXTERNAL.
#[derive(Debug)]
enum External {
    Untried,
    Refused(sasl::Failure),
    Succeeded,
}

/// The answer that a session waits for.
#[derive(Clone, Copy, Debug)]
pub enum Awaited {
    /// The outcome of EXTERNAL.
    External {
        /// The peer has requested our identity although `<auth/>` contained it.
        challenged: bool,
    },
    /// The end of the received bytes: the peer has refused EXTERNAL and may have ended the stream behind its
    /// refusal.
    EndOfRefusal,
    /// The answer to our dialback key.
    DialbackResult,
    /// The answer to our request to resume a stream, after authentication by this mechanism.
    Resumption(Mechanism),
}

impl Waiting for Awaited {
    fn stage(self) -> Stage {
        match self {
            Self::External { .. } | Self::EndOfRefusal => Stage::External,
            Self::DialbackResult => Stage::DialbackResult,
            Self::Resumption(_) => Stage::Resumption,
        }
    }

    fn is_answered(self) -> bool {
        matches!(self, Self::EndOfRefusal)
    }
}

impl Goal for Session {}

impl Steps for Session {
    type Outcome = Box<Open>;
    type Reached = Mechanism;
    type Waiting = Awaited;

    fn uses_dialback(&self, policy: &Policy) -> bool {
        policy.allows(Mechanism::Dialback)
    }

    fn external_refusal(&self) -> Option<&sasl::Failure> {
        match &self.external {
            External::Refused(failure) => Some(failure),
            External::Untried | External::Succeeded => None,
        }
    }

    fn is_dialback_left(handshake: &Handshake<Self>) -> bool {
        handshake.goal.external_refusal().is_some()
            && handshake.plan.policy.allows(Mechanism::Dialback)
            && handshake.admit().is_ok_and(|admission| admission.admits(Mechanism::Dialback))
            && handshake.is_offered(Mechanism::Dialback)
    }

    /// Tries the first mechanism that the policy allows on this connection, that the peer offers and that has
    /// not failed.
    ///
    /// EXTERNAL shows our identity, and yet the peer has to be proved by its own certificate: a connection is
    /// worth the same whichever side opens it. Dialback after EXTERNAL costs no trust of ours, so
    /// `dialback_after_external` does not apply.
    fn authenticate(handshake: &mut Handshake<Self>) -> Result<(), Cause> {
        if matches!(handshake.goal.external, External::Succeeded) {
            return match handshake.features.unknown.take() {
                Some(name) => Err(Fault::Feature(name).into()),
                None => {
                    handshake.reach(Mechanism::External);
                    Ok(())
                }
            };
        }
        let admission = handshake.admit()?;
        let usable = |mechanism: &Mechanism| admission.admits(*mechanism) && handshake.is_offered(*mechanism);
        match handshake.plan.policy.auth.iter().copied().find(usable) {
            Some(mechanism) => handshake.try_mechanism(mechanism),
            None => Err(handshake.without_mechanism()),
        }
    }

    fn outcome(handshake: &mut Handshake<Self>, mechanism: Mechanism) -> Box<Open> {
        handshake.heard.clear();
        let clear = Protection::Clear { guessed: false };
        let negotiated = Negotiated {
            pair: handshake.plan.pair.clone(),
            policy: handshake.plan.policy.clone(),
            mechanism,
            secured: match std::mem::replace(&mut handshake.protection, clear) {
                Protection::Tls { secured, .. } => Some(*secured),
                Protection::Clear { .. } => None,
            },
            limits: handshake.features.limits,
            header: std::mem::take(&mut handshake.header),
            bounds: handshake.plan.bounds,
            elements: handshake.elements,
            unsolicited: handshake.unsolicited,
            counted: std::mem::take(&mut handshake.goal.counted),
        };
        Box::new(Open::new(negotiated, handshake.wire.hand_over(open::Output::Transmit)))
    }

    fn answered(handshake: &mut Handshake<Self>, waiting: Awaited, element: &Element) -> Result<bool, Cause> {
        match (waiting, element.namespace.as_str(), element.name.as_str()) {
            (Awaited::External { challenged }, ns::SASL, _) => {
                handshake.external_outcome(challenged, element)?;
            }
            (Awaited::DialbackResult, ns::DIALBACK, "result") => handshake.dialback_result(element)?,
            (Awaited::Resumption(mechanism), ns::ACKS, _) => {
                return Ok(handshake.resumption_answer(mechanism, element));
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl Handshake<Session> {
    /// A handshake that ends in an open stream.
    pub fn session(plan: Plan) -> Self {
        Self::new(plan, Session { external: External::Untried, counted: Counted::default() })
    }

    fn is_offered(&self, mechanism: Mechanism) -> bool {
        match mechanism {
            Mechanism::External => {
                self.transport().is_some()
                    && self.plan.certificate
                    && self.features.external
                    && matches!(self.goal.external, External::Untried)
            }
            // COMPAT: before there was a feature, the prefix on the header announced dialback (XEP-0220
            // section 2.4.1).
            Mechanism::Dialback => self.features.dialback || self.header.dialback || !self.header.is_modern(),
        }
    }

    fn try_mechanism(&mut self, mechanism: Mechanism) -> Result<(), Cause> {
        self.wire.emit(Output::Noted(Note::Tried(mechanism)));
        let DomainPair { local, remote } = &self.plan.pair;
        let awaited = match mechanism {
            Mechanism::External => {
                self.wire.write(&sasl::auth(local));
                Awaited::External { challenged: false }
            }
            Mechanism::Dialback => {
                let id = self.header.id.as_ref().ok_or(Fault::NoId)?;
                let key = dialback::key(&self.plan.policy.secret, remote, local, id);
                self.wire.write(&dialback::result_request(local, remote, &key));
                Awaited::DialbackResult
            }
        };
        self.state = State::Goal(awaited);
        Ok(())
    }

    fn without_mechanism(&mut self) -> Cause {
        if let Some(refused) = self.goal.external_refusal() {
            return Cause::ExternalRefused(refused.clone());
        }
        if let Some(name) = self.features.unknown.take() {
            return Fault::Feature(name).into();
        }
        match &self.protection {
            Protection::Tls { verdict: Err(problem), .. } if self.is_offered(Mechanism::External) => {
                Cause::Certificate(problem.clone())
            }
            _ => Cause::NoMechanism,
        }
    }

    fn external_outcome(&mut self, challenged: bool, element: &Element) -> Result<(), Cause> {
        match element.name.as_str() {
            "success" => {
                self.goal.external = External::Succeeded;
                self.wire.restart();
                self.begin();
            }
            // COMPAT: some servers ignore the initial response and request it. There is no reason to request
            // it twice.
            "challenge" if !challenged => {
                self.state = State::Goal(Awaited::External { challenged: true });
                self.wire.write(&sasl::response(&self.plan.pair.local));
            }
            "challenge" => self.wire.write(&Element::new("abort", ns::SASL)),
            "failure" => {
                let failure = sasl::Failure::parse(element);
                self.wire.emit(Output::Noted(Note::ExternalRefused(failure.clone())));
                self.goal.external = External::Refused(failure);
                self.state = State::Goal(Awaited::EndOfRefusal);
            }
            _ => return Err(Fault::Unexpected { name: element.name.clone() }.into()),
        }
        Ok(())
    }

    fn dialback_result(&mut self, element: &Element) -> Result<(), Cause> {
        let DomainPair { local, remote } = &self.plan.pair;
        let answer =
            dialback::is_between(element, remote, local).then(|| dialback::read_answer(element)).flatten();
        match answer {
            Some(Answer::Valid) => self.reach(Mechanism::Dialback),
            Some(Answer::Invalid) => return Err(Cause::DialbackInvalid),
            Some(Answer::Error(error)) => return Err(Cause::DialbackError(error)),
            None => self.report_unsolicited(element),
        }
        Ok(())
    }
}
