//! When the peer is asked for an acknowledgement: at most one request is outstanding.
//!
//! What is unacknowledged when a link is lost has most often arrived, and only a peer that resumes streams can
//! say so. Such a peer is asked once in a second or in many stanzas. Any other peer is asked with each chunk,
//! so that little is unacknowledged at any moment.

use std::time::{Duration, Instant};

/// The requests on one stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rhythm {
    pace: Pace,
    /// When the request was sent that is not answered yet.
    asked: Option<Instant>,
    /// Stanzas that were sent since the last request, and their weight.
    stanzas: usize,
    weight: usize,
    /// A request is due whatever was sent.
    is_due: bool,
}

/// How often the peer is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// Not at all: it has not confirmed yet that it acknowledges stanzas.
    Unconfirmed,
    /// With each chunk.
    Tight,
    /// After many stanzas, and by [`Rhythm::make_due`].
    Relaxed,
}

impl Rhythm {
    pub(super) fn new() -> Self {
        Self { pace: Pace::Unconfirmed, asked: None, stanzas: 0, weight: 0, is_due: false }
    }

    pub(super) fn pace(&self) -> Pace {
        self.pace
    }

    pub(super) fn set_pace(&mut self, pace: Pace) {
        self.pace = pace;
    }

    /// Stanzas of this weight are sent with the next chunk.
    pub(super) fn sent(&mut self, stanzas: usize, weight: usize) {
        self.stanzas += stanzas;
        self.weight += weight;
    }

    /// Has the next chunk end with a request.
    pub(super) fn make_due(&mut self) {
        self.is_due = true;
    }

    /// Takes the request that belongs at the end of this chunk, if one does.
    pub(super) fn take_request(&mut self, window: usize, now: Instant) -> bool {
        let wants = match self.pace {
            Pace::Unconfirmed => false,
            Pace::Tight => self.is_due || self.stanzas > 0,
            Pace::Relaxed => self.is_due || self.stanzas >= MANY || self.weight >= window / 4,
        };
        let asks = wants && self.asked.is_none();
        if asks {
            *self = Self { pace: self.pace, asked: Some(now), ..Self::new() };
        }
        asks
    }

    /// The peer has answered. Gives the time since the request.
    pub(super) fn answered(&mut self, now: Instant) -> Option<Duration> {
        self.asked.take().map(|asked| now.saturating_duration_since(asked))
    }

    /// When the request was sent that is not answered yet.
    pub(super) fn asked(&self) -> Option<Instant> {
        self.asked
    }
}

/// Stanzas after which a peer that resumes streams is asked.
const MANY: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: usize = 1000;

    fn rhythm(pace: Pace) -> (Rhythm, Instant) {
        let mut rhythm = Rhythm::new();
        rhythm.set_pace(pace);
        (rhythm, clock::now())
    }

    #[test]
    fn a_peer_that_does_not_resume_is_asked_with_each_chunk_one_request_at_a_time() {
        let (mut rhythm, now) = rhythm(Pace::Tight);
        assert!(!rhythm.take_request(WINDOW, now), "nothing was sent");
        rhythm.sent(1, 10);
        assert!(rhythm.take_request(WINDOW, now));
        rhythm.sent(1, 10);
        assert!(!rhythm.take_request(WINDOW, now), "one is outstanding");
        assert_eq!(rhythm.answered(now + Duration::from_secs(2)), Some(Duration::from_secs(2)));
        assert!(rhythm.take_request(WINDOW, now));
        rhythm.answered(now);
        assert!(!rhythm.take_request(WINDOW, now), "it covers everything");
    }

    #[test]
    fn a_peer_that_resumes_is_asked_after_many_stanzas_or_a_quarter_of_the_window_or_when_it_is_due() {
        let (mut rhythm, now) = rhythm(Pace::Relaxed);
        rhythm.sent(MANY - 1, 10);
        assert!(!rhythm.take_request(WINDOW, now));
        rhythm.sent(1, 1);
        assert!(rhythm.take_request(WINDOW, now));
        rhythm.answered(now);
        rhythm.sent(1, WINDOW / 4);
        assert!(rhythm.take_request(WINDOW, now));
        rhythm.make_due();
        assert!(!rhythm.take_request(WINDOW, now), "one is outstanding");
        rhythm.answered(now);
        assert!(rhythm.take_request(WINDOW, now));
        rhythm.answered(now);
        assert!(!rhythm.take_request(WINDOW, now));
    }

    #[test]
    fn a_peer_that_has_not_confirmed_is_asked_nothing_until_it_does() {
        let (mut rhythm, now) = rhythm(Pace::Unconfirmed);
        rhythm.sent(MANY, WINDOW);
        rhythm.make_due();
        assert!(!rhythm.take_request(WINDOW, now));
        rhythm.set_pace(Pace::Tight);
        assert!(rhythm.take_request(WINDOW, now));
    }
}
