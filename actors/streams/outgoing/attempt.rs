//! The attempt to establish the stream, from its start to its outcome.

use actix::{ActorContext, Context, Handler};

use super::{Failed, GiveWay, Outgoing, State};
use crate::dial::{attempt::Session, error::AttemptError};
use mailbox::Queued;

/// The attempt is over. Sent by its task.
#[derive(Debug)]
struct Attempted {
    outcome: Result<Session, AttemptError>,
}

impl Outgoing {
    /// Starts the attempt.
    pub(super) fn begin(&mut self) {
        self.state = match std::mem::replace(&mut self.state, State::Failed) {
            State::New(pending) => {
                let (lost, delay) = (pending.lost.clone(), pending.delay);
                let (own, owner) = (self.own.clone(), self.owners.attempt.clone());
                // In a task of its own, so that a panic in it is an outcome too.
                let task = actix_rt::spawn(async move {
                    if !delay.is_zero() {
                        tokio::time::sleep(delay).await;
                    }
                    (pending.begin)(owner).await
                });
                let attempt = task.abort_handle();
                actix_rt::spawn(async move {
                    let outcome = match task.await {
                        Ok(outcome) => outcome,
                        Err(error) if error.is_cancelled() => Err(AttemptError::Overloaded),
                        Err(_) => Err(AttemptError::Crashed),
                    };
                    // An actor that has stopped needs no outcome.
                    let _ = own.signal(Attempted { outcome });
                });
                State::Dialing { attempt, adopted: None, lost }
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
            Ok(dialed) => self.establish(dialed, adopted, lost.as_ref(), context),
            Err(failure) => {
                let _ = self.owners.failed.signal(Failed { pair: self.pair.clone(), failure });
                context.stop();
            }
        }
    }
}
