//! Counts numbered messages at their destination.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Plan;
use crate::support::{Component, Element, SOON};

/// What arrived of the messages 0, 1, 2 … .
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// How often each number arrived.
    times: Vec<usize>,
    /// The number of the last message that arrived for the first time.
    last: Option<usize>,
    /// Messages that arrived for the first time after one with a higher number.
    pub(crate) out_of_order: usize,
    /// Messages that had arrived before.
    pub(crate) repeats: usize,
    /// Of these, the ones without a delay stamp (XEP-0203).
    pub(crate) unstamped: usize,
    /// Different messages.
    pub(crate) arrived: usize,
    /// The same, for the sender.
    progress: Arc<AtomicUsize>,
}

impl Tally {
    /// For so many messages.
    pub(crate) fn of(messages: usize) -> Self {
        Self { times: vec![0; messages], ..Self::default() }
    }

    /// The number of different messages that have arrived, as it grows.
    pub(crate) fn progress(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.progress)
    }

    /// Counts a message.
    #[track_caller]
    pub(crate) fn takes(&mut self, message: &Element) {
        assert!(message.name == "message" && message.attribute("type") != "error", "{message}");
        let number: usize = message.attribute("id").parse().expect("a number");
        let times = self.times.get_mut(number).unwrap_or_else(|| panic!("not sent: {message}"));
        *times += 1;
        if *times > 1 {
            self.repeats += 1;
            let stamped = message.child("delay").is_some_and(|delay| delay.namespace == "urn:xmpp:delay");
            self.unstamped += usize::from(!stamped);
            return;
        }
        self.arrived += 1;
        self.progress.store(self.arrived, Ordering::SeqCst);
        self.out_of_order += usize::from(self.last.is_some_and(|last| number < last));
        self.last = self.last.max(Some(number));
    }

    /// Waits until so many different messages have arrived. Fails the test if none arrives for [`SOON`].
    #[track_caller]
    pub(crate) fn waits_for(&mut self, receiver: &mut Component, enough: usize) {
        while self.arrived < enough {
            match receiver.next(SOON) {
                Some(message) => self.takes(&message),
                None => panic!("{} of {enough} arrived: {:?} are missing", self.arrived, self.missing()),
            }
        }
    }

    /// Waits until the message with that number or a later one has arrived: some before it may be lost or answered.
    #[track_caller]
    pub(crate) fn waits_for_number(&mut self, receiver: &mut Component, number: usize) {
        while self.last.is_none_or(|last| last < number) {
            let last = self.last;
            let message = receiver.next(SOON);
            self.takes(&message.unwrap_or_else(|| panic!("{number} or a later one, after {last:?}")));
        }
    }

    /// Waits until all messages of the plan have arrived, and cuts the link in between.
    #[track_caller]
    pub(crate) fn waits_and_cuts(&mut self, receiver: &mut Component, plan: Plan, mut cut: impl FnMut()) {
        for number in 0..plan.cuts {
            self.waits_for(receiver, plan.cut(number));
            cut();
        }
        self.waits_for(receiver, plan.messages);
    }

    /// Runs of messages that did not arrive: the first, and how many.
    pub(crate) fn missing(&self) -> Vec<(usize, usize)> {
        let missing: Vec<usize> = (0..self.times.len()).filter(|number| self.times[*number] == 0).collect();
        missing.chunk_by(|one, next| one + 1 == *next).map(|run| (run[0], run.len())).collect()
    }

    /// Whether that message arrived.
    pub(crate) fn has(&self, number: usize) -> bool {
        self.times[number] > 0
    }

    /// Checks that every message arrived once, in order.
    #[track_caller]
    pub(crate) fn is_exact(&self) {
        let Self { repeats, out_of_order, .. } = self;
        let missing = self.missing();
        assert!(missing.is_empty(), "lost (from, how many): {missing:?}");
        assert_eq!((*repeats, *out_of_order), (0, 0), "twice, and out of order");
    }

    /// Checks that every message arrived, and that each repeated one has a stamp.
    #[track_caller]
    pub(crate) fn is_complete(&self) {
        let missing = self.missing();
        assert!(missing.is_empty(), "lost (from, how many): {missing:?}");
        assert_eq!(self.unstamped, 0, "repeated without a stamp, of {}", self.repeats);
    }
}
