//! Waits for the end of a step in a graceful stop.
//!
//! Every actor with work left holds a [`Token`]. The step is complete when the last clone is dropped.

use std::{convert::Infallible, time::Duration};

use tokio::sync::mpsc;

/// Held by an actor or a message while it has work left. Clones count separately.
#[derive(Clone, Debug)]
pub struct Token {
    // Held for its drop.
    _alive: mpsc::Sender<Infallible>,
}

/// Completes when every token is dropped.
#[derive(Debug)]
pub struct Completion {
    ended: mpsc::Receiver<Infallible>,
}

/// Makes a token, and the completion of all its clones.
pub fn tokens() -> (Token, Completion) {
    let (alive, ended) = mpsc::channel(1);
    (Token { _alive: alive }, Completion { ended })
}

impl Completion {
    /// Waits until every token is dropped, at most for `time`. Returns whether all were dropped in time.
    pub async fn within(mut self, time: Duration) -> bool {
        tokio::time::timeout(time, self.ended.recv()).await.is_ok()
    }
}
