//! Waits for the answers of several actors, with one deadline for all.

use std::time::Duration;

use tokio::{
    sync::{mpsc::Receiver, oneshot},
    time::{Instant, timeout_at},
};

use status::answer::Refusal;

/// One round of questions to the actors: its deadline, and the actors that have not answered.
pub(super) struct Round {
    deadline: Instant,
    pub(super) unanswered: Vec<&'static str>,
}

impl Round {
    /// Begins a round: its time runs from now.
    pub(super) fn begin() -> Self {
        Self { deadline: (clock::now() + WITHIN).into(), unanswered: Vec::new() }
    }

    /// Waits for an answer of the actor `part`.
    pub(super) async fn wait<T>(&mut self, part: &'static str, answer: oneshot::Receiver<T>) -> Option<T> {
        let answer = timeout_at(self.deadline, answer).await.ok().and_then(Result::ok);
        if answer.is_none() {
            self.miss(part);
        }
        answer
    }

    /// Waits for the next of many answers; `None` after the last one.
    pub(super) async fn next<T>(&mut self, part: &'static str, answers: &mut Receiver<T>) -> Option<T> {
        match timeout_at(self.deadline, answers.recv()).await {
            Ok(answer) => answer,
            Err(_) => {
                self.miss(part);
                None
            }
        }
    }

    /// Notes that an actor has not answered.
    fn miss(&mut self, part: &'static str) {
        if !self.unanswered.contains(&part) {
            self.unanswered.push(part);
        }
    }

    /// Whether all actors have answered.
    pub(super) fn is_complete(&self) -> bool {
        self.unanswered.is_empty()
    }
}

/// The error of a command whose actor did not answer.
pub(super) fn silent(part: &str) -> Refusal {
    Refusal::new(format!("the {part} did not answer within {} s: try again", WITHIN.as_secs()))
}

/// The time limit for the answers of the actors. An actor that is busy for longer is a finding of its own.
const WITHIN: Duration = Duration::from_secs(3);
