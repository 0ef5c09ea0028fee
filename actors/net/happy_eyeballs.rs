//! Opens a TCP connection to the first of several addresses that answers (Happy Eyeballs, RFC 8305).

use std::{io, net::SocketAddr, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use thiserror::Error;
use tokio::time;

use crate::{
    address,
    network::{Network, Socket},
};

/// Connects to one of `addresses`; `timeout` is the limit for each of them.
///
/// The addresses are tried in order. The next attempt starts 250 ms after the previous one, or as soon as one
/// fails (RFC 8305 section 5). The first open connection wins, and the other attempts are cancelled.
///
/// # Errors
///
/// The error of each address, in the order in which they failed. The list is empty if there was no address.
pub async fn connect(
    network: &Network,
    addresses: &[SocketAddr],
    timeout: Duration,
) -> Result<Socket, Vec<(SocketAddr, ConnectError)>> {
    let (socket, failures) = race(addresses, |address| open(network, address, timeout)).await;
    socket.ok_or(failures)
}

/// Connects to one address within `timeout`, and sets the options of its socket ([`Socket::tune`]).
///
/// # Errors
///
/// The connection could not be opened in time, or no connection may be made to that address.
pub async fn open(network: &Network, address: SocketAddr, timeout: Duration) -> Result<Socket, ConnectError> {
    if !address::is_destination(address.ip()) {
        return Err(ConnectError::Unreachable);
    }
    let socket = within(timeout, network.connect(address)).await?;
    if let Err(error) = socket.tune() {
        log::debug!(target: "nuncio::tcp", "cannot set the socket options for {address}: {error}");
    }
    Ok(socket)
}

/// The reason why a connection to one address could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ConnectError {
    /// The address did not answer within this time.
    #[error("no answer within {} s", .0.as_secs_f64())]
    Silent(Duration),
    /// No server listens on the port (TCP RST).
    #[error("connection refused")]
    Refused,
    /// There is no route to the address.
    #[error("cannot be reached")]
    Unreachable,
    /// The address is in the local scope (see [`address::is_local_scope`]) and the peer that asked for the
    /// connection is not.
    #[error("belongs to this machine or its link: no connection for a peer from elsewhere")]
    LocalScope,
    /// Another error of the operating system.
    #[error("{0}")]
    Other(io::ErrorKind),
}

impl ConnectError {
    /// Writes a sentence with the address, such as `no answer from 192.0.2.7:5269 within 10 s`.
    #[must_use]
    pub fn at(&self, address: SocketAddr) -> String {
        match self {
            Self::Silent(time) => format!("no answer from {address} within {} s", time.as_secs_f64()),
            Self::Refused => format!("{address} refused the connection"),
            Self::Unreachable => format!("{address} cannot be reached"),
            Self::LocalScope => format!(
                "{address} belongs to this machine or its link: no connection for a peer from elsewhere"
            ),
            Self::Other(kind) => format!("connection to {address} failed: {kind}"),
        }
    }
}

impl From<io::Error> for ConnectError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            // A machine without IPv6 reports "address not available" for an IPv6 address.
            io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::AddrNotAvailable => Self::Unreachable,
            kind => Self::Other(kind),
        }
    }
}

/// Runs `open` for the addresses as [`connect`] describes.
///
/// Returns the first result, if there is one, and the errors of the attempts that failed before. The other
/// attempts are dropped, which closes their sockets.
pub async fn race<C, E, A>(
    addresses: &[SocketAddr],
    open: impl Fn(SocketAddr) -> A,
) -> (Option<C>, Vec<(SocketAddr, E)>)
where
    A: Future<Output = Result<C, E>>,
{
    let mut waiting = addresses.iter();
    let mut running = FuturesUnordered::new();
    let mut failures = Vec::new();
    loop {
        if let Some(&address) = waiting.next() {
            let attempt = open(address);
            running.push(async move { attempt.await.map_err(|error| (address, error)) });
        } else if running.is_empty() {
            return (None, failures);
        }
        let finished = if waiting.as_slice().is_empty() {
            running.next().await
        } else {
            let Ok(finished) = time::timeout(ATTEMPT_DELAY, running.next()).await else { continue };
            finished
        };
        match finished {
            Some(Ok(connection)) => return (Some(connection), failures),
            Some(Err(failure)) => failures.push(failure),
            None => {}
        }
    }
}

