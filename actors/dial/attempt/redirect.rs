//! Where a server that says `see-other-host` sends us (RFC 6120 4.9.3.19).

use std::net::IpAddr;

use xmpp::{Domain, stream::initiating::Cause};

use crate::dial::failure::Failure;
use net::dns::Target;

/// Where a redirect leads, if it may be followed: only what TLS protected comes from the peer for certain.
pub fn elsewhere(failure: &Failure, target: &Target) -> Option<Target> {
    let Failure::Stream { failure, .. } = failure else { return None };
    let Cause::Redirected { host, secured: true } = &failure.cause else { return None };
    let (host, port) = host_and_port(host)?;
    Some(Target { host, port, from_srv: false, ..target.clone() })
}

/// Reads `host`, `host:port`, `[2001:db8::1]` and `[2001:db8::1]:port`.
fn host_and_port(text: &str) -> Option<(String, u16)> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port.parse().ok()?),
        _ => (text, PORT),
    };
    let literal = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host = literal.unwrap_or(host);
    let known = Domain::new(host).is_ok() || host.parse::<IpAddr>().is_ok();
    known.then(|| (host.to_owned(), port))
}

/// Redirects that one attempt follows (RFC 6120 4.9.3.19: two to five).
pub(super) const REDIRECTS: usize = 3;

/// Where servers listen (RFC 6120 14.7).
const PORT: u16 = 5269;
