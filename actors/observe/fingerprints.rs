//! Remembers which certificate each remote domain showed last, and tells the operator when it shows another (RFC 7590
//! section 3.6). It takes no part in trust: certificates are renewed, and what one is worth the policy says.
//!
//! Only domains that were authenticated are remembered, so that nobody else can fill the memory or cry wolf.

use std::{collections::HashMap, sync::Arc, time::Instant};

use actix::{Actor, Context, Handler};
use xmpp::Domain;

use crate::observe::recorder::RecorderHandle;
use mailbox::{Meter, Queued};
use status::{
    event::{Event, EventKind},
    report::Direction,
};

/// An authenticated remote domain showed this certificate.
#[derive(Debug)]
pub struct Saw {
    /// Whose.
    pub remote: Domain,
    /// The link: a domain may show one certificate where it listens and another where it dials.
    pub side: Direction,
    /// SHA-256, lower-case hex.
    pub fingerprint: String,
}

/// The actor that remembers.
pub struct Fingerprints {
    seen: HashMap<(Domain, Direction), Seen>,
    notes: RecorderHandle,
    meter: Arc<Meter>,
}

/// What was shown last.
#[derive(Debug)]
struct Seen {
    fingerprint: String,
    at: Instant,
}

impl Fingerprints {
    /// One that has seen nothing yet.
    pub fn new(notes: RecorderHandle, meter: Arc<Meter>) -> Self {
        Self { seen: HashMap::new(), notes, meter }
    }

    /// Takes note; gives what was seen before if that was another certificate.
    fn note(&mut self, saw: Saw, at: Instant) -> Option<Seen> {
        let Saw { remote, side, fingerprint } = saw;
        let place = (remote, side);
        if self.seen.len() >= REMEMBERED && !self.seen.contains_key(&place) {
            self.forget_oldest();
        }
        let now = Seen { fingerprint: fingerprint.clone(), at };
        self.seen.insert(place, now).filter(|before| before.fingerprint != fingerprint)
    }

    fn forget_oldest(&mut self) {
        let oldest = self.seen.iter().min_by_key(|(_, seen)| seen.at).map(|(place, _)| place.clone());
        if let Some(oldest) = oldest {
            self.seen.remove(&oldest);
        }
    }
}

impl Actor for Fingerprints {
    type Context = Context<Self>;
}

impl Handler<Queued<Saw>> for Fingerprints {
    type Result = ();

    fn handle(&mut self, saw: Queued<Saw>, _: &mut Context<Self>) {
        let saw = saw.open();
        let (remote, side, fingerprint) = (saw.remote.clone(), saw.side, saw.fingerprint.clone());
        if let Some(before) = self.note(saw, clock::now()) {
            log::warn!(
                target: LOG, remote:% = remote, link = side.as_str(), was = before.fingerprint.as_str(),
                is = fingerprint.as_str(), last_seen:% = format_args!("{}s ago", clock::since(before.at).as_secs());
                "the certificate has changed since the last link"
            );
            let text =
                format!("fingerprint {}… before, {}… now", head(&before.fingerprint), head(&fingerprint));
            self.notes.note(&remote, Event::now(EventKind::CertificateChanged).saying(text));
        }
    }
}

impl Drop for Fingerprints {
    fn drop(&mut self) {
        self.meter.count_if_panicking();
    }
}

/// The beginning of a fingerprint, by which a person tells two apart.
fn head(fingerprint: &str) -> &str {
    fingerprint.get(..16).unwrap_or(fingerprint)
}

const LOG: &str = "nuncio::tls";

/// Certificates remembered: of a few thousand domains, in about a megabyte; in five when each name has its 1023 bytes.
const REMEMBERED: usize = 4096;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn saw(name: &str, side: Direction, fingerprint: &str) -> Saw {
        Saw { remote: Domain::new(name).unwrap(), side, fingerprint: fingerprint.to_owned() }
    }

    #[test]
    fn another_certificate_of_the_same_side_is_a_change() {
        let mut witness = Fingerprints::new(RecorderHandle::nobody(), Meter::new("fingerprints", 1, None));
        let now = clock::now();
        let mut note = |side, fingerprint| {
            let before = witness.note(saw("a.example", side, fingerprint), now);
            before.map(|seen| seen.fingerprint)
        };
        assert_eq!(note(Direction::Incoming, "1"), None);
        assert_eq!(note(Direction::Incoming, "1"), None);
        assert_eq!(note(Direction::Outgoing, "2"), None);
        assert_eq!(note(Direction::Incoming, "3"), Some("1".to_owned()));
        assert_eq!(note(Direction::Incoming, "3"), None);
    }

    #[test]
    fn the_memory_is_bounded_and_the_oldest_goes_first() {
        let mut witness = Fingerprints::new(RecorderHandle::nobody(), Meter::new("fingerprints", 1, None));
        let start = clock::now();
        for number in 0..=REMEMBERED {
            let at = start + Duration::from_millis(number as u64);
            witness.note(saw(&format!("d{number}.example"), Direction::Incoming, "1"), at);
        }
        assert_eq!(witness.seen.len(), REMEMBERED);
        let later = start + Duration::from_secs(3600);
        assert!(witness.note(saw("d0.example", Direction::Incoming, "2"), later).is_none(), "remembered");
        assert!(witness.note(saw("d9.example", Direction::Incoming, "2"), later).is_some(), "forgotten");
    }
}
