//! Waits for the answers of several actors, with one deadline for all.

use std::time::Duration;

use tokio::{
    sync::{mpsc::Receiver, oneshot},
    time::{Instant, timeout_at},
};

use status::{
    answer::Refusal,
    finding::{Refused, Why},
};

/// One round of questions to the actors: its deadline, and the actors that have not answered.
pub(super) struct Round {
    deadline: Instant,
    pub(super) unanswered: Vec<&'static str>,
}

impl Round {
    /// Begins a round of this time, which runs from now.
    pub(super) fn begin(within: Duration) -> Self {
        Self { deadline: (clock::now() + within).into(), unanswered: Vec::new() }
    }

    /// Begins a further round of the same command.
    pub(super) fn goes_on(&mut self, within: Duration) {
        self.deadline = (clock::now() + within).into();
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
}

/// The error of a command whose actor did not answer.
pub(super) fn silent(part: &str) -> Refusal {
    Refusal::new(unanswered(part).error)
}

/// The same, of a command that other nodes are asked too.
pub(super) fn unanswered(part: &str) -> Refused {
    let within = Patience::FOR_OPERATOR.of_actors.as_secs();
    Refused::new(Why::Silent, format!("the {part} did not answer within {within} s: try again"))
}

/// How long an answer may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// The time limit for the answers of the actors. An actor that is busy for longer is a finding of its own.
    pub(super) of_actors: Duration,
    /// The time limit for links to close.
    pub(super) of_closing: Duration,
}

impl Patience {
    /// Of a command here. A peer has five seconds to close its side.
    pub(crate) const FOR_OPERATOR: Self =
        Self { of_actors: Duration::from_secs(3), of_closing: Duration::from_secs(6) };

    /// Of a command at another node, which waits for three seconds.
    pub(super) const FOR_OTHER_NODE: Self =
        Self { of_actors: Duration::from_millis(2_000), of_closing: Duration::from_millis(1_000) };
}
