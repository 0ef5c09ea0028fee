//! The number of pairs in each state, for the metrics.

use std::time::Duration;

use actix::{Context, Handler};
use tokio::sync::oneshot;

use super::{Promise, State, schedule::Pause};
use mailbox::Queued;

/// Count the pairs by state.
#[derive(Debug)]
pub struct ShowFigures {
    /// Receives the numbers.
    pub answer: oneshot::Sender<Figures>,
}

/// Pairs by state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Waiting for a slot for their attempt.
    pub awaiting_slot: u64,
    /// Waiting for the answer which node of the cluster has the link.
    pub claiming: u64,
    /// With an attempt under way.
    pub attempting: u64,
    /// With a session that is being given what waited.
    pub handing_over: u64,
    /// With a session that takes its stanzas in portions.
    pub slow: u64,
    /// With a session that has ended and returns what it has not written.
    pub awaiting_return: u64,
    /// In a pause after a failure.
    pub pausing: u64,
    /// Time until the last of these pauses ends.
    pub longest_pause: Duration,
}

impl Handler<Queued<ShowFigures>> for Promise {
    type Result = ();

    fn handle(&mut self, show: Queued<ShowFigures>, _: &mut Context<Self>) {
        let now = clock::now();
        let mut figures = Figures::default();
        for (pair, known) in self.pairs.iter() {
            let state = match &known.state {
                State::AwaitingSlot { .. } => &mut figures.awaiting_slot,
                State::Claiming { .. } => &mut figures.claiming,
                State::Attempting(_) => &mut figures.attempting,
                State::HandingOver(_) => &mut figures.handing_over,
                State::Slow(_) => &mut figures.slow,
                State::AwaitingReturn => &mut figures.awaiting_return,
                State::Pausing => match self.schedule.pause_of(pair) {
                    Some(Pause { in_retries: true, .. }) => &mut figures.awaiting_slot,
                    // Only the reason of the last failure is remembered.
                    Some(Pause { ends, .. }) if ends <= now && self.waiting.is_idle(pair) => continue,
                    Some(Pause { ends, .. }) => {
                        let left = ends.saturating_duration_since(now);
                        figures.longest_pause = figures.longest_pause.max(left);
                        &mut figures.pausing
                    }
                    None => continue,
                },
            };
            *state += 1;
        }
        // The receiver may be gone.
        let _ = show.into_message().answer.send(figures);
    }
}
