//! The control socket answers commands of the operator, such as `nuncio explain`, about the running node.
//!
//! A connection carries one request, a line of JSON, and one answer, a JSON document. A task for each connection collects
//! the answers of the actors within a time limit, and names the actors that did not answer. Only the owner of the socket
//! can connect. Requests, connections and answers are bounded all the same, so that no command can harm the node.

mod asking;
mod commands;
mod components;
mod links;
mod mailboxes;
mod nodes;
mod read_request;
mod related;
mod round;
mod session_line;

use std::{sync::Arc, time::Duration};

use actix::{Actor, Context, Handler};
use tokio::{
    io::AsyncWriteExt,
    net::{UnixListener, UnixStream},
    sync::oneshot,
    task::JoinHandle,
};

pub(crate) use self::{commands::Sources, round::Patience};
use crate::{
    flow::accept::Acceptor,
    node::client_slots::{Slot, Slots, unless_needed, write_answer},
};
use mailbox::{Mailbox, Queued, Refused};
use status::answer::Refusal;

/// A new connection, from the task that accepts.
#[derive(Debug)]
struct Accepted {
    stream: UnixStream,
}

/// The end of a connection, from its task.
#[derive(Debug)]
struct Done {
    slot: u64,
}

/// The actor of the control socket.
pub(crate) struct Control {
    sources: Arc<Sources>,
    own: Mailbox<Self>,
    accepting: JoinHandle<()>,
    slots: Slots,
}

impl Control {
    /// An actor that answers on `socket` with data of `sources`.
    pub(crate) fn new(socket: UnixListener, sources: Sources, own: Mailbox<Self>) -> Self {
        let accepting = actix_rt::spawn(accept(socket, own.clone()));
        Self { sources: Arc::new(sources), own, accepting, slots: Slots::new(CONNECTIONS) }
    }
}

/// Accepts connections as long as the actor lives.
async fn accept(socket: UnixListener, control: Mailbox<Control>) {
    let acceptor = Acceptor::new(
        LOG,
        "cannot accept a connection to the control socket",
        "more connections to the control socket could not be accepted",
    );
    loop {
        let (stream, _) = acceptor.next(|| socket.accept()).await;
        if let Err(Refused::Gone(_)) = control.tell(Accepted { stream }) {
            return;
        }
    }
}

/// Reads the request and writes the answer. While it waits for the client, a new client can take its slot.
async fn converse(mut stream: UnixStream, sources: &Sources, mut ends: oneshot::Receiver<()>) {
    let read = tokio::time::timeout(READ_WITHIN, read_request::read(&mut stream));
    let document = match unless_needed(&mut ends, read).await {
        Some(Ok(Ok(request))) => {
            log::debug!(target: LOG, request:? = request; "request");
            sources.answer(request).await
        }
        Some(Ok(Err(why))) => Refusal::new(why).document(),
        Some(Err(_)) => {
            let text = format!(
                "no complete request arrived within {} s: it ends with a line break",
                READ_WITHIN.as_secs()
            );
            Refusal::new(text).document()
        }
        None => Refusal::new("no request arrived before other commands needed the connection: try again")
            .document(),
    };
    let write = async {
        stream.write_all(document.as_bytes()).await?;
        stream.shutdown().await
    };
    let write = tokio::time::timeout(WRITE_WITHIN, write);
    // The answer is lost if the client does not read it in time.
    let _ = write_answer(&mut ends, write).await;
    if !ends.is_terminated() {
        // A new client that needs the slot does not wait for this.
        let _ = unless_needed(&mut ends, read_request::discard(&mut stream)).await;
    }
}

impl Actor for Control {
    type Context = Context<Self>;
}

impl Handler<Queued<Accepted>> for Control {
    type Result = ();

    fn handle(&mut self, accepted: Queued<Accepted>, _: &mut Context<Self>) {
        let Accepted { stream } = accepted.into_message();
        let Some(Slot { number, ends }) = self.slots.acquire() else {
            let refusal = Refusal::new("too many commands at once: try again").document();
            // If the socket has no room, the client only sees the connection closed.
            let _ = stream.try_write(refusal.as_bytes());
            return;
        };
        let (sources, own) = (Arc::clone(&self.sources), self.own.clone());
        actix_rt::spawn(async move {
            // A task of its own, so that the slot is released after a panic too.
            let _ = actix_rt::spawn(async move { converse(stream, &sources, ends).await }).await;
            let _ = own.signal(Done { slot: number });
        });
    }
}

impl Handler<Queued<Done>> for Control {
    type Result = ();

    fn handle(&mut self, done: Queued<Done>, _: &mut Context<Self>) {
        let Done { slot } = done.into_message();
        self.slots.release(slot);
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

const LOG: &str = "nuncio::control";

/// Commands answered at once: an operator runs one or two, a monitoring system a few. As many more may be ending.
const CONNECTIONS: usize = 16;

/// The time limit for the request.
const READ_WITHIN: Duration = Duration::from_secs(5);

/// The time limit for the client to read the answer.
const WRITE_WITHIN: Duration = Duration::from_secs(10);
