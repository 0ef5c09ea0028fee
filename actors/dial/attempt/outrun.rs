//! The end of a connection that is no longer needed: another visit of the attempt has authenticated first.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::AsyncWriteExt;
use xmpp::stream::{
    End, Stage,
    initiating::{self, Handshake, Open, Output, open},
};

use super::race::Entrant;
use crate::{
    flow::close::{self, CloseMode},
    observe::metrics::Purpose,
};
use net::stream::Stream;

/// The decision about a connection that has authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// Go on: no other one has authenticated.
    Won,
    /// End: another one has.
    Outrun,
    /// End: it has no TLS, which the remote has on another connection of the attempt.
    Downgraded,
}

impl Claim {
    /// The claim of a connection that has authenticated.
    pub(super) fn of(entrant: &Entrant, stream: &Stream) -> Self {
        if entrant.requires_tls() && matches!(stream, Stream::Tcp(_)) {
            Self::Downgraded
        } else if entrant.wins() {
            Self::Won
        } else {
            Self::Outrun
        }
    }
}

/// Whether a handshake has authenticated us: `output` is its outcome, or bytes that a session sends behind
/// authentication. A verification sends only its closing tag there.
pub(super) fn is_behind_authentication<T>(output: &Output<T>, stage: Stage, purpose: Purpose) -> bool {
    match output {
        Output::Completed(_) => true,
        Output::Transmit(_) => {
            purpose == Purpose::Session && matches!(stage, Stage::Open | Stage::Resumption)
        }
        _ => false,
    }
}

/// Closes a stream that is being negotiated. Nothing may be half written on it.
pub(super) fn close_handshake<G: initiating::Goal>(mut handshake: Handshake<G>, stream: Stream) {
    handshake.close(None);
    let mut last = BytesMut::new();
    while let Some(output) = handshake.poll() {
        if let Output::Transmit(bytes) = output {
            last.extend_from_slice(&bytes);
        }
    }
    let mode = CloseMode::after(&End::Closed, handshake.is_open());
    close_behind(stream, last.freeze(), mode);
}

/// Closes an open stream on which nothing was sent.
pub(super) fn close_open(mut machine: Box<Open>, stream: Stream) {
    machine.close(None);
    let mut last = BytesMut::new();
    while let Some(output) = machine.poll() {
        if let open::Output::Transmit(bytes) = output {
            last.extend_from_slice(&bytes);
        }
    }
    close_behind(stream, last.freeze(), CloseMode::AfterClosingTag);
}

/// Writes the last bytes and closes the connection, in the background.
fn close_behind(mut stream: Stream, last: Bytes, mode: CloseMode) {
    actix_rt::spawn(async move {
        // An error does not matter, as the attempt does not need the connection.
        if let Ok(Ok(())) = tokio::time::timeout(WRITTEN_WITHIN, stream.write_all(&last)).await {
            let _ = close::close(&mut stream, mode).await;
        }
    });
}

/// The time to write a closing tag. It fits in the buffer of any socket whose peer has read the negotiation.
const WRITTEN_WITHIN: Duration = Duration::from_millis(500);
