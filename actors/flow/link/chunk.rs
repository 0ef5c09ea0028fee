//! The chunk that a link writes.

use bytes::{Buf, Bytes, BytesMut};

/// The chunk that is being written: contiguous, so that TLS records are full.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    pub(super) bytes: BytesMut,
    pub(super) written: usize,
    /// Whether it only keeps an idle stream alive.
    pub(super) is_keepalive: bool,
}

impl Chunk {
    /// A chunk of these pieces.
    pub(super) fn of(pieces: Vec<Bytes>) -> Self {
        let length = pieces.iter().map(Bytes::len).sum();
        let mut bytes = BytesMut::with_capacity(length);
        for piece in pieces {
            bytes.extend_from_slice(&piece);
        }
        let is_keepalive = is_keepalive(&bytes);
        Self { bytes, written: 0, is_keepalive }
    }

    /// So many bytes were written.
    pub(super) fn advance(&mut self, written: usize) {
        self.bytes.advance(written);
        self.written += written;
    }
}

/// Whether the bytes only keep an idle stream alive: a little whitespace (RFC 6120 section 4.6.1).
pub(super) fn is_keepalive(bytes: &[u8]) -> bool {
    bytes.len() <= KEEPALIVE && bytes.iter().all(u8::is_ascii_whitespace)
}

/// Maximum number of bytes of a keepalive: one character, or a line end, and that of another interval.
const KEEPALIVE: usize = 4;
