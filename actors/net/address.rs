//! Classifies IP addresses: own listeners, possible destinations, scope, and the sites to which limits apply.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket};

/// Returns the site of an address: an IPv4 address, or the /64 network of an IPv6 address.
///
/// A limit "for each address" counts connections by site, since a host can choose any address in its /64
/// network.
///
/// ```
/// use net::address::site;
///
/// let one = site("2001:db8::1".parse()?);
/// let two = site("2001:db8::2".parse()?);
/// assert_eq!(one, two);
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
pub fn site(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(v6) => prefix(v6, 64),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// Returns the /48 network of an IPv6 address; `None` for an IPv4 address.
pub fn network(ip: IpAddr) -> Option<IpAddr> {
    match ip.to_canonical() {
        IpAddr::V6(v6) => Some(prefix(v6, 48)),
        IpAddr::V4(_) => None,
    }
}

/// Returns whether a connection to `address` would reach a listener of this node, bound to one of `bound`.
///
/// An unspecified address (0.0.0.0 or ::) reaches this machine, so it counts as each of its addresses. A
/// machine does not know the public addresses that a NAT router translates to its own: those are not
/// recognized.
#[must_use]
pub fn is_own(address: SocketAddr, bound: &[SocketAddr]) -> bool {
    let ip = address.ip().to_canonical();
    bound.iter().filter(|listener| listener.port() == address.port()).any(|listener| {
        let listener = listener.ip().to_canonical();
        // A listener on [::] also accepts IPv4, unless the system is configured otherwise.
        listener == ip
            || listener.is_unspecified() && is_assigned(ip)
            || is_this_host(ip) && is_assigned(listener)
    })
}

/// Returns whether a connection to an address is allowed.
///
/// Multicast and broadcast addresses are no destinations. Nor is "this host" (RFC 1122 section 3.2.1.3, RFC
/// 4291 section 2.5.2), although operating systems connect it to the local machine.
#[must_use]
pub fn is_destination(ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    let broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    !(is_this_host(ip) || ip.is_multicast() || broadcast)
}

/// Returns whether an address is valid only on this machine or on its link: loopback, link-local or "this
/// host".
#[must_use]
pub fn is_local_scope(ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    let link_local = match ip {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    ip.is_loopback() || link_local || is_this_host(ip)
}

/// Returns whether this machine has a route to an address. No packet is sent.
#[must_use]
pub fn has_route_to(address: SocketAddr) -> bool {
    let any: IpAddr = if address.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
    UdpSocket::bind((any, 0)).is_ok_and(|socket| socket.connect(address).is_ok())
}

/// Returns whether an address is assigned to this machine.
fn is_assigned(ip: IpAddr) -> bool {
    if ip.is_loopback() || is_this_host(ip) {
        return true;
    }
    // `connect` on a UDP socket sends no packet. It selects a source address, which equals the destination
    // only if the destination is an address of this machine.
    let any: IpAddr = if ip.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
    UdpSocket::bind((any, 0))
        .and_then(|socket| socket.connect((ip, DISCARD)).and_then(|()| socket.local_addr()))
        .is_ok_and(|from| from.ip() == ip)
}

/// Returns whether an address is in 0.0.0.0/8 or is ::.
fn is_this_host(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => v4.octets()[0] == 0,
        IpAddr::V6(v6) => v6.is_unspecified(),
    }
}

fn prefix(v6: Ipv6Addr, bits: u32) -> IpAddr {
    IpAddr::V6((v6.to_bits() & !(u128::MAX >> bits)).into())
}

/// A port for a socket that sends nothing.
const DISCARD: u16 = 9;

#[cfg(test)]
mod tests {
    use super::*;

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
}
