//! The task that accepts connections from one listening socket.

use super::{Accepted, Caller, LOG, Listener};
use crate::{
    flow::accept::{self, Acceptor},
    streams::accepted::Peer,
};
use mailbox::{Mailbox, Refused};
use net::network;

/// Accepts connections until the listener aborts the task. While its mailbox is full, connections stay in the
/// kernel's queue. `index` is that of the socket.
pub(super) async fn accept(socket: network::Listener, index: usize, listener: Mailbox<Listener>) {
    let (message, summary) = ("a connection could not be accepted", "more connections could not be accepted");
    let acceptor = Acceptor::new(LOG, message, summary);
    let mut number = 0;
    loop {
        let (stream, address) = acceptor.next(|| socket.accept()).await;
        let peer = address.map_or(Peer::Unix(number), Peer::Tcp);
        number += 1;
        let mut accepted = Accepted { socket: stream, caller: Caller { peer, socket: index } };
        loop {
            match listener.tell(accepted) {
                Ok(()) => break,
                Err(Refused::Full(again)) => accepted = again,
                Err(Refused::Gone(_)) => return,
            }
            tokio::time::sleep(accept::PAUSE).await;
        }
    }
}
