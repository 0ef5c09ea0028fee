//! How others leave with the recorder what they saw.

use actix::Handler;
use xmpp::Domain;

use super::{Event, Recorder, Saw, Settled};
use mailbox::{Mailbox, Queued};
use status::report::Account;

/// Where others leave what they saw.
#[derive(Clone, Debug)]
pub struct RecorderHandle {
    /// `None`: nobody keeps them.
    recorder: Option<Mailbox<Recorder>>,
}

impl RecorderHandle {
    /// RecorderHandle that this recorder keeps.
    pub fn new(recorder: Mailbox<Recorder>) -> Self {
        Self { recorder: Some(recorder) }
    }

    /// RecorderHandle that nobody keeps.
    pub fn nobody() -> Self {
        Self { recorder: None }
    }

    /// RecorderHandle what happened with a domain that proved itself, or that we turned to.
    pub fn note(&self, remote: &Domain, event: Event) {
        self.leave(Saw { remote: remote.clone(), claimed: false, event });
    }

    /// RecorderHandle what happened with somebody who says that he is that domain.
    pub fn note_claim(&self, remote: &Domain, event: Event) {
        self.leave(Saw { remote: remote.clone(), claimed: true, event });
    }

    /// Keeps what the accounts of domains say that have nothing waiting any more.
    pub fn settle(&self, accounts: Vec<(Domain, Account)>) {
        self.leave(Settled { accounts });
    }

    fn leave<M: Send + 'static>(&self, message: M)
    where
        Recorder: Handler<Queued<M>>,
    {
        if let Some(recorder) = &self.recorder {
            // A recorder that has too much to do misses some; its meter counts them.
            let _ = recorder.tell(message);
        }
    }
}
