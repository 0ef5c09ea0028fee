//! Brings the events of the message broker to the actor of the cluster.
//!
//! A task waits for them. A bounded number is on the way to actors; meanwhile the others wait in the channel of the client,
//! which is bounded too.

use std::sync::Arc;

use ::cluster::{
    engine::Event,
    ferry::{Frame, decode},
    question,
};
use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::observe::log_limit::{FEW, LogLimiter};
use mailbox::Outlet;

/// The broker reports something.
#[derive(Debug)]
pub(crate) struct Came {
    pub(super) what: What,
    /// Dropped when an actor has handled it.
    pub(super) permit: OwnedSemaphorePermit,
}

#[derive(Debug)]
pub(super) enum What {
    /// For the arbiter.
    Event(Event),
    /// From another node.
    Frame(Box<Frame>),
    /// From another node, about a question.
    Question(question::Frame),
}

/// Starts the task. It ends with the client or with the actor.
pub(super) fn start(mut events: mpsc::Receiver<Event>, cluster: Outlet<Came>) {
    let permits = Arc::new(Semaphore::new(UNDER_WAY));
    let damaged = LogLimiter::new(super::LOG, FEW, "more frames could not be read");
    actix_rt::spawn(async move {
        while let Ok(permit) = Arc::clone(&permits).acquire_owned().await {
            let Some(event) = events.recv().await else { return };
            let what = match event {
                Event::Frame(bytes) => match read(&bytes) {
                    Ok(what) => what,
                    Err(reason) => {
                        if damaged.count_line() {
                            log::error!(target: super::LOG, reason = reason.as_str(); "frame dropped");
                        }
                        continue;
                    }
                },
                event => What::Event(event),
            };
            // Beats come from an idle cluster too, and questions show what is there.
            let is_quiet = !matches!(what, What::Frame(_));
            let came = Came { what, permit };
            let sent = if is_quiet { cluster.signal_quietly(came) } else { cluster.signal(came) };
            if sent.is_err() {
                return;
            }
        }
    });
}

/// Reads a frame of either kind.
fn read(bytes: &Bytes) -> Result<What, String> {
    match question::is_question(bytes) {
        true => question::decode(bytes).map(What::Question).map_err(|error| error.to_string()),
        false => decode(bytes).map(|frame| What::Frame(Box::new(frame))).map_err(|error| error.to_string()),
    }
}

/// Events that are in mailboxes. A frame has 64 KiB, so they take a few megabytes.
const UNDER_WAY: usize = 64;
