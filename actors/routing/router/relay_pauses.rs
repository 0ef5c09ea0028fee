//! The pauses before the relays of a component that follow each other at once, because the other node gives back what it gets.

use std::time::{Duration, Instant};

/// The pauses of one component.
#[derive(Debug, Default)]
pub(super) struct RelayPauses {
    /// The last one, and when it began.
    last: Option<(Instant, Duration)>,
}

impl RelayPauses {
    /// A relay has ended, and another one follows: the time before that gets stanzas.
    pub(super) fn next(&mut self, now: Instant) -> Duration {
        let last = self.last.filter(|(at, _)| now.saturating_duration_since(*at) < FORGET);
        let pause = last.map_or(FIRST, |(_, pause)| (pause * 2).min(LONGEST));
        self.last = Some((now, pause));
        pause
    }

    /// The cluster says something new about the component.
    pub(super) fn forget(&mut self) {
        self.last = None;
    }
}

/// The first pause. Nodes learn within milliseconds that a component has moved, one sooner than the other.
const FIRST: Duration = Duration::from_millis(50);

/// The longest. It doubles up to this, so that little is sent to and fro while a node knows less than the other for long.
const LONGEST: Duration = Duration::from_secs(1);

/// A relay that lasts so long has a node that takes its stanzas.
const FORGET: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_second_until_there_is_news_or_a_relay_lasts() {
        let (mut pauses, mut now) = (RelayPauses::default(), clock::now());
        let mut pause = |pauses: &mut RelayPauses, passed: Duration| {
            now += passed;
            pauses.next(now).as_millis()
        };
        let second = Duration::from_secs(1);
        let doubled: Vec<u128> = (0..7).map(|_| pause(&mut pauses, second)).collect();
        assert_eq!(doubled, [50, 100, 200, 400, 800, 1000, 1000]);
        pauses.forget();
        assert_eq!(pause(&mut pauses, second), 50);
        assert_eq!(pause(&mut pauses, second), 100);
        assert_eq!(pause(&mut pauses, FORGET), 50);
    }
}
