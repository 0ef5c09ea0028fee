//! Whom a source of stanzas writes to: one destination, or several that wait for each other.

use std::time::{Duration, Instant};

use xmpp::Domain;

use crate::flow::batch::Batch;

/// What a source wrote to lately.
#[derive(Debug, Default)]
pub struct FanOut {
    /// Where the last stanza went.
    last: Option<Domain>,
    /// When it wrote to another one.
    turned: Option<Instant>,
}

impl FanOut {
    /// Marks what one read brought: whether others are held up when its destination holds up the source.
    pub fn mark(&mut self, batches: &mut [Batch], now: Instant) {
        for batch in batches.iter() {
            if self.last.as_ref() != Some(&batch.to) {
                if self.last.is_some() {
                    self.turned = Some(now);
                }
                self.last = Some(batch.to.clone());
            }
        }
        if self.turned.is_some_and(|turned| now.saturating_duration_since(turned) < FORGOTTEN_AFTER) {
            batches.iter_mut().for_each(|batch| batch.shared = true);
        }
    }
}

/// A source that has written to one destination for so long is taken to have no others.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    fn read(to: &[&str]) -> Vec<Batch> {
        let domain = |name: &str| Domain::new(name).unwrap();
        to.iter().map(|to| Batch::between(domain("a.example"), domain(to), Vec::new())).collect()
    }

    fn shared(habit: &mut FanOut, to: &[&str], now: Instant) -> bool {
        let mut batches = read(to);
        habit.mark(&mut batches, now);
        batches.iter().all(|batch| batch.shared)
    }

    #[test]
    fn who_writes_to_one_destination_alone_holds_up_nobody_else() {
        let (mut habit, now) = (FanOut::default(), clock::now());
        assert!(!shared(&mut habit, &["b.example"], now));
        assert!(!shared(&mut habit, &["b.example"], now));
        assert!(shared(&mut habit, &["b.example", "c.example"], now), "in one read");
        assert!(shared(&mut habit, &["c.example"], now), "or in one after the other");
        assert!(!shared(&mut habit, &["c.example"], now + FORGOTTEN_AFTER), "but not for ever");
    }
}
