//! The end of a connection: the peer's closing tag first, then TLS, then TCP (RFC 6120 section 4.4).
//!
//! A peer that is still writing when the connection goes away may see an error of its socket instead of our last words.
//! So its closing tag is waited for, and what it sends meanwhile is read and thrown away: unread bytes would turn the
//! close into a reset. Time and bytes are bounded, so a peer gains nothing by keeping us waiting.

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

/// Whether the peer still has to close its stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Farewell {
    /// It has, or will not: the transport is closed at once.
    #[default]
    Now,
    /// Its closing tag is waited for.
    AfterTag,
}

impl Farewell {
    /// What is left to be waited for after the end of a stream, which the peer may still hold `open`. One that it never
    /// opened has no closing tag.
    pub fn after(end: &End, open: bool) -> Self {
        match end {
            // Who sends a stream error closes at once (RFC 6120 section 4.9.1.1).
            End::ByPeer(_) => Self::Now,
            End::Closed | End::ByUs(_) if open => Self::AfterTag,
            End::Closed | End::ByUs(_) => Self::Now,
        }
    }
}

/// Closes a connection on which everything is written.
///
/// # Errors
/// The connection broke meanwhile.
pub async fn part<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, farewell: Farewell) -> io::Result<()> {
    let mut left = MOST;
    if farewell == Farewell::AfterTag {
        let mut tag = ClosingTag::default();
        let wait = async {
            while let Some(found) = poll_fn(|context| discard(stream, context, &mut left, &mut tag)).await? {
                if found {
                    break;
                }
            }
            Ok::<_, io::Error>(())
        };
        timeout(PATIENCE, wait).await.unwrap_or(Ok(()))?;
    }
    let linger = async {
        stream.shutdown().await?;
        let mut tag = ClosingTag::default();
        while poll_fn(|context| discard(stream, context, &mut left, &mut tag)).await?.is_some() {}
        Ok::<_, io::Error>(())
    };
    // A peer that does not close within the time has had its chance to read.
    timeout(LINGER, linger).await.unwrap_or(Ok(()))
}

/// Reads and throws away; tells whether the closing tag was there, `None` when there is nothing more to be read. The
/// buffer is in no future: every idle link would hold it.
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

/// Looks for the closing tag of a stream, in whatever pieces it comes: `</stream>` with any prefix. It may be after XML
/// that cannot be read, so nothing else is looked at. What only looks like it ends the wait early, and does no harm.
#[derive(Debug, Default)]
struct ClosingTag(Place);

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Place {
    #[default]
    Outside,
    /// After `<`.
    Opened,
    /// In the name of a closing tag; how many letters of the wanted name are there, `None` for another name.
    Name(Option<usize>),
    /// Behind the name; whether it is the wanted one.
    Behind(bool),
}

impl ClosingTag {
    fn ends_in(&mut self, bytes: &[u8]) -> bool {
        bytes.iter().any(|byte| self.ends_with(*byte))
    }

    fn ends_with(&mut self, byte: u8) -> bool {
        let whole = Some(NAME.len());
        let found = byte == b'>' && (self.0 == Place::Name(whole) || self.0 == Place::Behind(true));
        self.0 = match (self.0, byte) {
            (_, b'<') => Place::Opened,
            (Place::Opened, b'/') => Place::Name(Some(0)),
            (Place::Name(_), b':') => Place::Name(Some(0)),
            (Place::Name(letters), b' ' | b'\t' | b'\r' | b'\n') => Place::Behind(letters == whole),
            (Place::Behind(wanted), b' ' | b'\t' | b'\r' | b'\n') => Place::Behind(wanted),
            (Place::Name(Some(letters)), byte) if NAME.get(letters) == Some(&byte) => {
                Place::Name(Some(letters + 1))
            }
            (Place::Name(_), byte) if byte != b'>' => Place::Name(None),
            _ => Place::Outside,
        };
        found
    }
}

const NAME: &[u8] = b"stream";

/// How long a peer gets to answer our closing tag: one round trip around the globe takes 300 ms. Many never answer, and
/// their connections hold a place meanwhile.
const PATIENCE: Duration = Duration::from_millis(500);

/// How long a peer gets to close its side of the transport.
const LINGER: Duration = Duration::from_secs(2);

/// What is read and thrown away at most: more than the kernel's receive buffer holds, so that all that was under way when
/// the peer heard of the end is read.
const MOST: usize = 8 * 1024 * 1024;

/// What one read brings at most.
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
            // Nothing but the tag lets the connection end: no time passes.
            assert!(timeout(Duration::from_millis(400), far.read_u8()).await.is_err());
            far.write_all(b"<message/></stream:stream>").await.unwrap();
            assert_eq!(far.read(&mut [0; 9]).await.unwrap(), 0);
            let closed = clock::now();
            drop(far);
            closed
        };
        let began = clock::now();
        let (parted, closed) = tokio::join!(part(&mut near, Farewell::AfterTag), peer);
        parted.unwrap();
        assert_eq!(closed - began, Duration::from_millis(400));
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_says_nothing_is_waited_for_in_vain_and_not_for_long() {
        let (mut near, _far) = duplex(1024);
        let began = clock::now();
        part(&mut near, Farewell::AfterTag).await.unwrap();
        assert_eq!(clock::since(began), PATIENCE + LINGER);
        let (mut near, _far) = duplex(1024);
        let began = clock::now();
        part(&mut near, Farewell::Now).await.unwrap();
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
            part(&mut near, Farewell::AfterTag).await.unwrap();
            drop(near);
        };
        let ((), written) = tokio::join!(end, flood);
        assert!((MOST..MOST + 200 * 1024).contains(&written), "{written}");
    }
}
