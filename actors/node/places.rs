//! Places for short exchanges with clients: when all are taken, the oldest exchange has to end for a new one.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use tokio::sync::oneshot;

/// The exchanges that are under way, of the control socket or of one metrics port.
#[derive(Debug)]
pub struct Places {
    most: usize,
    next: u64,
    /// Those that were not asked to end, the oldest first.
    undisturbed: BTreeMap<u64, oneshot::Sender<()>>,
    /// Those that were asked to end.
    ending: VecDeque<u64>,
}

/// The place of one exchange.
#[derive(Debug)]
pub struct Place {
    /// To be given back with [`Places::leave`].
    pub number: u64,
    /// Completes when the exchange has to end, because a new client needs the place.
    pub ends: oneshot::Receiver<()>,
}

impl Places {
    /// As many places as `most`, and as many again for exchanges that are about to end.
    pub fn new(most: usize) -> Self {
        Self { most, next: 0, undisturbed: BTreeMap::new(), ending: VecDeque::new() }
    }

    /// A place for a new exchange. When all are taken, the oldest exchange is asked to end. `None`: too many that were
    /// asked have not ended yet.
    pub fn enter(&mut self) -> Option<Place> {
        if self.undisturbed.len() >= self.most {
            if self.ending.len() >= self.most {
                return None;
            }
            let (oldest, ends) = self.undisturbed.pop_first()?;
            self.ending.push_back(oldest);
            // One that has just ended says so.
            let _ = ends.send(());
        }
        let number = self.next;
        self.next += 1;
        let (end, ends) = oneshot::channel();
        self.undisturbed.insert(number, end);
        Some(Place { number, ends })
    }

    /// Gives a place back.
    pub fn leave(&mut self, number: u64) {
        self.undisturbed.remove(&number);
        self.ending.retain(|ending| *ending != number);
    }
}

/// Waits for a client for as long as its place is not needed. `None`: it is needed.
pub async fn unless_needed<T>(
    ends: &mut oneshot::Receiver<()>,
    client: impl Future<Output = T>,
) -> Option<T> {
    tokio::select! {
        // What the client has sent counts.
        biased;
        came = client => Some(came),
        _ = ends => None,
    }
}

/// Writes an answer. Once the place is needed, there is only a moment left for it.
pub async fn soon_if_needed<T>(
    ends: &mut oneshot::Receiver<()>,
    write: impl Future<Output = T>,
) -> Option<T> {
    tokio::pin!(write);
    if !ends.is_terminated()
        && let Some(written) = unless_needed(ends, &mut write).await
    {
        return Some(written);
    }
    tokio::time::timeout(LAST_MOMENT, write).await.ok()
}

/// How long a client may take to read an answer when other clients need its place.
const LAST_MOMENT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_exchange_ends_the_oldest_one() {
        let mut places = Places::new(2);
        let [mut first, mut second] = [(), ()].map(|()| places.enter().unwrap());
        assert!(first.ends.try_recv().is_err());
        let mut third = places.enter().unwrap();
        assert!(first.ends.try_recv().is_ok());
        assert!(second.ends.try_recv().is_err() && third.ends.try_recv().is_err());
    }

    #[test]
    fn those_that_do_not_end_are_bounded_too() {
        let mut places = Places::new(2);
        let taken: Vec<Place> = std::iter::from_fn(|| places.enter()).take(100).collect();
        assert_eq!(taken.len(), 4);
        places.leave(taken[0].number);
        assert!(places.enter().is_some());
        assert!(places.enter().is_none());
    }

    #[test]
    fn places_are_given_back() {
        let mut places = Places::new(2);
        for _ in 0..10 {
            let mut place = places.enter().unwrap();
            assert!(place.ends.try_recv().is_err());
            places.leave(place.number);
        }
        assert!(places.undisturbed.is_empty() && places.ending.is_empty());
    }
}
