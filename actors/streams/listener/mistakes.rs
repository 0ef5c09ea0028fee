//! Slows down whoever tries secrets of components.
//!
//! A connection that showed a wrong secret keeps its place among the unauthenticated connections of its address for a
//! while after its end, once its name has had a few wrong ones within a minute. There is a bound for those places
//! (`max_components_unauthenticated_per_address`), so there is one for the rate. Others of the address wait in line
//! meanwhile, which takes them a fraction of that time: a component with a right secret is never locked out.

use std::{
    collections::HashMap,
    net::IpAddr,
    time::{Duration, Instant},
};

use actix::{Context, Handler};
use xmpp::Domain;

use super::{Listener, site};
use crate::streams::caller::Mistaken;
use mailbox::Queued;

/// The wrong secrets of the current minute.
#[derive(Debug)]
pub(super) struct Mistakes {
    minute: Instant,
    counts: HashMap<(IpAddr, Domain), u32>,
}

impl Mistakes {
    pub(super) fn new(now: Instant) -> Self {
        Self { minute: now, counts: HashMap::new() }
    }

    /// Counts a wrong secret for `name` from an address. Gives how long that keeps a place taken, and whether it is the
    /// first one in this minute that does.
    fn count(&mut self, ip: IpAddr, name: Domain, now: Instant) -> (Duration, bool) {
        if self.counts.len() >= COUNTED || now.saturating_duration_since(self.minute) >= MINUTE {
            *self = Self::new(now);
        }
        let count = self.counts.entry((site(ip), name)).or_default();
        *count = count.saturating_add(1);
        let penalty = match *count {
            ..=FREE => Duration::ZERO,
            _ if ip.to_canonical().is_loopback() => LOCAL_PENALTY,
            _ => PENALTY,
        };
        (penalty, *count == FREE + 1)
    }
}

impl Handler<Queued<Mistaken>> for Listener {
    type Result = ();

    fn handle(&mut self, mistaken: Queued<Mistaken>, _: &mut Context<Self>) {
        let Mistaken { caller, name } = mistaken.open();
        let (penalty, is_first) = self.mistakes.count(caller.address.ip(), name.clone(), clock::now());
        if let Some(connection) = self.connections.get_mut(&caller) {
            connection.penalty = penalty;
        }
        if is_first {
            log::warn!(
                target: crate::streams::component::LOG, address:% = site(caller.address.ip()), name:% = name;
                "too many wrong secrets within a minute: further connections from this address are slowed down"
            );
        }
    }
}

/// Wrong secrets of one name and address in a minute that cost nothing: a component that is restarted with the right
/// secret is not to wait.
const FREE: u32 = 5;

/// How long a place stays taken on this machine: with 64 places, 8 attempts a second.
const LOCAL_PENALTY: Duration = Duration::from_secs(8);

/// The same for other machines: with 64 places, about one attempt a second.
const PENALTY: Duration = Duration::from_secs(60);

/// Names and addresses that are counted in a minute, of 1 KiB each at most. More begin a new minute.
const COUNTED: usize = 4096;

/// The time in which wrong secrets are counted.
const MINUTE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    fn penalties(ip: &str, count: usize) -> Vec<Duration> {
        let now = clock::now();
        let mut mistakes = Mistakes::new(now);
        let name = Domain::new("bot.example").unwrap();
        (0..count).map(|_| mistakes.count(ip.parse().unwrap(), name.clone(), now).0).collect()
    }

    #[test]
    fn a_few_wrong_secrets_cost_nothing_and_more_of_them_cost_time() {
        for (ip, penalty) in [("127.0.0.1", LOCAL_PENALTY), ("::1", LOCAL_PENALTY), ("192.0.2.7", PENALTY)] {
            let penalties = penalties(ip, 8);
            assert_eq!(penalties[..5], [Duration::ZERO; 5], "{ip}");
            assert_eq!(penalties[5..], [penalty; 3], "{ip}");
        }
    }

    #[test]
    fn each_name_and_each_address_has_its_own_count() {
        let now = clock::now();
        let mut mistakes = Mistakes::new(now);
        let mut count = |ip: &str, name: &str| {
            mistakes.count(ip.parse().unwrap(), Domain::new(name).unwrap(), now).0.is_zero()
        };
        for _ in 0..20 {
            count("192.0.2.7", "bot.example");
        }
        assert!(!count("192.0.2.7", "bot.example"));
        assert!(count("192.0.2.7", "echo.example"));
        assert!(count("192.0.2.8", "bot.example"));
    }

    #[test]
    fn the_count_is_bounded_and_ends_with_the_minute() {
        let now = clock::now();
        let mut mistakes = Mistakes::new(now);
        let name = Domain::new("bot.example").unwrap();
        for number in 0..3 * COUNTED as u32 {
            mistakes.count(IpAddr::from(number.to_be_bytes()), name.clone(), now);
            assert!(mistakes.counts.len() <= COUNTED);
        }
        let ip: IpAddr = [192, 0, 2, 7].into();
        for _ in 0..20 {
            mistakes.count(ip, name.clone(), now);
        }
        assert!(mistakes.count(ip, name, now + MINUTE).0.is_zero());
    }
}
