//! A certificate authority, a DNS server and scripted XMPP peers: the surroundings of a node in tests, in the benchmark
//! and in `nuncio demo`.
//!
//! Nothing here uses the node's own code, so that a mistake of the node cannot hide in its own test. Without the
//! feature `tests` no function panics.
//!
//! ```
//! use testkit::{Authority, Dns};
//!
//! let dns = Dns::start(([127, 0, 0, 1], 0).into())?;
//! dns.srv("_xmpp-server._tcp.example.org", 0, 0, 5269, "xmpp.example.org");
//! dns.a("xmpp.example.org", [127, 0, 0, 1].into());
//!
//! let authority = Authority::new("authority of an example")?;
//! let identity = authority.certificate(&["example.org"]).sign()?;
//! assert_eq!(identity.chain.len(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod certificates;
pub mod dns;
#[cfg(feature = "tests")]
mod peers;

#[cfg(feature = "tests")]
pub use certificates::Status;
pub use certificates::{Authority, Identity, Purpose, Request};
pub use dns::{Behaviour, Dns};
#[cfg(feature = "tests")]
pub use peers::{
    Component, Counted, Element, Event, Listener, NEVER, Nothing, OFFER, Passed, Peer, Proxy, Reset, SECRET,
    SM, SOON, Splitter, Wire, Wiretap, eventually, h, is_request, offers_external, plays, tls_context,
    within,
};
