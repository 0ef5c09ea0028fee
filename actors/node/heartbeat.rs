//! Checks that the router and the promise still process their mailboxes, for the watchdog of the service manager.

use actix::{Context, Handler};
use tokio::sync::oneshot;

use crate::routing::{promise::Promise, router::Router};
use mailbox::{Mailbox, Outlet, Queued};

/// Say that you live.
#[derive(Debug)]
pub struct Respond {
    /// Told when this message had its turn.
    pub alive: oneshot::Sender<()>,
}

/// Feels whether the router and the promise still take messages, which a timer would not.
#[derive(Clone, Debug)]
pub struct Heartbeat {
    vital: [Outlet<Respond>; 2],
}

impl Heartbeat {
    /// Of these two.
    pub fn new(router: &Mailbox<Router>, promise: &Mailbox<Promise>) -> Self {
        Self { vital: [router.outlet(), promise.outlet()] }
    }

    /// Waits until both have answered; for ever if one never does. To be called by a task outside of the actors.
    pub async fn beat(&self) {
        for actor in &self.vital {
            let (alive, answer) = oneshot::channel();
            // A dead one does not answer, and then there is no beat.
            let _ = actor.signal(Respond { alive });
            if answer.await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

impl Respond {
    fn respond(self) {
        // Whoever asked may have gone.
        let _ = self.alive.send(());
    }
}

impl Handler<Queued<Respond>> for Router {
    type Result = ();

    fn handle(&mut self, respond: Queued<Respond>, _: &mut Context<Self>) {
        respond.open().respond();
    }
}

impl Handler<Queued<Respond>> for Promise {
    type Result = ();

    fn handle(&mut self, respond: Queued<Respond>, _: &mut Context<Self>) {
        respond.open().respond();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use mailbox::{Inbox, Meter};

    #[tokio::test]
    async fn there_is_no_beat_when_a_vital_actor_does_not_take_its_messages() {
        let (router, _stuck): (_, Inbox<Router>) = mailbox::open(&Meter::new("router", 8, None), "router");
        let (promise, gone): (_, Inbox<Promise>) = mailbox::open(&Meter::new("promise", 8, None), "promise");
        drop(gone);
        let heartbeat = Heartbeat::new(&router, &promise);
        tokio::time::timeout(Duration::from_millis(20), heartbeat.beat()).await.unwrap_err();
    }
}
