//! A socket whose end can be noticed while nothing is read from it.
//!
//! The kernel reports the end of a connection together with new data (EPOLLRDHUP, EPOLLHUP), and tokio keeps the end apart
//! from readiness to read. But as long as unread data has been reported, tokio reports nothing more. So the watch tells
//! tokio that the data is read, and remembers that it is not: the next read asks the kernel first.

use std::{
    io::{self, Read as _},
    ops::Deref,
    os::fd::{AsFd, BorrowedFd},
    pin::{Pin, pin},
    task::{Context, Poll, Waker, ready},
};

use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf, Ready},
    net::{TcpStream, UnixStream},
};

/// A socket of tokio. The methods are those of the same name.
pub trait Source: AsyncRead + AsyncWrite + AsFd + Unpin {
    /// Waits until there may be something to read.
    fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Waits for one of these states.
    fn ready(&self, interest: Interest) -> impl Future<Output = io::Result<Ready>>;

    /// Runs an operation; `WouldBlock` means that the state is over.
    ///
    /// # Errors
    ///
    /// That of the operation.
    fn try_io(&self, interest: Interest, operation: impl FnOnce() -> io::Result<()>) -> io::Result<()>;
}

macro_rules! source {
    ($($socket:ty),*) => {$(
        impl Source for $socket {
            fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.poll_read_ready(context)
            }

            fn ready(&self, interest: Interest) -> impl Future<Output = io::Result<Ready>> {
                self.ready(interest)
            }

            fn try_io(&self, interest: Interest, operation: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
                self.try_io(interest, operation)
            }
        }
    )*};
}

source!(TcpStream, UnixStream);

/// A socket whose end can be noticed while nothing is read from it.
#[derive(Debug)]
pub struct Watched<S> {
    socket: S,
    /// There may be data of which tokio does not know.
    has_hidden: bool,
}

/// The end of a connection of which not everything is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerEnd {
    /// The peer has closed its side.
    Closed,
    /// The connection broke: the peer, its machine or the network has reset it.
    Broken,
}

impl<S> From<S> for Watched<S> {
    fn from(socket: S) -> Self {
        Self { socket, has_hidden: false }
    }
}

impl<S> Deref for Watched<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.socket
    }
}

impl<S: AsFd> AsFd for Watched<S> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl<S: Source> Watched<S> {
    /// Waits until the peer has closed its side or the connection is broken. Nothing is read. To be polled instead of a
    /// read, by the same task.
    pub(super) fn poll_peer_end(&mut self, context: &mut Context<'_>) -> Poll<PeerEnd> {
        loop {
            if ready!(self.socket.poll_read_ready(context)).is_err() {
                return Poll::Ready(PeerEnd::Broken);
            }
            if let Some(end) = self.peer_end() {
                return Poll::Ready(end);
            }
            self.has_hidden = true;
            // Only to have tokio report what comes next.
            let _ = self.socket.try_io(Interest::READABLE, || Err(io::ErrorKind::WouldBlock.into()));
        }
    }

    /// The end that tokio knows of. Priority data is never reported for these sockets, but the end of the peer's side
    /// belongs to the same interest.
    fn peer_end(&self) -> Option<PeerEnd> {
        let ready = pin!(self.socket.ready(Interest::PRIORITY | Interest::ERROR));
        match ready.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(ready)) if ready.is_error() => Some(PeerEnd::Broken),
            Poll::Ready(Ok(_)) => Some(PeerEnd::Closed),
            Poll::Ready(Err(_)) => Some(PeerEnd::Broken),
            Poll::Pending => None,
        }
    }
}

impl<S: Source> AsyncRead for Watched<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let watched = self.get_mut();
        while watched.has_hidden {
            let read = (&*SockRef::from(&watched.socket)).read(buffer.initialize_unfilled());
            match read {
                Ok(length) => {
                    buffer.advance(length);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => watched.has_hidden = false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Pin::new(&mut watched.socket).poll_read(context, buffer)
    }
}

impl<S: Source> AsyncWrite for Watched<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().socket).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, time::Duration};

    use futures_util::FutureExt as _;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    async fn tcp() -> (Watched<TcpStream>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (listener.accept().await.unwrap().0.into(), peer)
    }

    async fn end<S: Source>(socket: &mut Watched<S>) -> PeerEnd {
        poll_fn(|context| socket.poll_peer_end(context)).await
    }

    /// Nothing has ended, however often new data arrives.
    async fn is_open<S: Source>(socket: &mut Watched<S>) {
        let watched = tokio::time::timeout(Duration::from_millis(50), end(socket)).await;
        assert!(watched.is_err(), "{watched:?}");
    }

    async fn close_is_noticed_before_the_data<S: Source>(
        mut socket: Watched<S>,
        mut peer: impl AsyncWrite + Unpin,
    ) {
        for part in ["one ", "two "] {
            peer.write_all(part.as_bytes()).await.unwrap();
            is_open(&mut socket).await;
        }
        peer.write_all(b"three").await.unwrap();
        drop(peer);
        assert_eq!(end(&mut socket).await, PeerEnd::Closed);
        assert_eq!(end(&mut socket).now_or_never(), Some(PeerEnd::Closed), "it stays known");
        let mut read = String::new();
        socket.read_to_string(&mut read).await.unwrap();
        assert_eq!(read, "one two three");
    }

    #[tokio::test]
    async fn a_closed_connection_is_noticed_before_its_data_is_read() {
        let (socket, peer) = tcp().await;
        close_is_noticed_before_the_data(socket, peer).await;
        let (socket, peer) = UnixStream::pair().unwrap();
        close_is_noticed_before_the_data(socket.into(), peer).await;
    }

    #[tokio::test]
    async fn a_half_closed_connection_is_noticed_and_can_still_be_written() {
        let (mut socket, mut peer) = tcp().await;
        peer.write_all(b"data").await.unwrap();
        peer.shutdown().await.unwrap();
        assert_eq!(end(&mut socket).await, PeerEnd::Closed);
        socket.write_all(b"answer").await.unwrap();
        assert_eq!(peer.read_u8().await.unwrap(), b'a');
    }

    #[tokio::test]
    async fn a_reset_connection_is_broken_and_its_data_is_left() {
        let (mut socket, mut peer) = tcp().await;
        peer.write_all(b"data").await.unwrap();
        is_open(&mut socket).await;
        peer.set_zero_linger().unwrap();
        drop(peer);
        assert_eq!(end(&mut socket).await, PeerEnd::Broken);
        let mut read = Vec::new();
        let _ = socket.read_to_end(&mut read).await;
        assert_eq!(read, b"data");
    }

    #[tokio::test]
    async fn reading_goes_on_after_a_watch() {
        let (mut socket, mut peer) = tcp().await;
        peer.write_all(b"one").await.unwrap();
        is_open(&mut socket).await;
        let mut read = [0; 3];
        socket.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"one");
        assert!(socket.read(&mut read).now_or_never().is_none());
        peer.write_all(b"two").await.unwrap();
        socket.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"two");
    }
}
