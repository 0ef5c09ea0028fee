//! A network in memory, for tests on paused time: hosts with addresses, listening sockets and connections.
//!
//! Nothing leaves the process, and nothing takes time. A connection holds 64 KiB in each direction.

use std::{
    cell::RefCell,
    collections::{HashMap, HashSet},
    future::{self, poll_fn},
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
};

use bytes::BytesMut;
use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex},
    sync::{mpsc, watch},
};

use super::{Network, watched::PeerEnd};

/// All hosts of a network. Clones are the same network.
#[derive(Clone, Debug)]
pub struct Internet(Arc<watch::Sender<Table>>);

#[derive(Debug, Default)]
struct Table {
    listeners: HashMap<SocketAddr, mpsc::Sender<Socket>>,
    /// The Unix sockets of each host.
    unix_listeners: HashMap<(IpAddr, PathBuf), mpsc::Sender<Socket>>,
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
    /// Of a Unix socket: no address.
    address: SocketAddr,
    /// The path of a Unix socket.
    path: Option<PathBuf>,
    accepted: RefCell<mpsc::Receiver<Socket>>,
}

/// One end of a connection.
#[derive(Debug)]
pub struct Socket {
    stream: DuplexStream,
    /// What was read to look at it, and is to be read again.
    early: BytesMut,
    /// The peer has closed its side, behind that.
    has_ended: bool,
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
        let far =
            Socket { stream: far, early: BytesMut::new(), has_ended: false, local: address, peer: local };
        // As with TCP, a full queue delays the connection.
        listener.send(far).await.map_err(|_| io::ErrorKind::ConnectionRefused)?;
        Ok(Socket { stream: near, early: BytesMut::new(), has_ended: false, local, peer: address })
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
        Ok(Listener { address, path: None, accepted: RefCell::new(accepted) })
    }

    /// `None`: another listener of the host has the path.
    pub(super) fn bind_unix(&self, path: &Path) -> Option<Listener> {
        let (sender, accepted) = mpsc::channel(BACKLOG);
        let is_new = self.internet.0.send_if_modified(|table| {
            let place = (self.ip, path.to_owned());
            let is_free = table.unix_listeners.get(&place).is_none_or(mpsc::Sender::is_closed);
            if is_free {
                table.unix_listeners.insert(place, sender);
            }
            is_free
        });
        let (path, accepted) = (Some(path.to_owned()), RefCell::new(accepted));
        is_new.then_some(Listener { address: NOWHERE, path, accepted })
    }

    pub(super) async fn connect_unix(&self, path: &Path) -> io::Result<Socket> {
        let listener = self.internet.0.borrow().unix_listeners.get(&(self.ip, path.to_owned())).cloned();
        let listener = listener.ok_or(io::ErrorKind::NotFound)?;
        let (near, far) = duplex(WINDOW);
        listener.send(far.into()).await.map_err(|_| io::ErrorKind::ConnectionRefused)?;
        Ok(near.into())
    }
}

