//! Closes a connection step by step: the peer's closing tag first, then TLS, then TCP (RFC 6120 section 4.4).
//!
//! If the connection is closed while the peer is still writing, its socket may report an error before the
//! peer has read our last bytes. So we wait for its closing tag, and discard all that it sends meanwhile: unread
//! bytes would turn the close into a TCP reset. Time and bytes of the wait are bounded.

use std::{
    future::poll_fn,
    io,
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf},
    time::timeout,
};
use xmpp::stream::End;

/// When the transport is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseMode {
    /// At once: the peer has closed its stream, or will not.
    AtOnce,
    /// After the peer's closing tag, or the time limit for it.
    AfterClosingTag,
}

impl CloseMode {
    /// The mode after the end of a stream, whose other direction the peer still holds `open` or not. A peer
    /// that never opened its direction has no closing tag to send.
    pub fn after(end: &End, open: bool) -> Self {
        match end {
            // RFC 6120 section 4.9.1.1: the sender of a stream error closes at once.
            End::ByPeer(_) => Self::AtOnce,
            End::Closed | End::ByUs(_) if open => Self::AfterClosingTag,
            End::Closed | End::ByUs(_) => Self::AtOnce,
        }
    }
}

/// Closes a connection on which everything is written.
///
/// # Errors
/// The connection broke meanwhile.
pub(crate) async fn close<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    mode: CloseMode,
) -> io::Result<()> {
    let mut left = DISCARDED;
    if mode == CloseMode::AfterClosingTag {
        let mut tag = ClosingTag::default();
        let wait = async {
            while let Some(found) = poll_fn(|context| discard(stream, context, &mut left, &mut tag)).await? {
                if found {
                    break;
                }
            }
            Ok::<_, io::Error>(())
        };
        timeout(TAG_WITHIN, wait).await.unwrap_or(Ok(()))?;
    }
    let linger = async {
        stream.shutdown().await?;
        let mut tag = ClosingTag::default();
        while poll_fn(|context| discard(stream, context, &mut left, &mut tag)).await?.is_some() {}
        Ok::<_, io::Error>(())
    };
    // A peer that does not close within the time has had time to read.
    timeout(LINGER, linger).await.unwrap_or(Ok(()))
}

/// Reads and discards. Gives whether the closing tag was there; `None` at the end of the stream or of the
/// limit. The buffer is in no future, or every idle link would hold it.
fn discard<S: AsyncRead + Unpin>(
    stream: &mut S,
    context: &mut Context<'_>,
    left: &mut usize,
    tag: &mut ClosingTag,
) -> Poll<io::Result<Option<bool>>> {
    if *left == 0 {
        return Poll::Ready(Ok(None));
    }
    let mut scratch = [MaybeUninit::uninit(); READ];
    let mut buffer = ReadBuf::uninit(&mut scratch);
    ready!(Pin::new(stream).poll_read(context, &mut buffer))?;
    let bytes = buffer.filled();
    *left = left.saturating_sub(bytes.len());
    Poll::Ready(Ok((!bytes.is_empty()).then(|| tag.ends_in(bytes))))
}

/// Finds the closing tag of a stream, however it is split: `</stream>` with any prefix. It may follow XML
/// that cannot be parsed, so nothing else is looked at. A false match ends the wait early, which does no
/// harm.
#[derive(Debug, Default)]
struct ClosingTag(Position);

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Position {
    #[default]
    Outside,
    /// After `<`.
    Opened,
    /// In the name of a closing tag, after this many letters of the wanted name; `None` for another name.
    Name(Option<usize>),
    /// After the name; whether it is the wanted one.
    AfterName(bool),
}

impl ClosingTag {
    fn ends_in(&mut self, bytes: &[u8]) -> bool {
        bytes.iter().any(|byte| self.ends_with(*byte))
    }

