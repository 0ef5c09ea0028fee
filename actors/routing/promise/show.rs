//! What an operator asks of the promise: what waits, and to try again at once.

use std::cmp::Reverse;

use actix::{Context, Handler};
use xmpp::DomainPair;

use super::{Pair, Promise, Retried, Retry, Show, Shown, State};
use crate::flow::batch::Batch;
use mailbox::Queued;
use status::{
    amount::Amount,
    event::{Event, What},
    report::{self, Seconds, Time, Wait},
    smallest::smallest,
};

impl Promise {
    fn show(&self, show: &Show) -> (Vec<report::Queue>, usize, Amount) {
        let wanted = |key: &&DomainPair| show.of.as_ref().is_none_or(|of| *of == key.remote);
        let (mut total, mut waiting) = (0, Amount::default());
        let keys = self.pairs.iter().filter(|(key, _)| wanted(key)).map(|(key, pair)| {
            let amount = pair.waiting();
            total += 1;
            waiting = waiting.plus(amount);
            (Reverse(amount.stanzas), &key.remote, &key.local)
        });
        let shown = smallest(keys, show.limit);
        let queues = shown.into_iter().filter_map(|(_, remote, local)| {
            let key = DomainPair { local: local.clone(), remote: remote.clone() };
            self.pairs.get(&key).map(|pair| self.report(&key, pair))
        });
        (queues.collect(), total, waiting)
    }

    fn attempts(&self, show: &Show) -> Vec<(DomainPair, Time)> {
        let wanted = |key: &DomainPair| show.of.as_ref().is_none_or(|of| *of == key.remote);
        let attempted =
            self.pairs.iter().filter(|(key, pair)| matches!(pair.state, State::Attempting(_)) && wanted(key));
        attempted.take(show.limit).map(|(key, pair)| (key.clone(), Time::of(pair.since))).collect()
    }

    fn report(&self, key: &DomainPair, pair: &Pair) -> report::Queue {
        let (state, next_attempt) = match pair.state {
            State::AwaitingTurn => (Wait::Turn, None),
            State::Attempting(_) => (Wait::Attempt, None),
            State::HandingOver(_) => (Wait::Handover, None),
            State::AwaitingReturn => (Wait::Return, None),
            State::Pausing { .. } if pair.in_line => (Wait::Turn, None),
            State::Pausing { until } => (Wait::Pause, Some(Seconds::until(until))),
        };
        report::Queue {
            local: key.local.to_string(),
            remote: key.remote.to_string(),
            state,
            waiting: pair.waiting(),
            oldest: pair.queue.oldest().map(Seconds::since),
            next_attempt,
            failures: pair.failures,
            trouble: pair.failure.as_ref().map(|failure| failure.trouble(key)),
        }
    }

    /// Begins an attempt for every pair that has something waiting, or for one if none has.
    fn retry(&mut self, remote: &xmpp::Domain) -> Retried {
        let (mut paused, mut under_way) = (Vec::new(), Vec::new());
        for key in self.remotes.get(remote).into_iter().flatten() {
            match self.pairs.get(key) {
                Some(Pair { state: State::Pausing { .. }, queue, .. }) => {
                    paused.push((queue.is_empty(), key.clone()));
                }
                Some(_) => under_way.push(key.clone()),
                None => {}
            }
        }
        paused.sort();
        let one_at_least = |(nth, (idle, _)): &(usize, (bool, DomainPair))| *nth == 0 || !idle;
        let begun: Vec<DomainPair> =
            paused.into_iter().enumerate().filter(one_at_least).map(|(_, (_, key))| key).collect();
        for key in &begun {
            log::info!(target: super::LOG, pair:% = key; "an operator ends the pause: trying again at once");
            self.note(key, Event::now(What::Retried));
            // Whoever asks for an attempt does not want to wait longer for the next.
            if let Some(pair) = self.pairs.get_mut(key) {
                pair.failures = 0;
                pair.asked = true;
            }
            self.begin(key);
        }
        Retried { begun, under_way }
    }
}

impl Pair {
    /// What waits: in the queue, and outside of it because it is full.
    fn waiting(&self) -> Amount {
        let queued = Amount { stanzas: self.queue.len() as u64, bytes: self.queue.bytes() as u64 };
        self.overflow.iter().map(Batch::amount).fold(queued, Amount::plus)
    }
}

impl Handler<Queued<Show>> for Promise {
    type Result = ();

    fn handle(&mut self, show: Queued<Show>, _: &mut Context<Self>) {
        let show = show.open();
        let (queues, total, waiting) = self.show(&show);
        let permitted = show.of.as_ref().is_none_or(|of| self.dial.permits(of));
        let attempts = self.attempts(&show);
        // Whoever asked may have given up.
        let _ = show.answer.send(Shown { queues, total, attempts, waiting, permitted });
    }
}

impl Handler<Queued<Retry>> for Promise {
    type Result = ();

    fn handle(&mut self, retry: Queued<Retry>, _: &mut Context<Self>) {
        let Retry { remote, answer } = retry.open();
        let retried = if self.stopping {
            Retried { begun: Vec::new(), under_way: Vec::new() }
        } else {
            self.retry(&remote)
        };
        let _ = answer.send(retried);
    }
}
