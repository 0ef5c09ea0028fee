//! Waits for the answers of several actors, with one deadline for all.

use std::time::Duration;

use tokio::{
    sync::{mpsc::Receiver, oneshot},
    time::{Instant, timeout_at},
};

use status::{
    answer::Refusal,
    finding::{Refused, Why},
    report::Seconds,
};

/// One round of questions to the actors: its deadline, and the actors that have not answered.
pub(super) struct Round {
    deadline: Instant,
    /// The time from its begin to the deadline.
    within: Duration,
    pub(super) unanswered: Vec<&'static str>,
}

impl Round {
    /// Begins a round of this time, which runs from now.
    pub(super) fn begin(within: Duration) -> Self {
        Self { deadline: (clock::now() + within).into(), within, unanswered: Vec::new() }
    }

    /// Begins a further round of the same command.
    pub(super) fn goes_on(&mut self, within: Duration) {
        (self.deadline, self.within) = ((clock::now() + within).into(), within);
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

    /// The refusal of a command that other nodes are asked too, and whose actor `part` did not answer.
    pub(super) fn refused(&self, part: &str) -> Refused {
        let within = Seconds(self.within);
        Refused::new(Why::Silent, format!("the {part} did not answer within {within}: try again"))
    }

    /// The same, of a command that asks this node only.
    pub(super) fn refusal(&self, part: &str) -> Refusal {
        Refusal::new(self.refused(part).error)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_has_the_time_that_was_waited_here() {
        for (patience, time) in [(Patience::FOR_OPERATOR, "3 s"), (Patience::FOR_OTHER_NODE, "2 s")] {
            let round = Round::begin(patience.of_actors);
            let expected = format!("the router did not answer within {time}: try again");
            assert_eq!(round.refused("router").error, expected);
        }
    }
}