    fn ends_with(&mut self, byte: u8) -> bool {
        let whole = Some(NAME.len());
        let found = byte == b'>' && (self.0 == Position::Name(whole) || self.0 == Position::AfterName(true));
        self.0 = match (self.0, byte) {
            (_, b'<') => Position::Opened,
            (Position::Opened, b'/') => Position::Name(Some(0)),
            (Position::Name(_), b':') => Position::Name(Some(0)),
            (Position::Name(letters), b' ' | b'\t' | b'\r' | b'\n') => Position::AfterName(letters == whole),
            (Position::AfterName(wanted), b' ' | b'\t' | b'\r' | b'\n') => Position::AfterName(wanted),
            (Position::Name(Some(letters)), byte) if NAME.get(letters) == Some(&byte) => {
                Position::Name(Some(letters + 1))
            }
            (Position::Name(_), byte) if byte != b'>' => Position::Name(None),
            _ => Position::Outside,
        };
        found
    }
}

const NAME: &[u8] = b"stream";

/// How long a peer may take to answer our closing tag: a round trip around the globe takes 300 ms. Many peers
/// never answer, and their connections count against the limits meanwhile.
const TAG_WITHIN: Duration = Duration::from_millis(500);

/// How long a peer may take to close its side of the transport.
const LINGER: Duration = Duration::from_secs(2);

/// Bytes that are discarded at most: more than the kernel's receive buffer holds, so that everything is read
/// that was on its way when the peer learned of the end.
const DISCARDED: usize = 8 * 1024 * 1024;

/// Bytes of one read.
const READ: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, duplex};

    use super::*;

    #[test]
    fn the_closing_tag_is_found_in_any_pieces() {
        for text in
            ["</stream:stream>", "</stream>", "</s:stream >", "a<b/></x></stream:stream\n>", "<</stream>"]
        {
            let mut tag = ClosingTag::default();
            let found: Vec<bool> = text.bytes().map(|byte| tag.ends_in(&[byte])).collect();
            assert_eq!(found.iter().position(|found| *found), Some(text.len() - 1), "{text}");
            assert!(ClosingTag::default().ends_in(text.as_bytes()), "{text}");
        }
        for text in [
            "<stream:stream>",
            "</stream:stream",
            "</streams>",
            "</stream:a>",
            "</astream>",
            "stream>",
            "< /stream>",
        ] {
            assert!(!ClosingTag::default().ends_in(text.as_bytes()), "{text}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_transport_is_closed_after_the_tag_of_the_peer() {
        let (mut near, mut far) = duplex(1024);
        let peer = async {
            // Only the tag ends the wait.
            assert!(timeout(Duration::from_millis(400), far.read_u8()).await.is_err());
            far.write_all(b"<message/></stream:stream>").await.unwrap();
            assert_eq!(far.read(&mut [0; 9]).await.unwrap(), 0);
            let closed = clock::now();
            drop(far);
            closed
        };
        let began = clock::now();
        let (result, closed) = tokio::join!(close(&mut near, CloseMode::AfterClosingTag), peer);
        result.unwrap();
        assert_eq!(closed - began, Duration::from_millis(400));
    }

    #[tokio::test(start_paused = true)]
    async fn the_wait_for_a_silent_peer_is_bounded() {
        let (mut near, _far) = duplex(1024);
        let began = clock::now();
        close(&mut near, CloseMode::AfterClosingTag).await.unwrap();
        assert_eq!(clock::since(began), TAG_WITHIN + LINGER);
        let (mut near, _far) = duplex(1024);
        let began = clock::now();
        close(&mut near, CloseMode::AtOnce).await.unwrap();
        assert_eq!(clock::since(began), LINGER);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_goes_on_writing_is_read_up_to_a_limit() {
        let (mut near, mut far) = duplex(64 * 1024);
        let flood = async {
            let mut written = 0;
            while let Ok(length) = far.write(&[b' '; 4096]).await {
                written += length;
            }
            written
        };
        let end = async {
            close(&mut near, CloseMode::AfterClosingTag).await.unwrap();
            drop(near);
        };
        let ((), written) = tokio::join!(end, flood);
        assert!((DISCARDED..DISCARDED + 200 * 1024).contains(&written), "{written}");
    }
}
