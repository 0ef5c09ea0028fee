//! The goal of a stream that only asks the server of a domain about a dialback key (XEP-0220 section 2.3).
use super::{Cause, Goal, Handshake, Plan, State, Steps, Waiting};
use crate::{
    DomainPair,
    dialback::{self, Answer},
    policy::Policy,
    sasl,
    stream::Stage,
    xml::{Element, ns},
};

/// The goal of a stream that asks about a dialback key which a third server showed to `pair.local`. The
/// outcome is the answer of the server of `pair.remote`.
#[derive(Debug)]
pub struct Verification {
    request: dialback::Request,
}

/// A verification waits for nothing but the answer about the key.
#[derive(Clone, Copy, Debug)]
pub struct AwaitedVerdict;

impl Waiting for AwaitedVerdict {
    fn stage(self) -> Stage {
        Stage::DialbackVerdict
    }

    fn is_answered(self) -> bool {
        false
    }
}

impl Goal for Verification {}

impl Steps for Verification {
    type Outcome = Answer;
    type Reached = Answer;
    type Waiting = AwaitedVerdict;

    fn uses_dialback(&self, _: &Policy) -> bool {
        true
    }

    fn external_refusal(&self) -> Option<&sasl::Failure> {
        None
    }

    fn is_dialback_left(_: &Handshake<Self>) -> bool {
        false
    }

    fn authenticate(handshake: &mut Handshake<Self>) -> Result<(), Cause> {
        handshake.admit()?;
        handshake.wire.write(&dialback::verify_request(&handshake.goal.request));
        handshake.state = State::Goal(AwaitedVerdict);
        Ok(())
    }

    fn outcome(_: &mut Handshake<Self>, answer: Answer) -> Answer {
        answer
    }

    fn answered(
        handshake: &mut Handshake<Self>,
        _: AwaitedVerdict,
        element: &Element,
    ) -> Result<bool, Cause> {
        if element.namespace != ns::DIALBACK || element.name != "verify" {
            return Ok(false);
        }
        let DomainPair { local, remote } = &handshake.plan.pair;
        let is_ours = dialback::is_between(element, remote, local)
            && element.attribute("id") == Some(&handshake.goal.request.id);
        let Some(answer) = dialback::read_answer(element).filter(|_| is_ours) else { return Ok(false) };
        handshake.wire.close(None);
        handshake.state = State::Reached(answer);
        Ok(true)
    }
}

impl Handshake<Verification> {
    /// A handshake that ends in the answer to `request`.
    pub fn verification(plan: Plan, request: dialback::Request) -> Self {
        Self::new(plan, Verification { request })
    }
}