impl Listener {
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
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
        if self.early.is_empty() && !self.has_ended {
            poll_fn(|context| self.poll_early(context)).await?;
        }
        Ok(self.early.first().copied())
    }

    pub(super) fn poll_peer_end(&mut self, context: &mut Context<'_>) -> Poll<PeerEnd> {
        while !self.has_ended {
            // A peer that goes on writing is not read for ever.
            if self.early.len() >= 16 * WINDOW {
                return Poll::Pending;
            }
            if ready!(self.poll_early(context)).is_err() {
                return Poll::Ready(PeerEnd::Broken);
            }
        }
        Poll::Ready(PeerEnd::Closed)
    }

    /// Reads what is to be read again.
    fn poll_early(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut scratch = [0; 4096];
        let mut buffer = ReadBuf::new(&mut scratch);
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
        self.has_ended = buffer.filled().is_empty();
        self.early.extend_from_slice(buffer.filled());
        Poll::Ready(Ok(()))
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
impl From<DuplexStream> for Socket {
    fn from(stream: DuplexStream) -> Self {
        Self { stream, early: BytesMut::new(), has_ended: false, local: NOWHERE, peer: NOWHERE }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let socket = self.get_mut();
        if !socket.early.is_empty() {
            let length = socket.early.len().min(buffer.remaining());
            buffer.put_slice(&socket.early.split_to(length));
            return Poll::Ready(Ok(()));
        }
        if socket.has_ended {
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

/// The address of a socket that has none.
const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// Bytes that one direction of a connection holds.
const WINDOW: usize = 64 * 1024;

/// Connections that may wait until they are accepted.
const BACKLOG: usize = 1024;

/// The first port of clients (RFC 6335 section 6).
const FIRST_PORT: u16 = 49_152;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::{
        super::{Listener, Socket},
        *,
    };

    const SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)), 5269);

    fn client(internet: &Internet) -> Network {
        internet.host([192, 0, 2, 2].into())
    }

    fn listener(internet: &Internet) -> Listener {
        internet.host(SERVER.ip()).bind(SERVER).unwrap()
    }

    async fn connected() -> (Socket, Socket) {
        let internet = Internet::default();
        let listener = listener(&internet);
        let near = client(&internet).connect(SERVER).await.unwrap();
        let (far, address) = listener.accept().await.unwrap();
        let address = address.unwrap();
        assert_eq!((near.peer_addr().unwrap(), near.local_addr().unwrap()), (SERVER, address));
        assert_eq!((far.local_addr().unwrap(), far.peer_addr().unwrap()), (SERVER, address));
        (near, far)
    }

    #[tokio::test]
    async fn the_first_byte_is_left_to_be_read() {
        let (mut near, mut far) = connected().await;
        assert_eq!(far.try_read(&mut [0; 9]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        near.write_all(b"one").await.unwrap();
        assert_eq!(far.first_byte().await.unwrap(), Some(b'o'));
        assert_eq!(far.first_byte().await.unwrap(), Some(b'o'));
        assert_eq!(near.try_write(b" two").unwrap(), 4);
        near.shutdown().await.unwrap();
        let mut read = String::new();
        far.read_to_string(&mut read).await.unwrap();
        assert_eq!(read, "one two");
        assert_eq!(far.first_byte().await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_connection_without_a_reader_is_bounded() {
        let (mut near, _far) = connected().await;
        let mut written = 0;
        while let Ok(length) = near.try_write(&[0; 1000]) {
            written += length;
        }
        assert_eq!(written, WINDOW);
    }

    #[tokio::test]
    async fn an_address_belongs_to_one_listener_of_its_host() {
        let internet = Internet::default();
        let refused = client(&internet).connect(SERVER).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(client(&internet).bind(SERVER).unwrap_err().kind(), io::ErrorKind::AddrNotAvailable);
        let first = listener(&internet);
        let second = internet.host(SERVER.ip()).bind(SERVER).unwrap_err();
        assert_eq!(second.kind(), io::ErrorKind::AddrInUse);
        drop(first);
        assert!(client(&internet).connect(SERVER).await.is_err());
        let _again = listener(&internet);
        assert!(client(&internet).connect(SERVER).await.is_ok());
        assert_eq!(internet.attempts(SERVER), 3);
    }

    #[tokio::test]
    async fn a_path_belongs_to_one_listener_of_its_host() {
        let (internet, path) = (Internet::default(), Path::new("/run/component.sock"));
        let permissions = crate::unix_socket::Permissions::OWNER_ONLY;
        let host = client(&internet);
        assert!(host.connect_unix(path).await.is_err());
        let listener = host.bind_unix(path, permissions).unwrap();
        assert!(host.bind_unix(path, permissions).is_err());
        assert!(internet.host(SERVER.ip()).connect_unix(path).await.is_err(), "another host");
        let mut near = host.connect_unix(path).await.unwrap();
        let (mut far, address) = listener.accept().await.unwrap();
        assert_eq!((address, listener.path()), (None, Some(path)));
        near.write_all(b"one").await.unwrap();
        assert_eq!(far.first_byte().await.unwrap(), Some(b'o'));
        drop(listener);
        assert!(host.bind_unix(path, permissions).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_that_is_off_does_not_answer() {
        let internet = Internet::default();
        let _listener = listener(&internet);
        let (client, hour) = (client(&internet), Duration::from_secs(3600));
        internet.switch(SERVER.ip(), false);
        assert!(tokio::time::timeout(hour, client.connect(SERVER)).await.is_err());
        internet.switch(SERVER.ip(), true);
        assert!(client.connect(SERVER).await.is_ok());
    }
}
