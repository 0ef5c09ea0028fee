//! A network in memory, for tests on paused time: hosts with addresses, listening sockets and connections.
//!
//! Nothing leaves the process, and nothing takes time. A connection holds 64 KiB in each direction.

use std::{
    cell::RefCell,
    collections::{HashMap, HashSet},
    future::{self, poll_fn},
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex},
    sync::{mpsc, watch},
};

use super::Network;

/// All hosts of a network. Clones are the same network.
#[derive(Clone, Debug)]
pub struct Internet(Arc<watch::Sender<Table>>);

#[derive(Debug, Default)]
struct Table {
    listeners: HashMap<SocketAddr, mpsc::Sender<Socket>>,
    /// The hosts that are switched off.
    off: HashSet<IpAddr>,
    /// The number of attempts to connect to each address.
    attempts: HashMap<SocketAddr, usize>,
    /// The number of ports that clients have used.
    ports: u16,
}

/// A host of the network.
#[derive(Clone, Debug)]
pub struct Host {
    internet: Internet,
    ip: IpAddr,
}

/// A listening socket.
#[derive(Debug)]
pub struct Listener {
    address: SocketAddr,
    accepted: RefCell<mpsc::Receiver<Socket>>,
}

/// One end of a connection.
#[derive(Debug)]
pub struct Socket {
    stream: DuplexStream,
    /// The byte that [`Socket::first_byte`] has read.
    early: Option<u8>,
    local: SocketAddr,
    peer: SocketAddr,
}

impl Default for Internet {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(Table::default())))
    }
}

impl Internet {
    /// The network as the host with this address sees it.
    #[must_use]
    pub fn host(&self, ip: IpAddr) -> Network {
        Network::Memory(Host { internet: self.clone(), ip })
    }

    /// Switches a host off or on. Attempts to connect to a host that is off get no answer. Open connections stay.
    pub fn switch(&self, ip: IpAddr, on: bool) {
        self.0.send_modify(|table| {
            if on {
                table.off.remove(&ip);
            } else {
                table.off.insert(ip);
            }
        });
    }

    /// The number of attempts to connect to an address, successful or not.
    #[must_use]
    pub fn attempts(&self, address: SocketAddr) -> usize {
        self.0.borrow().attempts.get(&address).copied().unwrap_or_default()
    }
}

impl Host {
    pub(super) async fn connect(&self, address: SocketAddr) -> io::Result<Socket> {
        let (mut is_off, mut listener, mut port) = (false, None, 0);
        self.internet.0.send_modify(|table| {
            *table.attempts.entry(address).or_default() += 1;
            is_off = table.off.contains(&address.ip());
            listener = table.listeners.get(&address).cloned();
            port = FIRST_PORT + table.ports % (u16::MAX - FIRST_PORT);
            table.ports = table.ports.wrapping_add(1);
        });
        if is_off {
            future::pending::<()>().await;
        }
        let listener = listener.ok_or(io::ErrorKind::ConnectionRefused)?;
        let local = SocketAddr::new(self.ip, port);
        let (near, far) = duplex(WINDOW);
        let far = Socket { stream: far, early: None, local: address, peer: local };
        // As with TCP, a full queue delays the connection.
        listener.send(far).await.map_err(|_| io::ErrorKind::ConnectionRefused)?;
        Ok(Socket { stream: near, early: None, local, peer: address })
    }

    pub(super) fn bind(&self, address: SocketAddr) -> io::Result<Listener> {
        if address.ip() != self.ip {
            return Err(io::ErrorKind::AddrNotAvailable.into());
        }
        let (sender, accepted) = mpsc::channel(BACKLOG);
        let is_new = self.internet.0.send_if_modified(|table| {
            let is_free = table.listeners.get(&address).is_none_or(mpsc::Sender::is_closed);
            if is_free {
                table.listeners.insert(address, sender);
            }
            is_free
        });
        if !is_new {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        Ok(Listener { address, accepted: RefCell::new(accepted) })
    }
}

impl Listener {
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) async fn accept(&self) -> Socket {
        match poll_fn(|context| self.accepted.borrow_mut().poll_recv(context)).await {
            Some(socket) => socket,
            // Another listener has the address, which is not possible while this one exists.
            None => future::pending().await,
        }
    }
}

impl Socket {
    pub(super) fn local(&self) -> SocketAddr {
        self.local
    }

    pub(super) fn peer(&self) -> SocketAddr {
        self.peer
    }

    pub(super) async fn first_byte(&mut self) -> io::Result<Option<u8>> {
        if self.early.is_none() {
            let mut first = [0];
            let mut buffer = ReadBuf::new(&mut first);
            poll_fn(|context| Pin::new(&mut self.stream).poll_read(context, &mut buffer)).await?;
            self.early = buffer.filled().first().copied();
        }
        Ok(self.early)
    }

    pub(super) fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        at_once(Pin::new(self).poll_write(&mut Context::from_waker(Waker::noop()), bytes))
    }

    pub(super) fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut buffer = ReadBuf::new(buffer);
        at_once(Pin::new(self).poll_read(&mut Context::from_waker(Waker::noop()), &mut buffer))?;
        Ok(buffer.filled().len())
    }
}

/// One end of a connection without a network, with any addresses.
impl From<DuplexStream> for super::Socket {
    fn from(stream: DuplexStream) -> Self {
        let nowhere = SocketAddr::from(([0; 4], 0));
        Self::Memory(Socket { stream, early: None, local: nowhere, peer: nowhere })
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let socket = self.get_mut();
        if buffer.remaining() > 0
            && let Some(byte) = socket.early.take()
        {
            buffer.put_slice(&[byte]);
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut socket.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

fn at_once<T>(polled: Poll<io::Result<T>>) -> io::Result<T> {
    match polled {
        Poll::Ready(result) => result,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}

/// Bytes that one direction of a connection holds.
const WINDOW: usize = 64 * 1024;

/// Connections that may wait until they are accepted.
const BACKLOG: usize = 1024;

/// The first port of clients (RFC 6335 section 6).
const FIRST_PORT: u16 = 49_152;
