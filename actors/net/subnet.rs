//! A range of IP addresses: one address, or a network in CIDR notation (RFC 4632 section 3.1, RFC 4291 section 2.3).

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// An IP address, or a network such as `192.0.2.0/24` or `2001:db8::/32`.
///
/// ```
/// use net::subnet::Subnet;
///
/// let network: Subnet = "192.0.2.0/24".parse()?;
/// assert!(network.contains("192.0.2.7".parse().unwrap()));
/// assert!(network.contains("::ffff:192.0.2.7".parse().unwrap()));
/// assert!(!network.contains("192.0.3.7".parse().unwrap()));
/// # Ok::<(), net::subnet::ParseError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Subnet {
    /// The first address.
    first: IpAddr,
    /// The bits that all addresses have in common.
    length: u8,
}

/// The reason why a text is not a range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParseError {
    /// The part before the slash is not an IP address.
    Address,
    /// The part after the slash is not a number of bits that such an address has.
    Length {
        /// The bits of an address.
        most: u8,
    },
    /// The address has bits after the prefix: it is not the first one of a network of this length.
    Host {
        /// The network in which the address is.
        network: Subnet,
    },
}

impl Subnet {
    /// Returns whether the range has the address. An IPv4-mapped IPv6 address counts as its IPv4 address.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        ip.is_ipv4() == self.first.is_ipv4() && masked(ip, self.length) == self.first
    }
}

/// The first address of the network of this length with this address.
fn masked(ip: IpAddr, length: u8) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(length.min(32))).unwrap_or(0);
            Ipv4Addr::from_bits(ip.to_bits() & mask).into()
        }
        IpAddr::V6(ip) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(length.min(128))).unwrap_or(0);
            Ipv6Addr::from_bits(ip.to_bits() & mask).into()
        }
    }
}

impl FromStr for Subnet {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let first: IpAddr = address.parse().map_err(|_| ParseError::Address)?;
        let most = if first.is_ipv4() { 32 } else { 128 };
        let length = match length {
            // `u8::from_str` takes a sign too.
            Some(length) if length.bytes().all(|digit| digit.is_ascii_digit()) => {
                length.parse().ok().filter(|length| *length <= most).ok_or(ParseError::Length { most })?
            }
            Some(_) => return Err(ParseError::Length { most }),
            None => most,
        };
        let network = Self { first: masked(first, length), length };
        if network.first == first { Ok(network) } else { Err(ParseError::Host { network }) }
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.length)
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address => f.write_str(
                "it is not an IP address or a network, for example \"192.0.2.7\" or \"192.0.2.0/24\"",
            ),
            Self::Length { most } => {
                write!(f, "the part after the slash has to be a number of bits from 0 to {most}")
            }
            Self::Host { network } => {
                write!(
                    f,
                    "it has bits after the prefix: use \"{network}\" for the network, or the address alone"
                )
            }
        }
    }
}

impl std::error::Error for ParseError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_the_addresses_with_its_prefix() {
        for (network, inside, outside) in [
            ("192.0.2.0/24", "192.0.2.255", "192.0.3.0"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.6"),
            ("192.0.2.4/30", "192.0.2.7", "192.0.2.8"),
            ("0.0.0.0/0", "255.255.255.255", "2001:db8::1"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::1"),
            ("2001:db8::1", "2001:db8::1", "2001:db8::2"),
            ("::/0", "2001:db8::1", "192.0.2.7"),
        ] {
            let network: Subnet = network.parse().unwrap();
            assert!(network.contains(inside.parse().unwrap()), "{network} {inside}");
            assert!(!network.contains(outside.parse().unwrap()), "{network} {outside}");
            assert_eq!(network.to_string().parse(), Ok(network));
        }
    }

    #[test]
    fn a_mapped_address_counts_as_its_ipv4_address() {
        let network: Subnet = "192.0.2.0/24".parse().unwrap();
        assert!(network.contains("::ffff:192.0.2.7".parse().unwrap()));
        assert!(!"::/0".parse::<Subnet>().unwrap().contains("::ffff:192.0.2.7".parse().unwrap()));
    }

    #[test]
    fn a_text_that_is_no_range_is_refused_with_the_reason() {
        let parse = |text: &str| text.parse::<Subnet>().unwrap_err();
        for text in ["", "localhost", "192.0.2", "192.0.2.0:5347", "/24", "[2001:db8::1]"] {
            assert_eq!(parse(text), ParseError::Address, "{text}");
        }
        for text in ["192.0.2.0/33", "192.0.2.0/", "192.0.2.0/+8", "192.0.2.0/-1", "192.0.2.0/255.255.255.0"]
        {
            assert_eq!(parse(text), ParseError::Length { most: 32 }, "{text}");
        }
        assert_eq!(parse("2001:db8::/129"), ParseError::Length { most: 128 });
        assert!(parse("192.0.2.7/24").to_string().contains("\"192.0.2.0/24\""));
    }
}
