//! Listening sockets, and the task that accepts connections from one.

use std::{io, net::SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

use super::{Accepted, Caller, LOG, Listener};
use crate::flow::accept::{self, Acceptor};
use mailbox::{Mailbox, Refused};

/// Binds a listening socket. An IPv6 socket is for IPv6 only, so that both families can have the same port.
///
/// # Errors
/// The address cannot be bound, or the system has no room for a socket.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Accepts connections until the listener aborts the task. While its mailbox is full, connections stay in the
/// kernel's queue. `index` is that of the socket.
pub(super) async fn accept(socket: TcpListener, index: usize, listener: Mailbox<Listener>) {
    let (message, summary) = ("a connection could not be accepted", "more connections could not be accepted");
    let acceptor = Acceptor::new(LOG, message, summary);
    loop {
        let (stream, address) = acceptor.next(|| socket.accept()).await;
        let mut accepted = Accepted { socket: stream, caller: Caller { address, socket: index } };
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

/// Connections that may wait in the kernel until they are accepted.
const BACKLOG: i32 = 1024;
