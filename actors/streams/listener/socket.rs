//! Listening sockets, and the task that accepts connections from one.

use std::{io, net::SocketAddr, time::Duration};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

use super::{Accepted, Caller, LOG, Listener};
use crate::observe::log_limit::LogLimiter;
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

/// Accepts connections until the listener aborts the task. While its mailbox is full, connections stay in the kernel's
/// queue. `index` is that of the socket.
pub(super) async fn accept(socket: TcpListener, index: usize, listener: Mailbox<Listener>) {
    let failures = LogLimiter::new(LOG, 1, "more connections could not be accepted");
    loop {
        let mut accepted = match socket.accept().await {
            Ok((socket, address)) => Accepted { socket, caller: Caller { address, socket: index } },
            Err(error) => {
                if failures.permits() {
                    log::warn!(target: LOG, reason:% = error; "a connection could not be accepted");
                }
                tokio::time::sleep(ACCEPT_AGAIN).await;
                continue;
            }
        };
        loop {
            match listener.tell(accepted) {
                Ok(()) => break,
                Err(Refused::Full(again)) => accepted = again,
                Err(Refused::Gone(_)) => return,
            }
            tokio::time::sleep(ACCEPT_AGAIN).await;
        }
    }
}

/// Connections that may wait in the kernel until they are accepted.
const BACKLOG: i32 = 1024;

/// The pause after which a full mailbox, or a system without file descriptors, may have room again.
const ACCEPT_AGAIN: Duration = Duration::from_millis(25);
