//! The origin of a connection, as limits count it.

use std::{net::IpAddr, sync::Arc};

use super::{Caller, Listener};
use crate::streams::accepted::Peer;
use net::address::{network, site};
use status::address::{Address, Host};

/// The origin of a connection, as limits count it. The peers of a Unix socket have no addresses, and are all on this
/// machine: together they are one site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Site {
    /// An IPv4 address, or the /64 of an IPv6 address.
    Ip(IpAddr),
    /// The index of a Unix socket.
    Unix(usize),
}

impl Site {
    /// The IPv6 /48 around it, if it has one.
    pub(super) fn network(self) -> Option<IpAddr> {
        match self {
            Self::Ip(ip) => network(ip),
            Self::Unix(_) => None,
        }
    }

    /// Whether its peers are on this machine.
    pub(super) fn is_local(self) -> bool {
        match self {
            Self::Ip(ip) => ip.is_loopback() || ip == site(LOCALHOST),
            Self::Unix(_) => true,
        }
    }
}

impl From<IpAddr> for Site {
    fn from(ip: IpAddr) -> Self {
        Self::Ip(site(ip))
    }
}

impl Caller {
    pub(super) fn site(self) -> Site {
        match self.peer {
            Peer::Tcp(address) => address.ip().into(),
            Peer::Unix(_) => Site::Unix(self.socket),
        }
    }
}

impl Listener {
    /// The address of a peer.
    pub(super) fn address(&self, caller: Caller) -> Address {
        match caller.peer {
            Peer::Tcp(address) => Address::Tcp(address),
            Peer::Unix(_) => Address::Unix(self.path(caller.socket)),
        }
    }

    /// The name of a site in the log.
    pub(super) fn host(&self, site: Site) -> Host {
        match site {
            Site::Ip(ip) => Host::Ip(ip),
            Site::Unix(socket) => Host::Unix(self.path(socket)),
        }
    }

    /// The path of a Unix socket.
    fn path(&self, socket: usize) -> Arc<std::path::Path> {
        let found = self.sockets.get(socket).and_then(|socket| socket.path.clone());
        found.unwrap_or_else(|| std::path::Path::new("").into())
    }
}

/// `::1`, whose /64 has no other address that a peer can have.
const LOCALHOST: IpAddr = IpAddr::V6(std::net::Ipv6Addr::LOCALHOST);

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Site {
        text.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn a_site_is_an_ipv4_address_or_an_ipv6_network_or_a_socket() {
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("192.0.2.7"), of("::ffff:192.0.2.7"));
        assert_ne!(of("192.0.2.7"), of("192.0.2.8"));
        assert_ne!(of("::ffff:192.0.2.7"), of("::ffff:192.0.2.8"));
        let caller = |number, socket| Caller { peer: Peer::Unix(number), socket }.site();
        assert_eq!(caller(1, 0), caller(2, 0));
        assert_ne!(caller(1, 0), caller(1, 1));
    }

    #[test]
    fn loopback_and_unix_sockets_are_on_this_machine() {
        for local in [of("127.0.0.1"), of("::1"), of("::ffff:127.0.0.1"), Site::Unix(0)] {
            assert!(local.is_local(), "{local:?}");
        }
        for distant in ["192.0.2.7", "2001:db8::1", "fe80::1"] {
            assert!(!of(distant).is_local(), "{distant}");
        }
    }
}
