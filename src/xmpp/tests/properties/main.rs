//! What must hold for any bytes at all, tried on stanzas that were damaged at random.
//!
//! The damage is the same in every run. `NUNCIO_CASES=2000000 cargo test -p xmpp --test properties` tries more of it.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails that way, and helpers are part of tests"
)]

mod framer;
mod mutants;
mod stanza;

use bytes::BytesMut;
use xmpp::framer::{Element, Error, Frame, Framer, Limits};

/// The stream that the damaged stanzas come on.
const HEADER: &str = "<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' \
                      xmlns:db='jabber:server:dialback' from='a.example' to='b.example' version='1.0'>";

/// A framer that has taken the header.
fn framer_after_header() -> Framer {
    let mut framer = Framer::new(Limits::default());
    let header = framer.next(&mut BytesMut::from(HEADER));
    assert!(matches!(header, Ok(Some(Frame::Header(_)))), "{header:?}");
    framer
}

/// What the framer makes of the input after the header: one element and nothing else, or not.
fn frame(input: &[u8]) -> Result<Option<Element>, Error> {
    let mut framer = framer_after_header();
    let mut buffer = BytesMut::from(input);
    let first = framer.next(&mut buffer)?;
    let rest = framer.next(&mut buffer)?;
    match (first, rest) {
        (Some(Frame::Element(element)), None) if buffer.is_empty() => Ok(Some(element)),
        _ => Ok(None),
    }
}
