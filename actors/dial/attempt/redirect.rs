//! Redirects by the stream error `see-other-host` (RFC 6120 section 4.9.3.19).

use std::net::IpAddr;

use xmpp::{Domain, stream::initiating::Cause};

use crate::dial::error::AttemptError;
use net::dns::Target;

/// The target to which the server of `target` redirects us; `None` if the error is no redirect. A redirect in
/// clear text is not followed, as anyone on the path could have sent it.
pub fn redirect(error: &AttemptError, target: &Target) -> Option<Target> {
    let AttemptError::Stream { failure, .. } = error else { return None };
    let Cause::Redirected { host, secured: true } = &failure.cause else { return None };
    let (host, port) = host_and_port(host)?;
    Some(Target { host, port, from_srv: false, ..target.clone() })
}

/// Parses `host`, `host:port`, `[2001:db8::1]` or `[2001:db8::1]:port`.
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

/// Redirects that one attempt follows. RFC 6120 section 4.9.3.19 recommends two to five.
pub(super) const REDIRECTS: usize = 3;

/// The default port of servers (RFC 6120 section 14.7).
const PORT: u16 = 5269;
