//! A DNS server (RFC 1035) on loopback, over UDP and TCP.
//!
//! [`Dns`] answers from records that may change while it runs. [`Server`] answers as a function of the question says.

mod reply;
#[cfg(feature = "tests")]
mod scripted;
mod server;
mod zone;

pub use hickory_proto::op::ResponseCode;
pub use hickory_proto::rr::RData;
pub use reply::{Reply, a, aaaa, alias, answer, cname, srv};
pub use server::{Question, Server};
pub use zone::{Behaviour, Dns, Records};

use hickory_proto::rr::Name;

/// The A-label form of a domain (RFC 5890), without a final dot. Text that is no domain name stays as it is.
#[must_use]
pub fn in_ascii(domain: &str) -> String {
    Name::from_utf8(domain).map_or_else(|_| domain.to_owned(), |name| name.to_ascii())
}

/// The name from the root on, in lower case. Text that is no domain name becomes the root.
fn absolute(name: &str) -> Name {
    let dotted = format!("{}.", name.trim_end_matches('.'));
    Name::from_utf8(dotted).map(|name| name.to_lowercase()).unwrap_or_else(|_| Name::root())
}
