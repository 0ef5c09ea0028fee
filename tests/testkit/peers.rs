//! Scripted XMPP servers and components. Everything blocks, every wait has an end, and the test fails when the other
//! side does not do as the script says.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a script fails its test by a panic"
)]

mod acks;
mod component;
mod eventually;
mod negotiation;
mod peer;
mod proxy;
mod wire;
mod wiretap;
mod xml;

pub use acks::{OFFER, SM, h, is_request};
pub use component::{Component, SECRET};
pub use eventually::{NEVER, SOON, eventually, within};
pub use negotiation::offers_external;
pub use peer::{Listener, Peer, plays};
pub use proxy::{Proxy, Reset};
pub use wire::{Nothing, Wire, tls_context};
pub use wiretap::{Counted, Passed, Wiretap};
pub use xml::{Element, Event, Splitter};
