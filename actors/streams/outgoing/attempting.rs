//! The attempt, from its beginning to what came of it.

use actix::{ActorContext, Context, Handler};

use super::{Failed, Outgoing};
use crate::dial::{attempt::Session, error::AttemptError};
use mailbox::Queued;

/// The attempt has hung so long that others get its place: end it, if it has not succeeded by now.
#[derive(Debug)]
pub struct GiveWay;

/// The attempt is over, told to ourselves by its task.
#[derive(Debug)]
struct Attempted {
    outcome: Result<Session, AttemptError>,
}

impl Outgoing {
    pub(super) fn begin(&mut self) {
        let Some(dialling) = self.dialling.take() else { return };
        let own = self.own.clone();
        // In a task of its own, so that a panic in it is an outcome too.
        let attempt = actix_rt::spawn((dialling.begin)(self.owners.attempt.clone()));
        self.attempt = Some(attempt.abort_handle());
        actix_rt::spawn(async move {
            let outcome = match attempt.await {
                Ok(outcome) => outcome,
                Err(error) if error.is_cancelled() => Err(AttemptError::Overloaded),
                Err(_) => Err(AttemptError::Crashed),
            };
            // An actor that has stopped wants no news.
            let _ = own.signal(Attempted { outcome });
        });
    }
}

impl Handler<Queued<GiveWay>> for Outgoing {
    type Result = ();

    fn handle(&mut self, give_way: Queued<GiveWay>, _: &mut Context<Self>) {
        give_way.open();
        if let Some(attempt) = self.attempt.take() {
            attempt.abort();
        }
    }
}

impl Handler<Queued<Attempted>> for Outgoing {
    type Result = ();

    fn handle(&mut self, attempted: Queued<Attempted>, context: &mut Context<Self>) {
        let Attempted { outcome } = attempted.open();
        self.attempt = None;
        match outcome {
            Ok(session) => self.establish(session, context),
            Err(failure) => {
                let _ = self.owners.failed.signal(Failed { pair: self.pair.clone(), failure });
                context.stop();
            }
        }
    }
}
