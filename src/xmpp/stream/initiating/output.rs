//! The outputs of a handshake, which its driver performs, and the steps that an observer sees.
use super::Failure;
use crate::{
    certificate::Problem,
    policy::Mechanism,
    sasl,
    stream::{End, Header, features::Features},
};
use bytes::Bytes;

/// The next thing for the driver to do. `T` is the outcome of the goal.
#[derive(Debug)]
pub enum Output<T> {
    /// Write these bytes.
    Transmit(Bytes),
    /// Begin the TLS handshake once everything transmitted is written, then call
    /// [`Handshake::secured`](super::Handshake::secured).
    StartTls,
    /// Whether the peer's certificate proves its domain, for the log.
    CertificateVerified(Result<(), Problem>),
    /// A step of the negotiation, for an observer.
    Noted(Note),
    /// The peer has sent an answer to a question that we did not ask. It is ignored; reported once, for the
    /// log.
    Unsolicited {
        /// `result` or `verify`.
        element: String,
    },
    /// The goal is reached, and the handshake is over: an [`Open`](super::Open) stream, or the answer about a dialback
    /// key.
    Completed(T),
    /// The goal cannot be reached. Write what was transmitted, then close.
    Failed(Failure),
    /// The stream is over after [`Handshake::close`](super::Handshake::close). Write what was transmitted, then
    /// close.
    Ended(End),
}

/// A step of the negotiation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// The peer has answered our header with this one.
    Greeted(Header),
    /// The peer offers these features now.
    Offered(Features),
    /// We try this mechanism.
    Tried(Mechanism),
    /// The peer has refused our certificate. Another mechanism may follow.
    ExternalRefused(sasl::Failure),
}
