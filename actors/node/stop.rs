//! Stops a node in phases, so that no stanza is lost.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use actix::Handler;

use super::{LOG, Node};
use crate::{
    flow::account::Totals,
    relaying::cluster::{Leave, StopReceiving},
    routing::{journal, mailroom, promise, router},
    streams::{
        listener,
        outgoing::{self, Outgoing, Relay},
    },
};
use mailbox::{Queued, drain};

/// The time budget of each phase, as a part of the time that is left when the phase begins. A phase that needs less
/// leaves the rest to those after it.
mod budget {
    /// A part of the time that is left: numerator and denominator.
    pub(super) type Part = (u32, u32);

    /// For links and components to take what other nodes have lent, before it goes back to them.
    pub(super) const GIVE_BACK: Part = (1, 10);
    /// For sessions to write their outboxes, within the phase of the servers.
    pub(super) const FLUSH: Part = (1, 3);
    /// For servers to read their answers and close their streams.
    pub(super) const SERVERS: Part = (1, 2);
    /// For sessions to give back unwritten stanzas.
    pub(super) const ABANDON: Part = (1, 4);
    /// For the router to forward the answers to the components.
    pub(super) const ANSWERS: Part = (1, 2);
    /// For components to send their last stanzas, within the phase of the components.
    pub(super) const LAST_STANZAS: Part = (1, 2);
    /// For components to close their streams.
    pub(super) const COMPONENTS: Part = (3, 4);
    /// For the mailroom, the router, and then the promise, to process the last stanzas of the components.
    pub(super) const REST: Part = (1, 4);
    /// For sessions to write the last stanzas, within the phase of the links, which has all the time left.
    pub(super) const FINISH: Part = (3, 4);
}

/// The end of `shutdown_timeout`.
struct Deadline(Instant);

impl Deadline {
    fn left(&self) -> Duration {
        self.0.saturating_duration_since(clock::now())
    }

    fn part(&self, (numerator, denominator): budget::Part) -> Duration {
        self.left() / denominator * numerator
    }
}

impl Node {
    /// Stops the node within `shutdown_timeout`.
    ///
    /// First the intake ends: the listeners, then the streams of other servers. One with acks takes nothing more from this
    /// moment: its last ack follows when the router has taken all that was read before. Meanwhile the promise answers the
    /// stanzas that wait for a link, the mailroom those that wait for a component that is not connected, and the sessions
    /// empty their outboxes. Then the components close, after they got their answers. The
    /// sessions close last, so that the last stanzas of the components still go out.
    ///
    /// Returns the account of all stanzas at the end; `None` if the router does not give it.
    pub async fn drain(self) -> Option<Arc<Totals>> {
        let deadline = Deadline(clock::now() + self.settings.shutdown_timeout);
        for listener in self.servers.iter().chain(&self.components) {
            let _ = listener.signal(listener::Stop);
        }
        if let Some((journal, _)) = &self.journal {
            // Before it gets what is left for the next start.
            let _ = journal.signal(journal::TryAgain);
        }
        if let Some(cluster) = &self.cluster {
            // Before anything is answered here: what other nodes have lent is written, or goes back to them.
            let (within, (token, given_back)) = (deadline.part(budget::GIVE_BACK), drain::tokens());
            let _ = cluster.signal(StopReceiving { within, token });
            given_back.within(deadline.part(budget::GIVE_BACK)).await;
        }
        self.drain_servers(&deadline).await;
        // The answers are with the router. The components have to get them before they are asked to close.
        self.pass_router(deadline.part(budget::ANSWERS)).await;
        self.drain_components(&deadline).await;
        self.leave_all_in_journal();
        let (token, settled) = drain::tokens();
        let _ = self.router.signal(router::FinishSeats { within: deadline.part(budget::REST), token });
        settled.within(deadline.part(budget::REST)).await;
        // The mailroom answers what the components did not read.
        let (token, answered) = drain::tokens();
        let _ = self.mailroom.signal(mailroom::Drain { token });
        if !answered.within(deadline.part(budget::REST)).await {
            self.give_up_on_journal();
        }
        // The last stanzas of the components may still be with the router, or with the promise, which answers them.
        self.pass_router(deadline.part(budget::REST)).await;
        let (token, answered) = drain::tokens();
        let _ = self.promise.signal(promise::Drain { token });
        if !answered.within(deadline.part(budget::REST)).await {
            self.give_up_on_journal();
        }
        let (token, finished) = drain::tokens();
        self.signal_sessions(outgoing::Finish { within: deadline.part(budget::FINISH), token });
        if !finished.within(deadline.left()).await {
            log::warn!(target: LOG, "some links were not closed in time");
        }
        if let Some(cluster) = &self.cluster {
            let (token, left) = drain::tokens();
            let _ = cluster.signal(Leave { token });
            if !left.within(deadline.left().max(ACCOUNT)).await {
                log::warn!(target: LOG, "the other nodes could not be told in time that this one stops");
            }
        }
        if let Some((journal, _)) = &self.journal {
            let (token, closed) = drain::tokens();
            let _ = journal.signal(journal::Close { token });
            if !closed.within(deadline.left().max(ACCOUNT)).await {
                log::error!(target: LOG, "the journal could not be written in time");
            }
            let (token, counted) = drain::tokens();
            let _ = self.promise.signal(journal::Conclude { token: token.clone() });
            let _ = self.mailroom.signal(journal::Conclude { token });
            counted.within(deadline.left().max(ACCOUNT)).await;
        }
        let (token, logged) = drain::tokens();
        let _ = self.promise.signal(promise::LogUnsent { token });
        logged.within(deadline.left().max(ACCOUNT)).await;
        let (token, logged) = drain::tokens();
        let _ = self.router.signal(router::LogAccount { token });
        logged.within(deadline.left().max(ACCOUNT)).await;
        log::info!(target: LOG, "stopped");
        tokio::time::timeout(ACCOUNT, self.account()).await.ok().flatten()
    }

