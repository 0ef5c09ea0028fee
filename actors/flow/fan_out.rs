//! Detects whether a sender writes to one destination or to several, which are delayed when it is held up.

use std::time::{Duration, Instant};

use xmpp::Domain;

use crate::flow::batch::Batch;

/// The recent destinations of one sender.
#[derive(Debug, Default)]
pub struct FanOut {
    /// The destination of the last stanza.
    last: Option<Domain>,
    /// When the destination changed.
    changed: Option<Instant>,
}

impl FanOut {
    /// Marks the batches of one read: whether other destinations are delayed when one of them holds up the
    /// sender.
    pub fn mark(&mut self, batches: &mut [Batch], now: Instant) {
        for batch in batches.iter() {
            if self.last.as_ref() != Some(&batch.to) {
                if self.last.is_some() {
                    self.changed = Some(now);
                }
                self.last = Some(batch.to.clone());
            }
        }
        if self.changed.is_some_and(|changed| now.saturating_duration_since(changed) < FORGOTTEN_AFTER) {
            batches.iter_mut().for_each(|batch| batch.fans_out = true);
        }
    }
}

/// A sender that has written to one destination for so long counts as one without others.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    fn read(to: &[&str]) -> Vec<Batch> {
        let domain = |name: &str| Domain::new(name).unwrap();
        to.iter().map(|to| Batch::between(domain("a.example"), domain(to), Vec::new())).collect()
    }

    fn fans_out(sender: &mut FanOut, to: &[&str], now: Instant) -> bool {
        let mut batches = read(to);
        sender.mark(&mut batches, now);
        batches.iter().all(|batch| batch.fans_out)
    }

    #[test]
    fn a_sender_with_one_destination_delays_no_other() {
        let (mut sender, now) = (FanOut::default(), clock::now());
        assert!(!fans_out(&mut sender, &["b.example"], now));
        assert!(!fans_out(&mut sender, &["b.example"], now));
        assert!(fans_out(&mut sender, &["b.example", "c.example"], now), "in one read");
        assert!(fans_out(&mut sender, &["c.example"], now), "or in one after the other");
        assert!(!fans_out(&mut sender, &["c.example"], now + FORGOTTEN_AFTER), "but not for long");
    }
}
