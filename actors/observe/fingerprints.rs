//! Remembers the last certificate of each remote domain, and logs a warning when it changes (RFC 7590 section 3.6). This
//! does not affect trust: certificates are renewed, and the policy decides about each one.
//!
//! Only authenticated domains are remembered, so that no other peer can fill the memory or cause warnings.

use std::{collections::HashMap, time::Instant};

use actix::{Actor, Context, Handler};
use xmpp::Domain;

use crate::observe::recorder::RecorderHandle;
use mailbox::Queued;
use status::{
    event::{Event, EventKind},
    report::Direction,
};

/// Record the certificate of an authenticated remote domain.
#[derive(Clone, Debug)]
pub struct Record {
    /// The remote domain.
    pub remote: Domain,
    /// The direction of the link: a domain may use one certificate to listen and another to connect.
    pub direction: Direction,
    /// SHA-256, lower-case hex.
    pub fingerprint: String,
}

/// The fingerprints actor.
pub struct Fingerprints {
    seen: HashMap<(Domain, Direction), Seen>,
    recorder: RecorderHandle,
}

/// The last certificate of a domain.
#[derive(Debug)]
struct Seen {
    fingerprint: String,
    at: Instant,
}

impl Fingerprints {
    /// An actor that remembers no certificate.
    pub fn new(recorder: RecorderHandle) -> Self {
        Self { seen: HashMap::new(), recorder }
    }

    /// Remembers a certificate; returns the last one if it was a different one.
    fn record(&mut self, record: Record, at: Instant) -> Option<Seen> {
        let Record { remote, direction, fingerprint } = record;
        let place = (remote, direction);
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

impl Handler<Queued<Record>> for Fingerprints {
    type Result = ();

    fn handle(&mut self, record: Queued<Record>, _: &mut Context<Self>) {
        let record = record.into_message();
        let Record { remote, direction, fingerprint } = record.clone();
        if let Some(before) = self.record(record, clock::now()) {
            log::warn!(
                target: LOG, remote:% = remote, link = direction.as_str(), was = before.fingerprint.as_str(),
                is = fingerprint.as_str(), last_seen:% = format_args!("{}s ago", clock::since(before.at).as_secs());
                "the certificate has changed since the last link"
            );
            let text =
                format!("fingerprint {}… before, {}… now", head(&before.fingerprint), head(&fingerprint));
            self.recorder.note(&remote, Event::now(EventKind::CertificateChanged).saying(text));
        }
    }
}

/// The first 16 digits of a fingerprint, enough to tell two apart.
fn head(fingerprint: &str) -> &str {
    fingerprint.get(..16).unwrap_or(fingerprint)
}

const LOG: &str = "nuncio::tls";

/// Certificates remembered: about 1 MB; at most 5 MB if each name has 1023 bytes.
const REMEMBERED: usize = 4096;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn certificate(name: &str, direction: Direction, fingerprint: &str) -> Record {
        Record { remote: Domain::new(name).unwrap(), direction, fingerprint: fingerprint.to_owned() }
    }

    #[test]
    fn another_certificate_in_the_same_direction_is_a_change() {
        let mut actor = Fingerprints::new(RecorderHandle::disabled());
        let now = clock::now();
        let mut record = |direction, fingerprint| {
            let before = actor.record(certificate("a.example", direction, fingerprint), now);
            before.map(|seen| seen.fingerprint)
        };
        assert_eq!(record(Direction::Incoming, "1"), None);
        assert_eq!(record(Direction::Incoming, "1"), None);
        assert_eq!(record(Direction::Outgoing, "2"), None);
        assert_eq!(record(Direction::Incoming, "3"), Some("1".to_owned()));
        assert_eq!(record(Direction::Incoming, "3"), None);
    }

    #[test]
    fn the_memory_is_bounded_and_the_oldest_goes_first() {
        let mut actor = Fingerprints::new(RecorderHandle::disabled());
        let start = clock::now();
        for number in 0..=REMEMBERED {
            let at = start + Duration::from_millis(number as u64);
            actor.record(certificate(&format!("d{number}.example"), Direction::Incoming, "1"), at);
        }
        assert_eq!(actor.seen.len(), REMEMBERED);
        let later = start + Duration::from_secs(3600);
        assert!(
            actor.record(certificate("d0.example", Direction::Incoming, "2"), later).is_none(),
            "remembered"
        );
        assert!(
            actor.record(certificate("d9.example", Direction::Incoming, "2"), later).is_some(),
            "forgotten"
        );
    }
}
