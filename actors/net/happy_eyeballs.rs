//! Opens a TCP connection to the first of several addresses that answers (RFC 8305, Happy Eyeballs).

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr, UdpSocket},
    time::Duration,
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use socket2::{SockRef, TcpKeepalive};
use tokio::{net::TcpStream, time};

/// Connects to one of `addresses`. They are tried in order, 250 ms apart, the next at once when one fails; the first
/// connection that stands wins and the other attempts are given up. `timeout` is for each of them.
///
/// # Errors
///
/// What became of each address, in the order in which they failed; nothing when there was none.
pub async fn connect(
    addresses: &[SocketAddr],
    timeout: Duration,
) -> Result<TcpStream, Vec<(SocketAddr, Failure)>> {
    let (socket, failures) = race(addresses, |address| open(address, timeout)).await;
    socket.ok_or(failures)
}

/// Connects to one address.
///
/// # Errors
///
/// Says what became of it.
pub async fn open(address: SocketAddr, timeout: Duration) -> Result<TcpStream, Failure> {
    if !is_destination(address.ip()) {
        return Err(Failure::Unreachable);
    }
    let socket = in_time(timeout, TcpStream::connect(address)).await?;
    if let Err(error) = tune(&socket) {
        log::debug!(target: "nuncio::tcp", "socket options for {address} refused: {error}");
    }
    Ok(socket)
}

/// Sets what every connection between servers should have: no delay for small writes, and an end when the other side
/// is gone without a word.
///
/// # Errors
///
/// The system refused one of them. The connection works without.
pub fn tune(socket: &TcpStream) -> io::Result<()> {
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_AFTER).with_interval(KEEPALIVE_EVERY);
    let options = SockRef::from(socket);
    options.set_tcp_nodelay(true)?;
    options.set_tcp_keepalive(&keepalive)?;
    #[cfg(target_os = "linux")]
    options.set_tcp_user_timeout(Some(UNACKNOWLEDGED_FOR))?;
    Ok(())
}

/// Whether a connection to `address` would end at one of our own listeners, bound to `bound`.
///
/// An unspecified address (0.0.0.0, ::) leads to this machine, so it counts as every address of it. A machine does not know
/// the addresses that a router before it translates to its own: a domain that leads there is not recognized here.
#[must_use]
pub fn is_own(address: SocketAddr, bound: &[SocketAddr]) -> bool {
    let ip = address.ip().to_canonical();
    bound.iter().filter(|listener| listener.port() == address.port()).any(|listener| {
        let listener = listener.ip().to_canonical();
        // One that listens everywhere takes IPv4 on its IPv6 socket too, unless the system is told otherwise.
        listener == ip || listener.is_unspecified() && is_local(ip) || is_this_host(ip) && is_local(listener)
    })
}

/// Whether a connection may be made to an address at all. Not to "this host" (RFC 1122 section 3.2.1.3, RFC 4291 section
/// 2.5.2), which is no destination, though systems take it for one of their own addresses; and not to a group.
#[must_use]
pub fn is_destination(ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    let broadcast = matches!(ip, IpAddr::V4(four) if four.is_broadcast());
    !(is_this_host(ip) || ip.is_multicast() || broadcast)
}

/// Whether an address has a meaning only on this machine or on its link: loopback, link-local, "this host".
#[must_use]
pub fn is_near(ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    let link_local = match ip {
        IpAddr::V4(four) => four.is_link_local(),
        IpAddr::V6(six) => six.is_unicast_link_local(),
    };
    ip.is_loopback() || link_local || is_this_host(ip)
}

/// 0.0.0.0/8 and ::.
fn is_this_host(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(four) => four.octets()[0] == 0,
        IpAddr::V6(six) => six.is_unspecified(),
    }
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
    /// The address belongs to this machine or its link, and a peer from elsewhere asked for the connection.
    Near,
    /// Anything else the system said.
    Other(io::ErrorKind),
}

