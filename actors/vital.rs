//! Actors the node cannot live without: when one panics the process ends, for a node with a dead router must not look
//! alive.

use actix::{Context, Handler};
use tokio::sync::{mpsc, oneshot};

use crate::{
    mailbox::{Mailbox, Outlet, Queued},
    promise::Promise,
    router::Router,
};

/// Say that you live.
#[derive(Debug)]
pub struct Respond {
    /// Told when this message had its turn.
    pub alive: oneshot::Sender<()>,
}

/// Held by a vital actor; cries out when it is dropped by a panic.
#[derive(Debug)]
pub struct Vital {
    kind: &'static str,
    deaths: mpsc::Sender<&'static str>,
}

impl Vital {
    /// For the actor of this kind; its death is told to `deaths`.
    pub fn new(kind: &'static str, deaths: mpsc::Sender<&'static str>) -> Self {
        Self { kind, deaths }
    }
}

impl Drop for Vital {
    fn drop(&mut self) {
        if std::thread::panicking() {
            log::error!(target: "nuncio::node", actor = self.kind; "a vital actor panicked; the node ends");
            // Full or closed: the node is ending already.
            let _ = self.deaths.try_send(self.kind);
        }
    }
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
    use crate::mailbox::{self, Inbox, Meter};

    #[tokio::test]
    async fn there_is_no_beat_when_a_vital_actor_does_not_take_its_messages() {
        let (router, _stuck): (_, Inbox<Router>) = mailbox::open(&Meter::new("router", 8, None), "router");
        let (promise, gone): (_, Inbox<Promise>) = mailbox::open(&Meter::new("promise", 8, None), "promise");
        drop(gone);
        let heartbeat = Heartbeat::new(&router, &promise);
        tokio::time::timeout(Duration::from_millis(20), heartbeat.beat()).await.unwrap_err();
    }
}
