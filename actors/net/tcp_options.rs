//! The options of TCP sockets between servers.

use std::{io, time::Duration};

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

/// Sets TCP_NODELAY, keepalive probes and, on Linux, TCP_USER_TIMEOUT.
///
/// Small writes are sent without delay, and a connection ends if the peer disappears without closing it.
///
/// # Errors
///
/// The system refused an option. The connection works without it.
pub fn tune(socket: &TcpStream) -> io::Result<()> {
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_AFTER).with_interval(KEEPALIVE_INTERVAL);
    let options = SockRef::from(socket);
    options.set_tcp_nodelay(true)?;
    options.set_tcp_keepalive(&keepalive)?;
    #[cfg(target_os = "linux")]
    options.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    Ok(())
}

/// The idle time before the first keepalive probe.
///
/// It is shorter than the time after which NAT routers forget a connection, which is most often 5 minutes. It
/// is so much shorter than [`USER_TIMEOUT`] that an idle connection survives some lost probes: with that
/// option set, Linux ends a connection at the first probe after that time, no matter how many were sent
/// before.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(60);

/// The time between two keepalive probes to a silent peer.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// The time after which unacknowledged data ends the connection (TCP_USER_TIMEOUT). Linux would wait about 15
/// minutes.
pub const USER_TIMEOUT: Duration = Duration::from_secs(120);

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn an_idle_connection_survives_some_lost_probes() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        tune(&socket).unwrap();
        let options = SockRef::from(&socket);
        let (first, pause) =
            (options.tcp_keepalive_time().unwrap(), options.tcp_keepalive_interval().unwrap());
        let end = options.tcp_user_timeout().unwrap().unwrap();
        assert!(first + 3 * pause < end, "{first:?}, then every {pause:?}, and the end after {end:?}");
    }
}
