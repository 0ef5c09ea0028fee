//! How many pairs wait for a link, and in which state.

use std::time::Duration;

use actix::{Context, Handler};
use tokio::sync::oneshot;

use super::{Promise, State};
use mailbox::Queued;

/// Show how many pairs are in which state.
#[derive(Debug)]
pub struct ShowFigures {
    /// Where the answer goes.
    pub answer: oneshot::Sender<Figures>,
}

/// Pairs by state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Waiting until fewer attempts are under way.
    pub awaiting_turn: u64,
    /// An attempt is being made.
    pub attempting: u64,
    /// The link stands and is given what waited.
    pub handing_over: u64,
    /// A link has ended and gives back what it had not written.
    pub awaiting_return: u64,
    /// In a pause after a failure.
    pub pausing: u64,
    /// How long the longest of those pauses still is.
    pub longest_pause: Duration,
}

impl Handler<Queued<ShowFigures>> for Promise {
    type Result = ();

    fn handle(&mut self, show: Queued<ShowFigures>, _: &mut Context<Self>) {
        let now = clock::now();
        let mut figures = Figures::default();
        for pair in self.pairs.values() {
            let state = match &pair.state {
                State::AwaitingTurn => &mut figures.awaiting_turn,
                State::Attempting(_) => &mut figures.attempting,
                State::HandingOver(_) => &mut figures.handing_over,
                State::AwaitingReturn => &mut figures.awaiting_return,
                State::Pausing { .. } if pair.in_line => &mut figures.awaiting_turn,
                // It is only remembered why the last attempt failed.
                State::Pausing { until } if *until <= now && pair.is_idle() => continue,
                State::Pausing { until } => {
                    let left = until.saturating_duration_since(now);
                    figures.longest_pause = figures.longest_pause.max(left);
                    &mut figures.pausing
                }
            };
            *state += 1;
        }
        // Whoever asked may have given up.
        let _ = show.open().answer.send(figures);
    }
}
