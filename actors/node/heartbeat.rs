//! Checks that the router, the promise and the mailroom still process their mailboxes, for the watchdog of the service manager.

use actix::{Context, Handler};
use tokio::sync::oneshot;

use crate::routing::{mailroom::Mailroom, promise::Promise, router::Router};
use mailbox::{Mailbox, Outlet, Queued};

/// Confirm that the mailbox is processed.
#[derive(Debug)]
pub struct Respond {
    /// Gets the confirmation.
    pub alive: oneshot::Sender<()>,
}

/// Checks that the router, the promise and the mailroom still process their mailboxes. A timer of their own could not show it.
#[derive(Clone, Debug)]
pub struct Heartbeat {
    actors: [Outlet<Respond>; 3],
}

impl Heartbeat {
    /// A check of these actors.
    pub fn new(router: &Mailbox<Router>, promise: &Mailbox<Promise>, mailroom: &Mailbox<Mailroom>) -> Self {
        Self { actors: [router.outlet(), promise.outlet(), mailroom.outlet()] }
    }

    /// Waits until all have answered; forever if one does not. Call it from a task outside of the actors.
    pub async fn beat(&self) {
        for actor in &self.actors {
            let (alive, answer) = oneshot::channel();
            // An actor that has ended does not answer.
            let _ = actor.signal_quietly(Respond { alive });
            if answer.await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

impl Respond {
    fn respond(self) {
        // The watchdog may have stopped.
        let _ = self.alive.send(());
    }
}

impl Handler<Queued<Respond>> for Router {
    type Result = ();

    fn handle(&mut self, respond: Queued<Respond>, _: &mut Context<Self>) {
        respond.into_message().respond();
    }
}

impl Handler<Queued<Respond>> for Promise {
    type Result = ();

    fn handle(&mut self, respond: Queued<Respond>, _: &mut Context<Self>) {
        respond.into_message().respond();
    }
}

impl Handler<Queued<Respond>> for Mailroom {
    type Result = ();

    fn handle(&mut self, respond: Queued<Respond>, _: &mut Context<Self>) {
        respond.into_message().respond();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use mailbox::{Inbox, Meter};

    #[tokio::test(start_paused = true)]
    async fn there_is_no_beat_if_an_actor_does_not_process_its_mailbox() {
        let (router, _stuck): (_, Inbox<Router>) = mailbox::open(&Meter::new("router", 8, None), "router");
        let (promise, gone): (_, Inbox<Promise>) = mailbox::open(&Meter::new("promise", 8, None), "promise");
        drop(gone);
        let (mailroom, _idle): (_, Inbox<Mailroom>) =
            mailbox::open(&Meter::new("mailroom", 8, None), "mailroom");
        let heartbeat = Heartbeat::new(&router, &promise, &mailroom);
        tokio::time::timeout(Duration::from_secs(60), heartbeat.beat()).await.unwrap_err();
    }
}