    /// Closes the streams of other servers, empties the outboxes and answers the stanzas that wait for a link.
    async fn drain_servers(&self, deadline: &Deadline) {
        let (token, answered) = drain::tokens();
        let _ = self.promise.signal(promise::Drain { token: token.clone() });
        let _ = self.mailroom.signal(mailroom::Drain { token: token.clone() });
        self.signal_sessions(outgoing::Flush { within: deadline.part(budget::FLUSH), token: token.clone() });
        if let Some(listener) = &self.servers {
            let within = deadline.part(budget::SERVERS);
            let _ = listener.signal(listener::Drain { within, token: token.clone() });
        }
        drop(token);
        if !answered.within(deadline.part(budget::SERVERS)).await {
            log::warn!(target: LOG, "some servers did not read, or did not close their streams, in time");
            let (token, given_back) = drain::tokens();
            self.signal_sessions(outgoing::Abandon { token });
            given_back.within(deadline.part(budget::ABANDON)).await;
            self.give_up_on_journal();
        }
    }

    /// Has the promise and the mailroom answer what they wanted to leave in the journal, if that has not confirmed by now
    /// that it has everything: the disk does not answer.
    fn give_up_on_journal(&self) {
        if self.journal.is_some() {
            let _ = self.promise.signal(journal::GiveUp);
            let _ = self.mailroom.signal(journal::GiveUp);
        }
    }

    /// Has the promise and the mailroom leave in the journal what comes from now on, although it may have been too slow before:
    /// the components do not read answers any more.
    fn leave_all_in_journal(&self) {
        if self.journal.is_some() {
            let _ = self.promise.signal(journal::LeaveAll);
            let _ = self.mailroom.signal(journal::LeaveAll);
        }
    }

    /// Closes the streams of the components.
    async fn drain_components(&self, deadline: &Deadline) {
        let (token, closed) = drain::tokens();
        if let Some(listener) = &self.components {
            let within = deadline.part(budget::LAST_STANZAS);
            let _ = listener.signal(listener::Drain { within, token: token.clone() });
        }
        drop(token);
        if !closed.within(deadline.part(budget::COMPONENTS)).await {
            log::warn!(target: LOG, "some components did not close their streams in time");
        }
    }

    fn signal_sessions<M>(&self, message: M)
    where
        M: Clone + Send + 'static,
        Outgoing: Handler<Queued<M>>,
        Relay: Handler<Queued<M>>,
    {
        let _ = self.router.signal(router::Broadcast(message));
    }

    /// Waits until the router has forwarded all stanzas that it has now.
    async fn pass_router(&self, within: Duration) {
        let (token, passed_on) = drain::tokens();
        let _ = self.router.signal(router::Acknowledge { token });
        passed_on.within(within).await;
    }
}

/// For the account, in the log and as the result, if `shutdown_timeout` is over.
const ACCOUNT: Duration = Duration::from_millis(100);
