//! Opens a TCP connection to the first of several addresses that answers (RFC 8305).

use std::{fmt, io, net::SocketAddr, time::Duration};

use tokio::net::TcpStream;

/// Connects to one of `addresses`: they are tried in order, 250 ms apart, the next at once when one fails, and the
/// first connection that stands wins.
///
/// # Errors
///
/// What became of each address, in the order in which they failed; empty when there was none.
pub async fn connect(
    addresses: &[SocketAddr],
    timeout: Duration,
) -> Result<TcpStream, Vec<(SocketAddr, Failure)>> {
    let _ = (addresses, timeout);
    todo!()
}

/// Whether a connection to `address` would end at one of our own listeners, bound to `bound`.
#[must_use]
pub fn is_own(address: SocketAddr, bound: &[SocketAddr]) -> bool {
    let _ = (address, bound);
    todo!()
}

/// Why one address could not be connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It did not answer within this time.
    Silent(Duration),
    /// Nothing listens there.
    Refused,
    /// No way leads there.
    Unreachable,
    /// Anything else the system said.
    Other(io::ErrorKind),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}
