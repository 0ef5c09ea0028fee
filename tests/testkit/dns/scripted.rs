//! Shorthands of tests. A server that does not start panics.

#![expect(clippy::panic, reason = "a test cannot go on without its DNS server")]

use super::{Reply, Server};

impl Server {
    /// Starts a server on loopback that answers questions such as `b.example SRV` with what `answers` returns.
    #[track_caller]
    pub fn scripted(answers: impl Fn(&str) -> Reply + Send + 'static) -> Self {
        let started = Self::start(([127, 0, 0, 1], 0).into(), move |question| answers(&question.to_string()));
        started.unwrap_or_else(|error| panic!("no DNS server on loopback: {error}"))
    }

    /// Starts a server on loopback that answers every question with `reply`.
    #[track_caller]
    pub fn always(reply: Reply) -> Self {
        Self::scripted(move |_| reply.clone())
    }
}
