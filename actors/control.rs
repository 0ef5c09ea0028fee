//! The control socket: answers an operator's commands, `nuncio explain` and its like, about the running node.
//!
//! One request, a line of JSON; one answer, a JSON document; then the connection is closed. Answers are gathered from
//! the actors by a task for each connection, which waits for them outside of every actor, within a time limit, and says
//! whose answer did not come. Whoever may open the socket, its owner, is trusted; but for nothing in it is a node to
//! fall: requests are short, connections few, answers limited.

pub mod answer;
mod collect;
mod components;
pub mod request;
mod sentence;
pub mod socket;

use std::{sync::Arc, time::Duration};

use actix::{Actor, Context, Handler};
use tokio::{
    io::AsyncWriteExt,
    net::{UnixListener, UnixStream},
    task::JoinHandle,
};

pub use self::collect::Sources;
use self::{answer::Refusal, request::Request};
use crate::{
    mailbox::{Mailbox, Meter, Queued, Refused},
    quiet::Quiet,
};

/// A connection came, told to ourselves by the accepting task.
#[derive(Debug)]
struct Accepted {
    stream: UnixStream,
}

/// A connection is done, told to ourselves by its task.
#[derive(Debug)]
struct Done;

/// The actor of the control socket.
pub struct Control {
    sources: Arc<Sources>,
    own: Mailbox<Self>,
    meter: Arc<Meter>,
    accepting: JoinHandle<()>,
    connections: usize,
}

impl Control {
    /// An actor that answers on `socket` what it learns from `sources`.
    pub fn new(socket: UnixListener, sources: Sources, own: Mailbox<Self>, meter: Arc<Meter>) -> Self {
        let accepting = actix_rt::spawn(accept(socket, own.clone()));
        Self { sources: Arc::new(sources), own, meter, accepting, connections: 0 }
    }
}

/// Accepts as long as the actor lives.
async fn accept(socket: UnixListener, control: Mailbox<Control>) {
    let failures = Quiet::new(LOG, 1, "more commands could not be accepted");
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

/// Reads the request and writes the answer.
async fn converse(mut stream: UnixStream, sources: &Sources) {
    let request = tokio::time::timeout(READ_WITHIN, Request::read(&mut stream)).await;
    let document = match request {
        Ok(Ok(request)) => {
            log::debug!(target: LOG, request:? = request; "asked");
            sources.answer(request).await
        }
        Ok(Err(why)) => Refusal::new(why).document(),
        Err(_) => Refusal::new(format!("no request came within {} s", READ_WITHIN.as_secs())).document(),
    };
    let write = async {
        stream.write_all(document.as_bytes()).await?;
        stream.shutdown().await
    };
    // Whoever does not read the answer does not want it.
    let _ = tokio::time::timeout(WRITE_WITHIN, write).await;
}

impl Actor for Control {
    type Context = Context<Self>;
}

impl Handler<Queued<Accepted>> for Control {
    type Result = ();

    fn handle(&mut self, accepted: Queued<Accepted>, _: &mut Context<Self>) {
        let Accepted { stream } = accepted.open();
        if self.connections >= CONNECTIONS {
            let refusal = Refusal::new("too many commands are being answered at once").document();
            // Whoever does not get it sees the connection closed.
            let _ = stream.try_write(refusal.as_bytes());
            return;
        }
        self.connections += 1;
        let (sources, own) = (Arc::clone(&self.sources), self.own.clone());
        actix_rt::spawn(async move {
            // In a task of its own, so that a panic in it gives the place back too.
            let _ = actix_rt::spawn(async move { converse(stream, &sources).await }).await;
            let _ = own.signal(Done);
        });
    }
}

impl Handler<Queued<Done>> for Control {
    type Result = ();

    fn handle(&mut self, done: Queued<Done>, _: &mut Context<Self>) {
        done.open();
        self.connections -= 1;
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.meter.count_if_panicking();
        self.accepting.abort();
    }
}

const LOG: &str = "nuncio::control";

/// Commands answered at once: a person has one or two, a monitor a few.
const CONNECTIONS: usize = 16;

/// How long a client may take to ask.
const READ_WITHIN: Duration = Duration::from_secs(5);

/// How long a client may take to read the answer.
const WRITE_WITHIN: Duration = Duration::from_secs(10);

/// A pause after which an exhausted system may have room again.
const BREATH: Duration = Duration::from_millis(25);
