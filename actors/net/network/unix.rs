//! A connection to a Unix socket.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf},
    net::UnixStream,
};

use super::watched::{PeerEnd, Watched};

/// The process that opened a connection to a Unix socket, as the kernel reports it (SO_PEERCRED, unix(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The process id; `None`: the process is not visible from here.
    pub process: Option<i32>,
    /// The user id.
    pub user: u32,
}

/// A connection to a Unix socket.
#[derive(Debug)]
pub struct UnixSocket {
    stream: Watched<UnixStream>,
    /// The byte that [`UnixSocket::first_byte`] has read. The library has no `peek` for such sockets.
    early: Option<u8>,
}

impl UnixSocket {
    pub(super) fn new(stream: UnixStream) -> Self {
        Self { stream: stream.into(), early: None }
    }

    pub(super) fn credentials(&self) -> Option<Credentials> {
        let found = self.stream.peer_cred().ok()?;
        Some(Credentials { process: found.pid(), user: found.uid() })
    }

    pub(super) async fn first_byte(&mut self) -> io::Result<Option<u8>> {
        if self.early.is_none() {
            let mut first = [0];
            let length = self.stream.read(&mut first).await?;
            self.early = first.first().copied().filter(|_| length > 0);
        }
        Ok(self.early)
    }

    pub(super) fn poll_peer_end(&mut self, context: &mut Context<'_>) -> Poll<PeerEnd> {
        self.stream.poll_peer_end(context)
    }

    pub(super) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.try_write(bytes)
    }

    pub(super) fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match (self.early.take(), buffer.first_mut()) {
            (Some(byte), Some(first)) => {
                *first = byte;
                Ok(1)
            }
            (early, _) => {
                self.early = early;
                self.stream.try_read(buffer)
            }
        }
    }
}

impl AsyncRead for UnixSocket {
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

impl AsyncWrite for UnixSocket {
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::{
        super::{Network, Socket},
        *,
    };

    #[tokio::test]
    async fn the_first_byte_of_a_unix_socket_is_left_to_be_read() {
        let (near, far) = UnixStream::pair().unwrap();
        let (mut near, mut far) = (Socket::from(near), Socket::from(far));
        assert_eq!(far.try_read(&mut [0; 9]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        near.write_all(b"one").await.unwrap();
        assert_eq!(far.first_byte().await.unwrap(), Some(b'o'));
        assert_eq!(far.first_byte().await.unwrap(), Some(b'o'));
        assert_eq!(far.try_read(&mut []).unwrap(), 0);
        assert_eq!(near.try_write(b" two").unwrap(), 4);
        near.shutdown().await.unwrap();
        let mut read = String::new();
        far.read_to_string(&mut read).await.unwrap();
        assert_eq!(read, "one two");
        assert_eq!(far.first_byte().await.unwrap(), None);
    }

    #[tokio::test]
    async fn the_kernel_reports_the_process_of_a_peer() {
        let (near, _far) = UnixStream::pair().unwrap();
        let found = Socket::from(near).credentials().unwrap();
        assert_eq!(found.process, i32::try_from(std::process::id()).ok());
    }

    #[tokio::test]
    async fn the_file_of_a_socket_is_removed_with_its_listener() {
        let path = std::env::temp_dir().join(format!("nuncio-unix-{}.sock", std::process::id()));
        let permissions = crate::unix_socket::Permissions { mode: 0o660, group: None };
        let listener = Network::System.bind_unix(&path, permissions).unwrap();
        assert_eq!((listener.path(), listener.local_addr().is_err()), (Some(path.as_path()), true));
        let (near, accepted) = tokio::join!(Network::System.connect_unix(&path), listener.accept());
        let (far, address) = accepted.unwrap();
        assert_eq!((address, far.peer_addr().is_err()), (None, true));
        assert!(near.is_ok());
        drop(listener);
        assert!(!path.exists());
    }
}
