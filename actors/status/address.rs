//! The address of the other end of a link: an IP address and a port, or the path of a Unix socket.

use std::{
    fmt,
    net::{AddrParseError, IpAddr, SocketAddr},
    path::Path,
    str::FromStr,
    sync::Arc,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The address of the other end of a link, or of a listening socket.
///
/// The peers of a Unix socket have no addresses of their own: all have that of the socket, `unix:/PATH`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    /// An IP address and a TCP port.
    Tcp(SocketAddr),
    /// The path of a Unix socket.
    Unix(Arc<Path>),
}

/// An [`Address`] without the port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// An IP address.
    Ip(IpAddr),
    /// The path of a Unix socket.
    Unix(Arc<Path>),
}

impl Address {
    /// The IP address and the port; `None` for a Unix socket.
    pub fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }

    /// The path of a Unix socket; `None` for an IP address.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Tcp(_) => None,
            Self::Unix(path) => Some(path),
        }
    }

    /// The address without the port.
    pub fn host(&self) -> Host {
        match self {
            Self::Tcp(address) => Host::Ip(address.ip()),
            Self::Unix(path) => Host::Unix(Arc::clone(path)),
        }
    }

    /// Returns whether only processes on this machine can have the address, or connect to it.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().to_canonical().is_loopback(),
            Self::Unix(_) => true,
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

impl From<&Path> for Address {
    fn from(path: &Path) -> Self {
        Self::Unix(path.into())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "{UNIX}{}", path.display()),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(ip) => ip.fmt(f),
            Self::Unix(path) => write!(f, "{UNIX}{}", path.display()),
        }
    }
}

impl FromStr for Address {
    type Err = AddrParseError;

    fn from_str(text: &str) -> Result<Self, AddrParseError> {
        match text.strip_prefix(UNIX) {
            Some(path) => Ok(Self::Unix(Path::new(path).into())),
            None => text.parse().map(Self::Tcp),
        }
    }
}

impl FromStr for Host {
    type Err = AddrParseError;

    fn from_str(text: &str) -> Result<Self, AddrParseError> {
        match text.strip_prefix(UNIX) {
            Some(path) => Ok(Self::Unix(Path::new(path).into())),
            None => text.parse().map(Self::Ip),
        }
    }
}

/// In JSON both are strings, in the form of [`Display`](fmt::Display).
macro_rules! as_string {
    ($($name:ty),+) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )+};
}

as_string!(Address, Host);

/// Stands before the path of a Unix socket, in the configuration too.
pub const UNIX: &str = "unix:";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_in_json_is_the_text_of_the_log() {
        for (text, host, is_local) in [
            ("127.0.0.1:5347", "127.0.0.1", true),
            ("[::ffff:127.0.0.1]:5347", "::ffff:127.0.0.1", true),
            ("[2001:db8::1]:5347", "2001:db8::1", false),
            ("unix:/run/nuncio/component.sock", "unix:/run/nuncio/component.sock", true),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!((address.to_string(), address.is_local()), (text.to_owned(), is_local));
            let json = serde_json::to_value(&address).unwrap();
            assert_eq!(json, text);
            assert_eq!(serde_json::from_value::<Address>(json).unwrap(), address);
            assert_eq!(serde_json::to_value(address.host()).unwrap(), host);
            assert_eq!(host.parse(), Ok(address.host()));
            assert_eq!(address.tcp().is_some(), address.path().is_none());
        }
        assert!("localhost:5347".parse::<Address>().is_err() && "localhost".parse::<Host>().is_err());
    }
}
