//! Slows down an address that tries secrets of components.
//!
//! After a few wrong secrets for a name within a minute, each further connection with a wrong secret stays
//! counted among the unauthenticated connections of its address for a while after its end. Their number is
//! bounded (`max_components_unauthenticated_per_address`), and so is the rate of attempts. Other connections
//! of the address wait in the queue meanwhile, for a fraction of that time: a component with a valid secret
//! is never locked out.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use actix::{Context, Handler};
use xmpp::Domain;

use super::{Listener, Site};
use crate::streams::{accepted::WrongSecret, component};
use mailbox::Queued;

/// Counts the wrong secrets of the current minute.
#[derive(Debug)]
pub(super) struct WrongSecrets {
    minute: Instant,
    counts: HashMap<(Site, Domain), u32>,
}

impl WrongSecrets {
    pub(super) fn new(now: Instant) -> Self {
        Self { minute: now, counts: HashMap::new() }
    }

    /// Counts a wrong secret for `name` from an address. Gives the time for which the connection stays
    /// counted after its end, and whether it is the first one of this minute with such a time.
    fn count(&mut self, site: Site, name: Domain, now: Instant) -> (Duration, bool) {
        if self.counts.len() >= COUNTED || now.saturating_duration_since(self.minute) >= MINUTE {
            *self = Self::new(now);
        }
        let count = self.counts.entry((site, name)).or_default();
        *count = count.saturating_add(1);
        let penalty = match *count {
            ..=FREE => Duration::ZERO,
            _ if site.is_local() => LOCAL_PENALTY,
            _ => PENALTY,
        };
        (penalty, *count == FREE + 1)
    }
}

impl Handler<Queued<WrongSecret>> for Listener {
    type Result = ();

    fn handle(&mut self, wrong: Queued<WrongSecret>, _: &mut Context<Self>) {
        let WrongSecret { caller, name } = wrong.into_message();
        let site = caller.site();
        let (penalty, is_first) = self.wrong_secrets.count(site, name.clone(), clock::now());
        if let Some(connection) = self.connections.get_mut(&caller) {
            connection.penalty = penalty;
        }
        if is_first {
            log::warn!(
                target: component::LOG, name:% = name, address:% = self.host(site);
                "too many wrong secrets within a minute: further connections from this address are slowed down"
            );
        }
    }
}

/// Wrong secrets of one name and address per minute without a penalty: a component that is restarted with the
/// valid secret need not wait.
const FREE: u32 = 5;

/// The penalty for connections from this machine: with 64 connections at one time, 8 attempts per second.
const LOCAL_PENALTY: Duration = Duration::from_secs(8);

/// The penalty for other machines: with 64 connections at one time, about one attempt per second.
const PENALTY: Duration = Duration::from_secs(60);

/// Pairs of name and address that are counted per minute, of 1 KiB each at most. More of them begin a new
/// minute.
const COUNTED: usize = 4096;

/// The time in which wrong secrets are counted.
const MINUTE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn site(ip: &str) -> Site {
        ip.parse::<IpAddr>().unwrap().into()
    }

    fn penalties(site: Site, count: usize) -> Vec<Duration> {
        let now = clock::now();
        let mut wrong = WrongSecrets::new(now);
        let name = Domain::new("bot.example").unwrap();
        (0..count).map(|_| wrong.count(site, name.clone(), now).0).collect()
    }

    #[test]
    fn a_few_wrong_secrets_have_no_penalty_and_further_ones_have() {
        for (site, penalty) in [
            (site("127.0.0.1"), LOCAL_PENALTY),
            (site("::1"), LOCAL_PENALTY),
            (Site::Unix(0), LOCAL_PENALTY),
            (site("192.0.2.7"), PENALTY),
        ] {
            let penalties = penalties(site, 8);
            assert_eq!(penalties[..5], [Duration::ZERO; 5], "{site:?}");
            assert_eq!(penalties[5..], [penalty; 3], "{site:?}");
        }
    }

    #[test]
    fn each_name_and_each_address_has_its_own_count() {
        let now = clock::now();
        let mut wrong = WrongSecrets::new(now);
        let mut count =
            |ip: &str, name: &str| wrong.count(site(ip), Domain::new(name).unwrap(), now).0.is_zero();
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
        let mut wrong = WrongSecrets::new(now);
        let name = Domain::new("bot.example").unwrap();
        for number in 0..3 * COUNTED as u32 {
            wrong.count(IpAddr::from(number.to_be_bytes()).into(), name.clone(), now);
            assert!(wrong.counts.len() <= COUNTED);
        }
        for _ in 0..20 {
            wrong.count(site("192.0.2.7"), name.clone(), now);
        }
        assert!(wrong.count(site("192.0.2.7"), name, now + MINUTE).0.is_zero());
    }
}
