//! A graceful stop: what has to be over before the next step is known by tokens that are dropped when it is.

use std::{convert::Infallible, time::Duration};

use tokio::sync::mpsc;

/// Held by whoever has something left to do.
#[derive(Clone, Debug)]
pub struct Token {
    // Held for its drop.
    _alive: mpsc::Sender<Infallible>,
}

/// Waits until every token is dropped.
#[derive(Debug)]
pub struct Wait {
    ended: mpsc::Receiver<Infallible>,
}

/// A token to hand out, and the wait for its last clone.
pub fn tokens() -> (Token, Wait) {
    let (alive, ended) = mpsc::channel(1);
    (Token { _alive: alive }, Wait { ended })
}

impl Wait {
    /// Whether all was over within the time.
    pub async fn within(mut self, time: Duration) -> bool {
        tokio::time::timeout(time, self.ended.recv()).await.is_ok()
    }
}