async fn within<C>(timeout: Duration, open: impl Future<Output = io::Result<C>>) -> Result<C, ConnectError> {
    match time::timeout(timeout, open).await {
        Ok(outcome) => outcome.map_err(ConnectError::from),
        Err(_) => Err(ConnectError::Silent(timeout)),
    }
}

/// The delay between two attempts (RFC 8305 section 5, "Connection Attempt Delay").
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use std::{future, net::IpAddr};

    use tokio::net::TcpListener;

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(10);

    fn address(last: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, last], 5269))
    }

    /// A network in which address 1 never answers, 2 refuses, and any other answers after that many seconds.
    async fn answer(address: SocketAddr) -> io::Result<SocketAddr> {
        let IpAddr::V4(ip) = address.ip() else { unreachable!() };
        match ip.octets()[3] {
            1 => future::pending().await,
            2 => Err(io::ErrorKind::ConnectionRefused.into()),
            seconds => {
                time::sleep(Duration::from_secs(seconds.into())).await;
                Ok(address)
            }
        }
    }

    async fn run(addresses: &[u8]) -> (Result<SocketAddr, Vec<(SocketAddr, ConnectError)>>, Duration) {
        let addresses: Vec<_> = addresses.iter().map(|last| address(*last)).collect();
        let start = clock::now();
        let (won, failures) = race(&addresses, |address| within(TIMEOUT, answer(address))).await;
        (won.ok_or(failures), clock::since(start))
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_address_delays_the_next_address_by_a_quarter_second() {
        assert_eq!(run(&[1, 3]).await, (Ok(address(3)), ATTEMPT_DELAY + Duration::from_secs(3)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_starts_the_next_attempt_at_once() {
        assert_eq!(run(&[2, 3]).await, (Ok(address(3)), Duration::from_secs(3)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_faster_address_overtakes() {
        assert_eq!(run(&[8, 3]).await, (Ok(address(3)), ATTEMPT_DELAY + Duration::from_secs(3)));
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_address_wins_when_it_is_fast_enough() {
        assert_eq!(run(&[3, 3, 3]).await, (Ok(address(3)), Duration::from_secs(3)));
    }

    #[tokio::test(start_paused = true)]
    async fn every_failure_is_reported() {
        let (outcome, time) = run(&[1, 2, 1]).await;
        let silent = (address(1), ConnectError::Silent(TIMEOUT));
        assert_eq!(outcome, Err(vec![(address(2), ConnectError::Refused), silent, silent]));
        assert_eq!(time, ATTEMPT_DELAY + TIMEOUT);
        assert_eq!(silent.1.at(silent.0), "no answer from 192.0.2.1:5269 within 10 s");
    }

    #[tokio::test(start_paused = true)]
    async fn no_address_is_no_connection() {
        assert_eq!(run(&[]).await, (Err(Vec::new()), Duration::ZERO));
    }

    #[tokio::test]
    async fn connects_and_tunes() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let addresses = [closed, listener.local_addr().unwrap()];
        let Socket::Tcp(socket) = connect(&Network::System, &addresses, TIMEOUT).await.unwrap() else {
            unreachable!()
        };
        assert!(socket.nodelay().unwrap());
        assert!(socket2::SockRef::from(&socket).keepalive().unwrap());
        let refused = connect(&Network::System, &[closed], TIMEOUT).await.unwrap_err();
        assert_eq!(refused, [(closed, ConnectError::Refused)]);
    }

    #[tokio::test]
    async fn no_connection_is_made_to_an_address_that_is_no_destination() {
        let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        for ip in ["0.0.0.0", "0.0.0.7", "::", "::ffff:0.0.0.0", "224.0.0.1", "255.255.255.255", "ff02::1"] {
            let address = SocketAddr::new(ip.parse().unwrap(), port);
            let opened = open(&Network::System, address, TIMEOUT).await;
            assert!(matches!(opened, Err(ConnectError::Unreachable)), "{address}");
        }
        let address = SocketAddr::new([127, 0, 0, 1].into(), port);
        assert!(open(&Network::System, address, TIMEOUT).await.is_ok());
    }
}