impl Failure {
    /// Says it in a sentence: `no answer from 192.0.2.7:5269 within 10 s`.
    #[must_use]
    pub fn at(&self, address: SocketAddr) -> String {
        match self {
            Self::Silent(time) => format!("no answer from {address} within {} s", time.as_secs_f64()),
            Self::Refused => format!("{address} refused the connection"),
            Self::Unreachable => format!("{address} cannot be reached"),
            Self::Near => format!(
                "{address} belongs to this machine or its link: no connection for a peer from elsewhere"
            ),
            Self::Other(kind) => format!("connection to {address} failed: {kind}"),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent(time) => write!(f, "no answer within {} s", time.as_secs_f64()),
            Self::Refused => f.write_str("connection refused"),
            Self::Unreachable => f.write_str("cannot be reached"),
            Self::Near => {
                f.write_str("belongs to this machine or its link: no connection for a peer from elsewhere")
            }
            Self::Other(kind) => write!(f, "{kind}"),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            // "Address not available" is what a machine without IPv6 says to an IPv6 address.
            io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::AddrNotAvailable => Self::Unreachable,
            kind => Self::Other(kind),
        }
    }
}

/// Runs the attempts against each other. Dropping a losing one closes its socket. Gives the winner, if there is one,
/// and what became of those that failed before.
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
            let Ok(finished) = time::timeout(STAGGER, running.next()).await else { continue };
            finished
        };
        match finished {
            Some(Ok(connection)) => return (Some(connection), failures),
            Some(Err(failure)) => failures.push(failure),
            None => {}
        }
    }
}

/// Whether this machine has any way to an address. Connecting a UDP socket sends nothing.
#[must_use]
pub fn has_way_to(address: SocketAddr) -> bool {
    let any: IpAddr = if address.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
    UdpSocket::bind((any, 0)).is_ok_and(|socket| socket.connect(address).is_ok())
}

async fn in_time<C>(timeout: Duration, open: impl Future<Output = io::Result<C>>) -> Result<C, Failure> {
    match time::timeout(timeout, open).await {
        Ok(outcome) => outcome.map_err(Failure::from),
        Err(_) => Err(Failure::Silent(timeout)),
    }
}

/// Whether an address is one of this machine's.
fn is_local(ip: IpAddr) -> bool {
    if ip.is_loopback() || is_this_host(ip) {
        return true;
    }
    // Connecting a UDP socket sends nothing. It only picks the address to send from, and that is the very same for a
    // machine's own addresses alone.
    let any: IpAddr = if ip.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
    UdpSocket::bind((any, 0))
        .and_then(|socket| socket.connect((ip, DISCARD)).and_then(|()| socket.local_addr()))
        .is_ok_and(|from| from.ip() == ip)
}

/// RFC 8305 section 5, "Connection Attempt Delay".
const STAGGER: Duration = Duration::from_millis(250);

/// Shorter than the time after which routers that translate addresses forget a connection, most often 5 minutes; and so
/// much shorter than [`UNACKNOWLEDGED_FOR`] that an idle connection outlives some lost packets: with it set, Linux ends a
/// connection at the first probe after that time, however many were sent before.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(60);

/// Pause between two questions to a silent peer.
const KEEPALIVE_EVERY: Duration = Duration::from_secs(15);

/// What was sent and not acknowledged for so long is lost, and with it the connection. The default is 15 minutes.
pub const UNACKNOWLEDGED_FOR: Duration = Duration::from_secs(120);

/// A port to name where none is used.
const DISCARD: u16 = 9;

#[cfg(test)]
mod tests {
    use std::future;

    use tokio::net::TcpListener;

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(10);

