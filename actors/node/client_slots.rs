//! Slots for short exchanges with clients. If all are taken, a new client ends the oldest exchange.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use tokio::sync::oneshot;

/// The slots of the control socket or of one metrics port.
#[derive(Debug)]
pub(super) struct Slots {
    most: usize,
    next: u64,
    /// Exchanges that were not asked to end, the oldest first.
    active: BTreeMap<u64, oneshot::Sender<()>>,
    /// Exchanges that were asked to end.
    ending: VecDeque<u64>,
}

/// The slot of one exchange.
#[derive(Debug)]
pub(super) struct Slot {
    /// For [`Slots::release`].
    pub(super) number: u64,
    /// Completes when the exchange has to end because a new client needs the slot.
    pub(super) ends: oneshot::Receiver<()>,
}

impl Slots {
    /// `most` slots, and as many again for exchanges that are ending.
    pub(super) fn new(most: usize) -> Self {
        Self { most, next: 0, active: BTreeMap::new(), ending: VecDeque::new() }
    }

    /// Takes a slot. If all are taken, the oldest exchange is asked to end. `None` if too many exchanges that were asked
    /// have not ended yet.
    pub(super) fn acquire(&mut self) -> Option<Slot> {
        if self.active.len() >= self.most {
            if self.ending.len() >= self.most {
                return None;
            }
            let (oldest, ends) = self.active.pop_first()?;
            self.ending.push_back(oldest);
            // The exchange may have ended meanwhile.
            let _ = ends.send(());
        }
        let number = self.next;
        self.next += 1;
        let (end, ends) = oneshot::channel();
        self.active.insert(number, end);
        Some(Slot { number, ends })
    }

    /// Releases a slot.
    pub(super) fn release(&mut self, number: u64) {
        self.active.remove(&number);
        self.ending.retain(|ending| *ending != number);
    }
}

/// Waits for a client until a new client needs its slot; `None` in that case.
pub(super) async fn unless_needed<T>(
    ends: &mut oneshot::Receiver<()>,
    client: impl Future<Output = T>,
) -> Option<T> {
    tokio::select! {
        // Data that has arrived takes precedence.
        biased;
        done = client => Some(done),
        _ = ends => None,
    }
}

/// Writes an answer. When a new client needs the slot, [`GRACE`] is left for it.
pub(super) async fn write_answer<T>(
    ends: &mut oneshot::Receiver<()>,
    write: impl Future<Output = T>,
) -> Option<T> {
    tokio::pin!(write);
    if !ends.is_terminated()
        && let Some(written) = unless_needed(ends, &mut write).await
    {
        return Some(written);
    }
    tokio::time::timeout(GRACE, write).await.ok()
}

/// The time a client has to read an answer when a new client needs its slot.
const GRACE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_exchange_ends_the_oldest_one() {
        let mut slots = Slots::new(2);
        let [mut first, mut second] = [(), ()].map(|()| slots.acquire().unwrap());
        assert!(first.ends.try_recv().is_err());
        let mut third = slots.acquire().unwrap();
        assert!(first.ends.try_recv().is_ok());
        assert!(second.ends.try_recv().is_err() && third.ends.try_recv().is_err());
    }

    #[test]
    fn exchanges_that_do_not_end_are_bounded_too() {
        let mut slots = Slots::new(2);
        let taken: Vec<Slot> = std::iter::from_fn(|| slots.acquire()).take(100).collect();
        assert_eq!(taken.len(), 4);
        slots.release(taken[0].number);
        assert!(slots.acquire().is_some());
        assert!(slots.acquire().is_none());
    }

    #[test]
    fn slots_are_released() {
        let mut slots = Slots::new(2);
        for _ in 0..10 {
            let mut slot = slots.acquire().unwrap();
            assert!(slot.ends.try_recv().is_err());
            slots.release(slot.number);
        }
        assert!(slots.active.is_empty() && slots.ending.is_empty());
    }
}
