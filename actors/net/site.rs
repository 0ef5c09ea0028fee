//! Sites: the addresses that limits count as one peer.

use std::net::{IpAddr, Ipv6Addr};

/// The address that a connection counts for: an IPv4 address, or the /64 of an IPv6 address.
pub fn site(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(v6) => prefix(v6, 64),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// The /48 of an IPv6 address; `None` for an IPv4 address.
pub fn network(ip: IpAddr) -> Option<IpAddr> {
    match ip.to_canonical() {
        IpAddr::V6(v6) => Some(prefix(v6, 48)),
        IpAddr::V4(_) => None,
    }
}

fn prefix(v6: Ipv6Addr, bits: u32) -> IpAddr {
    IpAddr::V6((v6.to_bits() & !(u128::MAX >> bits)).into())
}