    fn address(last: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, last], 5269))
    }

    /// A world in which address 1 is a black hole, 2 refuses, and any other answers after that many seconds.
    async fn world(address: SocketAddr) -> io::Result<SocketAddr> {
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

    async fn run(addresses: &[u8]) -> (Result<SocketAddr, Vec<(SocketAddr, Failure)>>, Duration) {
        let addresses: Vec<_> = addresses.iter().map(|last| address(*last)).collect();
        let start = clock::now();
        let (won, failures) = race(&addresses, |address| in_time(TIMEOUT, world(address))).await;
        (won.ok_or(failures), clock::since(start))
    }

    #[tokio::test(start_paused = true)]
    async fn a_black_hole_delays_the_next_address_by_a_quarter_second() {
        assert_eq!(run(&[1, 3]).await, (Ok(address(3)), STAGGER + Duration::from_secs(3)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_delays_the_next_address_by_nothing() {
        assert_eq!(run(&[2, 3]).await, (Ok(address(3)), Duration::from_secs(3)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_faster_address_overtakes() {
        assert_eq!(run(&[8, 3]).await, (Ok(address(3)), STAGGER + Duration::from_secs(3)));
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_address_wins_when_it_is_fast_enough() {
        assert_eq!(run(&[3, 3, 3]).await, (Ok(address(3)), Duration::from_secs(3)));
    }

    #[tokio::test(start_paused = true)]
    async fn every_failure_is_told() {
        let (outcome, time) = run(&[1, 2, 1]).await;
        let silent = (address(1), Failure::Silent(TIMEOUT));
        assert_eq!(outcome, Err(vec![(address(2), Failure::Refused), silent, silent]));
        assert_eq!(time, STAGGER + TIMEOUT);
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
        let socket = connect(&[closed, listener.local_addr().unwrap()], TIMEOUT).await.unwrap();
        assert!(socket.nodelay().unwrap());
        assert!(SockRef::from(&socket).keepalive().unwrap());
        assert_eq!(connect(&[closed], TIMEOUT).await.unwrap_err(), [(closed, Failure::Refused)]);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn an_idle_connection_outlives_some_lost_probes() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let socket = connect(&[listener.local_addr().unwrap()], TIMEOUT).await.unwrap();
        let options = SockRef::from(&socket);
        let (first, pause) =
            (options.tcp_keepalive_time().unwrap(), options.tcp_keepalive_interval().unwrap());
        let end = options.tcp_user_timeout().unwrap().unwrap();
        assert!(first + 3 * pause < end, "{first:?}, then every {pause:?}, and the end after {end:?}");
    }

    #[test]
    fn knows_its_own_listeners() {
        let own = |address: &str, bound: &str| is_own(address.parse().unwrap(), &[bound.parse().unwrap()]);
        assert!(own("127.0.0.1:5269", "127.0.0.1:5269"));
        assert!(own("127.0.0.1:5269", "0.0.0.0:5269"));
        assert!(own("127.0.0.9:5269", "[::]:5269"));
        assert!(own("[::ffff:127.0.0.1]:5269", "127.0.0.1:5269"));
        assert!(own("[::1]:5269", "[::]:5269"));
        assert!(own("[::ffff:127.0.0.9]:5269", "0.0.0.0:5269"));
        assert!(!own("127.0.0.9:5270", "[::]:5269"));
        assert!(!own("127.0.0.2:5269", "127.0.0.1:5269"));
        assert!(!own("127.0.0.1:5270", "0.0.0.0:5269"));
        assert!(!own("192.0.2.7:5269", "0.0.0.0:5269"));
        assert!(!own("[2001:db8::7]:5269", "[::]:5269"));
    }

    #[test]
    fn an_unspecified_address_leads_to_every_listener_of_this_machine() {
        for bound in ["127.0.0.1:5347", "0.0.0.0:5347", "[::]:5347", "[::1]:5347", "127.9.9.9:5347"] {
            for address in [
                "0.0.0.0:5347",
                "0.1.2.3:5347",
                "[::]:5347",
                "[::ffff:0.0.0.0]:5347",
                "[::ffff:0.9.9.9]:5347",
            ] {
                let (address, bound) = (address.parse().unwrap(), bound.parse().unwrap());
                assert!(is_own(address, &[bound]), "{address} leads to {bound}");
            }
        }
        assert!(!is_own("0.0.0.0:5348".parse().unwrap(), &["127.0.0.1:5347".parse().unwrap()]));
    }

    #[test]
    fn every_address_of_an_interface_leads_to_a_listener_on_all_of_them() {
        // The address from which this machine reaches the network, if it has one.
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        let own = socket.connect("192.0.2.1:9").and_then(|()| socket.local_addr());
        if let Ok(own) = own {
            let mapped = own.ip().to_string();
            for address in [mapped.clone(), format!("::ffff:{mapped}")] {
                let address = SocketAddr::new(address.parse().unwrap(), 5269);
                assert!(is_own(address, &["0.0.0.0:5269".parse().unwrap()]), "{address}");
                assert!(is_own(address, &["[::]:5269".parse().unwrap()]), "{address}");
                assert!(!is_own(address, &["127.0.0.1:5269".parse().unwrap()]), "{address}");
            }
        }
    }

    #[tokio::test]
    async fn no_connection_is_made_to_what_is_no_destination() {
        let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        for ip in ["0.0.0.0", "0.0.0.7", "::", "::ffff:0.0.0.0", "224.0.0.1", "255.255.255.255", "ff02::1"] {
            let address = SocketAddr::new(ip.parse().unwrap(), port);
            assert!(matches!(open(address, TIMEOUT).await, Err(Failure::Unreachable)), "{address}");
        }
        assert!(open(SocketAddr::new([127, 0, 0, 1].into(), port), TIMEOUT).await.is_ok());
    }
}
