//! The control socket: answers an operator's commands, `nuncio explain` and its like, about the running node.
//!
//! One request, a line of JSON; one answer, a JSON document; then the connection is closed. Answers are gathered from
//! the actors by a task for each connection, which waits for them outside of every actor, within a time limit, and says
//! whose answer did not come. Whoever may open the socket, its owner, is trusted; but for nothing in it is a node to
//! fall: requests are short, connections few, answers limited.

mod collect;
mod components;
mod read_request;
mod related;
mod session_line;
pub mod socket;

use std::{sync::Arc, time::Duration};

use actix::{Actor, Context, Handler};
use tokio::{
    io::AsyncWriteExt,
    net::{UnixListener, UnixStream},
    sync::oneshot,
    task::JoinHandle,
};

pub use self::collect::Sources;
use crate::{
    node::places::{Place, Places, soon_if_needed, unless_needed},
    observe::log_limit::LogLimiter,
};
use mailbox::{Mailbox, Meter, Queued, Refused};
use status::answer::Refusal;

/// A connection came, told to ourselves by the accepting task.
#[derive(Debug)]
struct Accepted {
    stream: UnixStream,
}

/// A connection is done, told to ourselves by its task.
#[derive(Debug)]
struct Done {
    place: u64,
}

/// The actor of the control socket.
pub struct Control {
    sources: Arc<Sources>,
    own: Mailbox<Self>,
    meter: Arc<Meter>,
    accepting: JoinHandle<()>,
    places: Places,
}

impl Control {
    /// An actor that answers on `socket` what it learns from `sources`.
    pub fn new(socket: UnixListener, sources: Sources, own: Mailbox<Self>, meter: Arc<Meter>) -> Self {
        let accepting = actix_rt::spawn(accept(socket, own.clone()));
        Self { sources: Arc::new(sources), own, meter, accepting, places: Places::new(CONNECTIONS) }
    }
}

/// Accepts as long as the actor lives.
async fn accept(socket: UnixListener, control: Mailbox<Control>) {
    let failures = LogLimiter::new(LOG, 1, "more commands could not be accepted");
    loop {
        match socket.accept().await {
            Ok((stream, _)) => {
                if let Err(Refused::Gone(_)) = control.tell(Accepted { stream }) {
                    return;
                }
            }
            Err(error) => {
                if failures.permits() {
                    log::warn!(target: LOG, reason:% = error; "a command could not be accepted");
                }
                tokio::time::sleep(BREATH).await;
            }
        }
    }
}

/// Reads the request and writes the answer. While it waits for the client, a new client can have its place.
async fn converse(mut stream: UnixStream, sources: &Sources, mut ends: oneshot::Receiver<()>) {
    let read = tokio::time::timeout(READ_WITHIN, read_request::read(&mut stream));
    let document = match unless_needed(&mut ends, read).await {
        Some(Ok(Ok(request))) => {
            log::debug!(target: LOG, request:? = request; "asked");
            sources.answer(request).await
        }
        Some(Ok(Err(why))) => Refusal::new(why).document(),
        Some(Err(_)) => {
            Refusal::new(format!("no request came within {} s", READ_WITHIN.as_secs())).document()
        }
        None => Refusal::new("no request came before other commands needed the connection").document(),
    };
    let write = async {
        stream.write_all(document.as_bytes()).await?;
        stream.shutdown().await
    };
    let write = tokio::time::timeout(WRITE_WITHIN, write);
    // A client that does not read the answer does not get it.
    let _ = soon_if_needed(&mut ends, write).await;
}

impl Actor for Control {
    type Context = Context<Self>;
}

impl Handler<Queued<Accepted>> for Control {
    type Result = ();

    fn handle(&mut self, accepted: Queued<Accepted>, _: &mut Context<Self>) {
        let Accepted { stream } = accepted.open();
        let Some(Place { number, ends }) = self.places.enter() else {
            let refusal = Refusal::new("too many commands are being answered at once: try again").document();
            // A client that does not get it sees the connection closed.
            let _ = stream.try_write(refusal.as_bytes());
            return;
        };
        let (sources, own) = (Arc::clone(&self.sources), self.own.clone());
        actix_rt::spawn(async move {
            // In a task of its own, so that a panic in it gives the place back too.
            let _ = actix_rt::spawn(async move { converse(stream, &sources, ends).await }).await;
            let _ = own.signal(Done { place: number });
        });
    }
}

impl Handler<Queued<Done>> for Control {
    type Result = ();

    fn handle(&mut self, done: Queued<Done>, _: &mut Context<Self>) {
        let Done { place } = done.open();
        self.places.leave(place);
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.meter.count_if_panicking();
        self.accepting.abort();
    }
}

const LOG: &str = "nuncio::control";

/// Commands answered at once: a person has one or two, a monitor a few. As many more may be about to end.
const CONNECTIONS: usize = 16;

/// How long a client may take to ask.
const READ_WITHIN: Duration = Duration::from_secs(5);

/// How long a client may take to read the answer.
const WRITE_WITHIN: Duration = Duration::from_secs(10);

/// A pause after which an exhausted system may have room again.
const BREATH: Duration = Duration::from_millis(25);
