//! Commands of an operator: show the queues, and try a remote domain again now.

use std::cmp::Reverse;

use actix::{Context, Handler};
use xmpp::{Domain, DomainPair};

use super::{LOG, Promise, Retried, Retry, Show, Shown, State, pairs::Pair, schedule::Pause};
use mailbox::Queued;
use status::{
    amount::Amount,
    event::{Event, EventKind},
    report::{self, QueueState, Seconds, Time},
    smallest::smallest,
};

impl Promise {
    fn show(&self, show: &Show) -> (Vec<report::QueueReport>, usize, Amount) {
        let (mut total, mut waiting) = (0, Amount::default());
        let pairs = self.pairs_of(show).map(|(pair, _)| {
            let amount = self.waiting.amount(pair);
            total += 1;
            waiting = waiting.plus(amount);
            (Reverse(amount.stanzas), &pair.remote, &pair.local)
        });
        let shown = smallest(pairs, show.limit);
        let queues = shown.into_iter().filter_map(|(_, remote, local)| {
            let pair = DomainPair { local: local.clone(), remote: remote.clone() };
            self.pairs.get(&pair).map(|known| self.report(&pair, known))
        });
        (queues.collect(), total, waiting)
    }

    fn attempts(&self, show: &Show) -> Vec<(DomainPair, Time)> {
        let attempted = self.pairs_of(show).filter(|(_, known)| matches!(known.state, State::Attempting(_)));
        attempted.take(show.limit).map(|(pair, known)| (pair.clone(), Time::of(known.since))).collect()
    }

    fn pairs_of<'a>(&'a self, show: &'a Show) -> impl Iterator<Item = (&'a DomainPair, &'a Pair)> {
        self.pairs.iter().filter(|(pair, _)| show.of.as_ref().is_none_or(|of| *of == pair.remote))
    }

    fn report(&self, pair: &DomainPair, known: &Pair) -> report::QueueReport {
        let (state, next_attempt) = match known.state {
            State::AwaitingSlot { .. } => (QueueState::Turn, None),
            State::Claiming { .. } => (QueueState::Claim, None),
            State::Attempting(_) => (QueueState::Attempt, None),
            State::HandingOver(_) => (QueueState::Handover, None),
            State::Slow(_) => (QueueState::Slow, None),
            State::AwaitingReturn => (QueueState::Return, None),
            State::Pausing => match self.schedule.pause_of(pair) {
                Some(Pause { ends, in_retries: false }) => (QueueState::Pause, Some(Seconds::until(ends))),
                _ => (QueueState::Turn, None),
            },
        };
        let address = self.dial.address(&pair.remote).map(|address| address.to_string());
        report::QueueReport {
            node: None,
            local: pair.local.to_string(),
            remote: pair.remote.to_string(),
            state,
            waiting: self.waiting.amount(pair),
            open: self.waiting.open_amount(pair),
            kept: self.waiting.stored(pair) as u64,
            on_disk: self.waiting.on_disk(pair),
            oldest: self.waiting.oldest(pair).map(Seconds::since),
            next_attempt,
            failures: self.schedule.failures(pair),
            trouble: self.schedule.last_failure(pair).map(|failure| failure.report(pair, address.as_deref())),
        }
    }

    /// Starts an attempt for every pair in a pause for which something waits; if there is none, for one pair.
    fn retry(&mut self, remote: &Domain) -> Retried {
        let (mut paused, mut under_way) = (Vec::new(), Vec::new());
        for pair in self.pairs.with_remote(remote) {
            match self.pairs.state(&pair) {
                Some(State::Pausing) => paused.push((self.waiting.queued(&pair) == 0, pair)),
                _ => under_way.push(pair),
            }
        }
        paused.sort();
        let one_at_least = |(nth, (idle, _)): &(usize, (bool, DomainPair))| *nth == 0 || !idle;
        let begun: Vec<DomainPair> =
            paused.into_iter().enumerate().filter(one_at_least).map(|(_, (_, pair))| pair).collect();
        for pair in &begun {
            log::info!(target: LOG, pair:% = pair; "an operator ended the pause: retrying now");
            self.record(pair, Event::now(EventKind::Retried));
            // If this attempt fails, the next pause is a short one.
            self.schedule.set_failures(pair, 0);
            self.begin(pair, true);
        }
        Retried { begun, under_way }
    }
}

impl Handler<Queued<Show>> for Promise {
    type Result = ();

    fn handle(&mut self, show: Queued<Show>, _: &mut Context<Self>) {
        let show = show.into_message();
        let (queues, total, waiting) = self.show(&show);
        let permitted = show.of.as_ref().is_none_or(|of| self.dial.permits(of));
        let attempts = self.attempts(&show);
        // The receiver may be gone.
        let _ = show.answer.send(Shown { queues, total, attempts, waiting, permitted });
    }
}

impl Handler<Queued<Retry>> for Promise {
    type Result = ();

    fn handle(&mut self, retry: Queued<Retry>, _: &mut Context<Self>) {
        let Retry { remote, answer } = retry.into_message();
        let retried = if self.stopping {
            Retried { begun: Vec::new(), under_way: Vec::new() }
        } else {
            self.retry(&remote)
        };
        // The receiver may be gone.
        let _ = answer.send(retried);
    }
}
