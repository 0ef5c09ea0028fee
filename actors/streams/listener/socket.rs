//! The listening socket, and the task that accepts from it.

use std::{io, net::SocketAddr, time::Duration};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

use super::{Accepted, Caller, LOG, Listener};
use crate::observe::log_limit::LogLimiter;
use mailbox::{Mailbox, Refused};

/// Binds a listening socket; an IPv6 one is for IPv6 only, so that both families can have the same port.
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

/// Accepts until the listener stops it; a full mailbox leaves connections in the kernel's queue.
pub(super) async fn accept(socket: TcpListener, door: usize, listener: Mailbox<Listener>) {
    let failures = LogLimiter::new(LOG, 1, "more connections could not be accepted");
    loop {
        let mut accepted = match socket.accept().await {
            Ok((socket, address)) => Accepted { socket, caller: Caller { address, door } },
            Err(error) => {
                if failures.permits() {
                    log::warn!(target: LOG, reason:% = error; "a connection could not be accepted");
                }
                tokio::time::sleep(BREATH).await;
                continue;
            }
        };
        loop {
            match listener.tell(accepted) {
                Ok(()) => break,
                Err(Refused::Full(again)) => accepted = again,
                Err(Refused::Gone(_)) => return,
            }
            tokio::time::sleep(BREATH).await;
        }
    }
}

/// Connections that may wait in the kernel for us to accept them.
const BACKLOG: i32 = 1024;

/// A pause after which a full mailbox or an exhausted system may have room again.
const BREATH: Duration = Duration::from_millis(25);
