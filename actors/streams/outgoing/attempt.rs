//! The attempt to establish the stream, from its start to its outcome.

use actix::{ActorContext, Context, Handler};

use super::{Failed, GiveWay, Outgoing, State};
use crate::dial::{
    attempt::{PendingDial, Session},
    error::AttemptError,
};
use mailbox::{Mailbox, Queued};

/// The attempt is over. Sent by its task.
#[derive(Debug)]
struct Attempted {
    outcome: Result<Session, AttemptError>,
}

/// Reports the outcome of an attempt. It is dropped without one if the attempt panics, or is ended.
struct Report {
    /// Taken when the outcome is sent.
    own: Option<Mailbox<Outgoing>>,
}

impl Report {
    fn send(&mut self, outcome: Result<Session, AttemptError>) {
        if let Some(own) = self.own.take() {
            // An actor that has stopped needs no outcome.
            let _ = own.signal(Attempted { outcome });
        }
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        let is_crash = std::thread::panicking();
        self.send(Err(if is_crash { AttemptError::Crashed } else { AttemptError::Overloaded }));
    }
}

impl Outgoing {
    /// Starts the attempt.
    pub(super) fn begin(&mut self) {
        self.state = match std::mem::replace(&mut self.state, State::Failed) {
            State::New(pending) => {
                let PendingDial { begin, delay, lost, .. } = *pending;
                let (own, owner) = (self.own.clone(), self.owners.attempt.clone());
                let task = actix_rt::spawn(async move {
                    let mut report = Report { own: Some(own) };
                    if !delay.is_zero() {
                        // In a box, as few attempts begin later.
                        Box::pin(tokio::time::sleep(delay)).await;
                    }
                    report.send(begin(owner).await);
                });
                State::Dialing { attempt: task.abort_handle(), adopted: None, lost: lost.map(Box::new) }
            }
            other => other,
        };
    }
}

impl Handler<Queued<GiveWay>> for Outgoing {
    type Result = ();

    fn handle(&mut self, give_way: Queued<GiveWay>, _: &mut Context<Self>) {
        give_way.into_message();
        if let State::Dialing { attempt, .. } = &self.state {
            attempt.abort();
        }
    }
}

impl Handler<Queued<Attempted>> for Outgoing {
    type Result = ();

    fn handle(&mut self, attempted: Queued<Attempted>, context: &mut Context<Self>) {
        let Attempted { outcome } = attempted.into_message();
        let State::Dialing { adopted, lost, .. } = std::mem::replace(&mut self.state, State::Failed) else {
            return;
        };
        match outcome {
            Ok(dialed) => self.establish(dialed, adopted, lost.as_deref(), context),
            Err(failure) => {
                let _ = self.owners.failed.signal(Failed { pair: self.pair.clone(), failure });
                context.stop();
            }
        }
    }
}
