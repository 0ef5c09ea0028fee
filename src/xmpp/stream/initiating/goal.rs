//! The two goals of a handshake differ in how they go on once TLS is settled.
use super::{Cause, Handshake};
use crate::{policy::Policy, sasl, stream::Stage, xml::Element};
use std::fmt;

/// The goal of a [`Handshake`]: a [`Session`](super::Session) or a [`Verification`](super::Verification).
pub trait Goal: Steps {}

/// The steps that a goal adds to the handshake.
pub trait Steps: fmt::Debug + Sized {
    /// The result of a completed handshake.
    type Outcome: fmt::Debug;

    /// The part of the outcome that is known when the goal is reached.
    type Reached: fmt::Debug;

    /// The answer that the goal waits for.
    type Waiting: Waiting;

    /// Whether our stream header declares the prefix of dialback.
    fn uses_dialback(&self, policy: &Policy) -> bool;

    /// The peer's refusal of EXTERNAL, if there was one.
    fn external_refusal(&self) -> Option<&sasl::Failure>;

    /// Whether dialback would have followed a refused EXTERNAL.
    fn is_dialback_left(handshake: &Handshake<Self>) -> bool
    where
        Self: Goal;

    /// Takes the next step now that TLS is settled and the features are known.
    ///
    /// # Errors
    /// Gives the cause for which the handshake fails.
    fn authenticate(handshake: &mut Handshake<Self>) -> Result<(), Cause>
    where
        Self: Goal;

    /// Makes the outcome. The handshake is over then.
    fn outcome(handshake: &mut Handshake<Self>, reached: Self::Reached) -> Self::Outcome
    where
        Self: Goal;

    /// Takes an element while the goal waits. Gives `false` when it is no answer.
    ///
    /// # Errors
    /// Gives the cause for which the handshake fails.
    fn answered(
        handshake: &mut Handshake<Self>,
        waiting: Self::Waiting,
        element: &Element,
    ) -> Result<bool, Cause>
    where
        Self: Goal;
}

/// An answer that a goal waits for.
pub trait Waiting: Copy + fmt::Debug {
    /// The point at which the handshake is.
    fn stage(self) -> Stage;

    /// Whether the answer has come, and authentication goes on behind the bytes that came with it.
    fn is_answered(self) -> bool;
}
