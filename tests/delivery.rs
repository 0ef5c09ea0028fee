//! Delivery over links that are cut, and to servers that stop: nothing is lost, and what may come twice is marked. The long
//! tests run the same with more messages and more cuts.

mod components;
mod nuncio;
mod others;
mod prosody;
mod restarts;
mod tally;

use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

pub(crate) use self::nuncio::{both_ways_between_two_nodes, to_a_slow_component};
pub(crate) use self::prosody::{from_prosody, to_prosody};
pub(crate) use self::restarts::{End, of_a_node, of_prosody};
pub(crate) use self::tally::Tally;
use crate::support::{Component, Proxy, SOON, Setup};

/// The size of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Numbered messages.
    pub(crate) messages: usize,
    /// Interruptions, evenly spread over the messages.
    pub(crate) cuts: usize,
}

/// The size in the normal run.
const SHORT: Plan = Plan { messages: 3_000, cuts: 2 };

impl Plan {
    /// The number of messages that have arrived when the link is cut: in the middle of each part.
    fn cut(self, number: usize) -> usize {
        self.messages * (2 * number + 1) / (2 * self.cuts + 1)
    }
}

/// A node that keeps all that a test sends, and dials again soon.
fn patient(domain: &str) -> Setup {
    Setup::of(domain)
        .set("promise.backoff", "[\"50ms\", \"200ms\"]")
        .set("promise.max_stanzas", "100000")
        .set("promise.max_bytes", "\"128 MiB\"")
        .set("absence.max_stanzas", "100000")
        .set("absence.max_bytes", "\"256 MiB\"")
        .set("absence.total_bytes", "\"512 MiB\"")
        .set("s2s.ack_timeout", "\"2s\"")
        .set("shutdown_timeout", "\"60s\"")
}

/// The block of a configuration that leads to `domain` through the proxy.
fn through(proxy: &Proxy, domain: &str) -> String {
    format!("[[remote]]\nname = \"{domain}\"\naddress = \"{}:5269\"\n", proxy.address())
}

/// Sends numbered messages, [`EVERY`] interval one, from the number `first` on; `body` is their text.
fn floods(sender: &Component, to: &str, first: usize, count: usize, body: &str) -> JoinHandle<usize> {
    let (from, to, body) = (sender.name().to_owned(), to.to_owned(), body.to_owned());
    sender.floods_evenly(count, EVERY, move |number| {
        let id = first + number;
        format!("<message from='a@{from}' to='b@{to}' id='{id}'><body>{body}</body></message>")
    })
}

/// Sends numbered messages like [`floods`], but no more than `in_flight` beyond those that have arrived: the queue of a busy
/// machine is not the window of the link.
pub(crate) fn floods_in_step(
    sender: &Component,
    to: &str,
    count: usize,
    tally: &Tally,
    in_flight: usize,
) -> JoinHandle<usize> {
    let (from, to, arrived) = (sender.name().to_owned(), to.to_owned(), tally.progress());
    sender.floods_evenly(count, EVERY, move |number| {
        let deadline = Instant::now() + SOON;
        while number >= arrived.load(Ordering::SeqCst) + in_flight {
            assert!(Instant::now() < deadline, "the messages before {number} do not arrive");
            thread::sleep(EVERY / 5);
        }
        format!("<message from='a@{from}' to='b@{to}' id='{number}'><body/></message>")
    })
}

/// 2,000 messages a second. A slow machine sends fewer.
const EVERY: Duration = Duration::from_micros(500);
