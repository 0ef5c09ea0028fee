//! Sends events and settled accounts to the recorder.

use actix::Handler;
use xmpp::Domain;

use super::{Event, Record, Recorder, Settled};
use mailbox::{Mailbox, Queued};
use status::report::Account;

/// A handle to the recorder. Records that a full mailbox refuses are lost; the meter of the recorder counts them.
#[derive(Clone, Debug)]
pub struct RecorderHandle {
    /// `None`: nothing is recorded.
    recorder: Option<Mailbox<Recorder>>,
}

impl RecorderHandle {
    /// A handle to this recorder.
    pub fn new(recorder: Mailbox<Recorder>) -> Self {
        Self { recorder: Some(recorder) }
    }

    /// A handle that records nothing.
    pub fn disabled() -> Self {
        Self { recorder: None }
    }

    /// Records an event of a remote domain that has authenticated or that this node connects to.
    pub fn note(&self, remote: &Domain, event: Event) {
        self.send(Record { remote: remote.clone(), claimed: false, event });
    }

    /// Records an event of a peer that claims this domain without proof.
    pub fn note_claim(&self, remote: &Domain, event: Event) {
        self.send(Record { remote: remote.clone(), claimed: true, event });
    }

    /// Adds the accounts of domains for which nothing waits any more.
    pub fn settle(&self, accounts: Vec<(Domain, Account)>) {
        self.send(Settled { accounts });
    }

    fn send<M: Send + 'static>(&self, message: M)
    where
        Recorder: Handler<Queued<M>>,
    {
        if let Some(recorder) = &self.recorder {
            // A full mailbox loses the message.
            let _ = recorder.tell(message);
        }
    }
}
