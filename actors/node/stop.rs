//! The end of a node, so that nothing is lost.

use std::time::Duration;

use super::{LOG, Node};
use crate::{
    routing::{promise, router},
    streams::listener,
};
use mailbox::drain;

impl Node {
    /// Stops gracefully, within `shutdown_timeout`.
    ///
    /// First what is taken in ends: listeners, then the streams of other servers, while what waits for a link is
    /// answered and sessions empty their outboxes. Then the components, which have had their answers. Last the sessions:
    /// what components sent until their own closing tag still goes out.
    pub async fn drain(self) {
        let end = clock::now() + self.settings.shutdown_timeout;
        let left = || end.saturating_duration_since(clock::now());
        for listener in self.servers.iter().chain(&self.components) {
            let _ = listener.signal(listener::Stop);
        }
        let (token, answered) = drain::tokens();
        let _ = self.promise.signal(promise::Drain { token: token.clone() });
        let _ = self.router.signal(router::Flush { within: left() / 3, token: token.clone() });
        if let Some(listener) = &self.servers {
            let _ = listener.signal(listener::Drain { within: left() / 2, token: token.clone() });
        }
        drop(token);
        if !answered.within(left() / 2).await {
            log::warn!(target: LOG, "some servers did not read, or close their streams, in time");
            let (token, given_back) = drain::tokens();
            let _ = self.router.signal(router::Abandon { token });
            given_back.within(left() / 4).await;
        }
        // The answers are with the router; they have to reach the components before word of the end does.
        let (token, passed_on) = drain::tokens();
        let _ = self.router.signal(router::Acknowledge { token });
        passed_on.within(left() / 2).await;
        let (token, closed) = drain::tokens();
        if let Some(listener) = &self.components {
            let _ = listener.signal(listener::Drain { within: left() / 2, token: token.clone() });
        }
        drop(token);
        if !closed.within(left() / 4 * 3).await {
            log::warn!(target: LOG, "some components did not close their streams in time");
        }
        // What they said last may be with the router still, or by now with the promise, which answers it.
        let (token, passed_on) = drain::tokens();
        let _ = self.router.signal(router::Acknowledge { token });
        passed_on.within(left() / 4).await;
        let (token, answered) = drain::tokens();
        let _ = self.promise.signal(promise::Drain { token });
        answered.within(left() / 4).await;
        let (token, finished) = drain::tokens();
        let _ = self.router.signal(router::Finish { within: left() / 4 * 3, token });
        if !finished.within(left()).await {
            log::warn!(target: LOG, "some links could not be closed in time");
        }
        let (token, logged) = drain::tokens();
        let _ = self.router.signal(router::LogAccount { token });
        logged.within(left().max(LAST_WORDS)).await;
        log::info!(target: LOG, "stopped");
    }
}

/// For the account's last line, should nothing be left of `shutdown_timeout`.
const LAST_WORDS: Duration = Duration::from_millis(100);
