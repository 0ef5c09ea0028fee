//! The error of a negotiation that has failed: the reason that the peer gives, if it gives one.

use std::time::Duration;

use bytes::BytesMut;
use tokio::io::AsyncReadExt;
use xmpp::stream::initiating::{Cause, Failure, Handshake, Output};

use super::{Goal, Negotiation, READ};
use crate::{
    dial::error::{At, AttemptError},
    flow::close::CloseMode,
};
use net::{stream::Stream, tls};

impl<G: Goal> Negotiation<'_, G> {
    /// The error for a failed read. With TLS 1.3, a refusal of our certificate arrives only with a read.
    pub(super) fn read_error(
        &self,
        handshake: &Handshake<G::Handshake>,
        error: &std::io::Error,
    ) -> AttemptError {
        match tls::Error::later(error) {
            error @ tls::Error::Alert(_) => AttemptError::Tls { address: self.address, error },
            _ => self.lost(handshake, Some(error.kind())),
        }
    }

    /// The error for a failed write. Reads the last bytes that the peer sent before it closed the connection: they may have
    /// the reason.
    pub(super) async fn explain_write_error(
        &mut self,
        mut handshake: Handshake<G::Handshake>,
        mut stream: Stream,
        error: &std::io::Error,
    ) -> AttemptError {
        let until = clock::now() + LAST_READ;
        loop {
            let mut bytes = BytesMut::with_capacity(READ);
            let left = until.saturating_duration_since(clock::now());
            let ended = match tokio::time::timeout(left, stream.read_buf(&mut bytes)).await {
                Ok(Ok(1..)) => {
                    self.receive(&mut handshake, bytes);
                    None
                }
                Ok(Err(reason)) => Some(self.read_error(&handshake, &reason)),
                _ => Some(self.read_error(&handshake, error)),
            };
            if ended.is_some() {
                handshake.conclude();
            }
            // Other outputs do not matter, as nothing more can be written.
            while let Some(output) = handshake.poll() {
                if let Output::Failed(failure) = output {
                    self.note_dialback_left(&handshake);
                    return self.failed(failure);
                }
            }
            if let Some(error) = ended {
                self.note_dialback_left(&handshake);
                return error;
            }
        }
    }

    /// The error for a connection that has ended: the refusal that the peer sent before, unless the network
    /// failed.
    pub(super) fn lost(
        &self,
        handshake: &Handshake<G::Handshake>,
        error: Option<std::io::ErrorKind>,
    ) -> AttemptError {
        use std::io::ErrorKind::{HostUnreachable, NetworkDown, NetworkUnreachable, TimedOut};
        let by_network = matches!(error, Some(HostUnreachable | NetworkDown | NetworkUnreachable | TimedOut));
        match handshake.lost().filter(|_| !by_network) {
            Some(failure) => self.failed(failure),
            None => self.broken(error),
        }
    }

    pub(super) fn failed(&self, failure: Failure) -> AttemptError {
        AttemptError::Stream { at: self.at(), failure }
    }

    pub(super) fn broken(&self, error: Option<std::io::ErrorKind>) -> AttemptError {
        AttemptError::Broken { at: self.at(), error }
    }
}

impl<G> Negotiation<'_, G> {
    pub(super) fn at(&self) -> At {
        At { address: self.address, stage: self.stage, distrusted: self.distrusted.clone() }
    }
}

/// How to close the connection after a failure. `is_open`: the closing tag of the peer is missing.
pub(super) fn close_mode(failure: &Failure, is_open: bool) -> CloseMode {
    match failure.cause {
        Cause::Stream(_) | Cause::Redirected { .. } | Cause::NotXmpp => CloseMode::AtOnce,
        _ if !is_open => CloseMode::AtOnce,
        _ => CloseMode::AfterClosingTag,
    }
}

/// The time to read the last bytes of a peer after a failed write.
const LAST_READ: Duration = Duration::from_millis(500);
