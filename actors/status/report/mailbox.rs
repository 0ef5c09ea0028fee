//! The report of the mailboxes of one kind of actor.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The mailboxes of all actors of one kind. Two reports, one after the other, show what happened between them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailboxReport {
    /// The kind of actor, as in the log.
    pub actor: String,
    /// The number of running actors.
    pub instances: u64,
    /// The number of waiting messages in all of their mailboxes.
    pub depth: u64,
    /// The fullest mailbox, if a message waits.
    pub deepest: Option<Deepest>,
    /// The maximum number of waiting messages in one mailbox since the last mailbox line of the log.
    pub peak: u64,
    /// The capacity of each mailbox in messages.
    pub capacity: u64,
    /// The number of handled messages since the start.
    pub handled: u64,
    /// The number of refused messages since the start.
    pub refused: u64,
    /// The number of actors that panicked since the start.
    pub restarts: u64,
    /// The number of messages by waiting time since the start: `[nanoseconds, messages]`. The time is an upper bound, at most
    /// 25 % too high. Times without a message are left out.
    pub waits: Vec<(u64, u64)>,
}

/// The fullest mailbox of a kind of actor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deepest {
    /// The instance: a domain pair, an address, or the kind of actor if there is one.
    pub name: String,
    /// The number of its waiting messages.
    pub depth: u64,
}

impl MailboxReport {
    /// The time within which `percent` of the messages were handled that were handled since the report `before`; `None` if
    /// there was no message.
    pub fn waited(&self, before: Option<&Self>, percent: u64) -> Option<Duration> {
        let earlier = |time: u64| {
            let known = before.and_then(|before| before.waits.iter().find(|(bound, _)| *bound == time));
            known.map_or(0, |(_, count)| *count)
        };
        let counts = self.waits.iter().map(|(time, count)| (*time, count.saturating_sub(earlier(*time))));
        let counts: Vec<(u64, u64)> = counts.collect();
        let total: u64 = counts.iter().fold(0, |sum, (_, count)| sum.saturating_add(*count));
        let wanted =
            u64::try_from((u128::from(total) * u128::from(percent)).div_ceil(100)).unwrap_or(u64::MAX);
        let mut seen: u64 = 0;
        let found = counts.into_iter().find(|(_, count)| {
            seen = seen.saturating_add(*count);
            *count > 0 && seen >= wanted
        });
        found.map(|(time, _)| Duration::from_nanos(time))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(waits: &[(u64, u64)]) -> MailboxReport {
        MailboxReport {
            actor: "router".to_owned(),
            instances: 1,
            depth: 0,
            deepest: None,
            peak: 0,
            capacity: 8,
            handled: waits.iter().map(|(_, count)| count).sum(),
            refused: 0,
            restarts: 0,
            waits: waits.to_vec(),
        }
    }

    #[test]
    fn waiting_times_are_those_between_two_reports() {
        let before = report(&[(100, 1_000)]);
        let after = report(&[(100, 1_050), (2_000, 49), (9_000, 1)]);
        let nanos = |percent, before| after.waited(before, percent).map(|time| time.as_nanos());
        assert_eq!((nanos(50, Some(&before)), nanos(99, Some(&before))), (Some(100), Some(2_000)));
        assert_eq!((nanos(100, Some(&before)), nanos(99, None)), (Some(9_000), Some(2_000)));
        assert_eq!(after.waited(Some(&after), 50), None);
    }
}
