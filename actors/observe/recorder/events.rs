//! The last events of one domain, of which claims can displace claims only.

use std::collections::VecDeque;

use super::reserved;
use status::event::{Event, EventKind};

/// The last events of a domain, the oldest first.
#[derive(Default)]
pub(super) struct Events {
    events: VecDeque<Recorded>,
}

struct Recorded {
    /// An unauthenticated peer caused it.
    claimed: bool,
    event: Event,
}

impl Events {
    /// Appends an event. Bounces with the same reason share one event, which counts them.
    ///
    /// At most `places` events are kept. Claims use the places that other events leave free, at least
    /// [`reserved`] ones. If there is none left, the claim is dropped.
    pub(super) fn enter(&mut self, event: Event, claimed: bool, places: usize) {
        if let Some(known) = self.take_repeated(&event) {
            let (at, count) = (known.at, known.count.saturating_add(event.count));
            self.events.push_back(Recorded { claimed, event: Event { at, count, ..event } });
            return;
        }
        let others = self.events.iter().filter(|known| !known.claimed).count();
        let others_full = others >= places - reserved(places);
        if self.events.len() >= places || (!claimed && others_full) {
            let displaced = claimed || !others_full;
            let Some(oldest) = self.events.iter().position(|known| known.claimed == displaced) else {
                return;
            };
            self.events.remove(oldest);
        }
        self.events.push_back(Recorded { claimed, event });
    }

    /// The events, the oldest first.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Event> {
        self.events.iter().map(|known| &known.event)
    }

    /// Takes the event with which this one shares a place.
    fn take_repeated(&mut self, event: &Event) -> Option<Event> {
        if event.what != EventKind::Bounced {
            return None;
        }
        let place = self.events.iter().rposition(|known| known.event.repeats(event))?;
        self.events.remove(place).map(|known| known.event)
    }
}
