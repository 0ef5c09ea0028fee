//! Counts connections by address, and decides which are served, which wait and which are refused.
//!
//! The limits are for connections that have not authenticated. An authenticated connection no longer counts
//! as one of them, nor as an attempt; it counts only against [`Bounds::share`], far above the need of
//! hosters.
//!
//! An address is an IPv4 address or an IPv6 /64, which one host has. The /64s of an IPv6 /48, which one
//! customer of a provider has, are also counted together, against bounds that are [`NETWORK`] times as large.

use std::{
    collections::HashMap,
    net::IpAddr,
    time::{Duration, Instant},
};

use net::address::{network, site};

/// The limits of addresses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Connections of one address that are served without authentication.
    pub(super) per_address: usize,
    /// The factor by which that bound grows for an address with authenticated connections.
    pub(super) growth: usize,
    /// Connections of all addresses that are served without authentication; as many more may wait.
    pub(super) unauthenticated: usize,
    /// Connections of one address per minute that end without authentication, including those that are
    /// served.
    pub(super) attempts: usize,
    /// All connections of one address.
    pub(super) share: usize,
}

/// The standing of a connection, by which it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It waits until another connection of its address is done.
    Waiting,
    /// It is served, and has not authenticated.
    Served,
    /// It has authenticated.
    Proved,
}

/// The limit for which a connection is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Excess {
    /// Too many connections of the address ended without authentication in the last minute.
    Attempts,
    /// Too many connections of the address wait already.
    Address,
    /// There is no room for any address, or the address has its share of all connections.
    All,
}

/// The connections of all addresses.
#[derive(Debug)]
pub(super) struct Addresses {
    bounds: Bounds,
    /// When the current minute began.
    minute: Instant,
    hosts: HashMap<IpAddr, Count>,
    networks: HashMap<IpAddr, Count>,
    all: Count,
}

/// The connections of one address, or of several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    waiting: usize,
    served: usize,
    proved: usize,
    /// Ended without authentication in the current minute.
    failed: usize,
}

impl Count {
    fn total(&self) -> usize {
        self.waiting + self.served + self.proved
    }

    fn count(&mut self, standing: Standing) -> &mut usize {
        match standing {
            Standing::Waiting => &mut self.waiting,
            Standing::Served => &mut self.served,
            Standing::Proved => &mut self.proved,
        }
    }

    fn change(&mut self, from: Option<Standing>, to: Option<Standing>) {
        if let Some(from) = from {
            let count = self.count(from);
            *count = count.saturating_sub(1);
        }
        if let Some(to) = to {
            *self.count(to) += 1;
        }
    }
}

impl Bounds {
    /// The number of connections without authentication that may be served, when `count` are there. Each
    /// authenticated connection allows one more: a hoster of many domains needs that on a slow path, and
    /// unknown peers have none.
    fn served(&self, count: &Count, times: usize) -> usize {
        let least = self.per_address.saturating_mul(times);
        least.saturating_add(count.proved.min(least.saturating_mul(self.growth.saturating_sub(1))))
    }

    /// The standing of the next connection, when `count` are there and the bounds are `times` as large.
    fn standing(&self, count: &Count, times: usize) -> Result<Standing, Excess> {
        let most = |bound: usize| bound.saturating_mul(times);
        if count.total() >= self.share {
            Err(Excess::All)
        } else if count.failed + count.served >= most(self.attempts) {
            Err(Excess::Attempts)
        } else if count.served < self.served(count, times) {
            Ok(Standing::Served)
        } else if count.waiting < most(self.per_address.saturating_mul(QUEUE)) {
            Ok(Standing::Waiting)
        } else {
            Err(Excess::Address)
        }
    }
}

impl Addresses {
    pub(super) fn new(bounds: Bounds, now: Instant) -> Self {
        Self { bounds, minute: now, hosts: HashMap::new(), networks: HashMap::new(), all: Count::default() }
    }

    /// Sets other bounds. The connections stay counted as they are.
    pub(super) fn adopt(&mut self, bounds: Bounds) {
        self.bounds = bounds;
    }

    /// The standing of a new connection from `ip`, which is not counted yet.
    pub(super) fn standing_of(&mut self, ip: IpAddr, now: Instant) -> Result<Standing, Excess> {
        self.begin_minute(now);
        let host = self.host(ip);
        let standing = self.bounds.standing(&host, 1)?;
        let standing = match network(ip).map(|network| self.network(network)) {
            Some(network) if self.bounds.standing(&network, NETWORK)? == Standing::Waiting => {
                Standing::Waiting
            }
            _ => standing,
        };
        match standing {
            Standing::Served if self.all.served >= self.bounds.unauthenticated => Err(Excess::All),
            Standing::Waiting if self.all.waiting >= self.bounds.unauthenticated => Err(Excess::All),
            standing => Ok(standing),
        }
    }

    /// Whether a waiting connection can be served now.
    pub(super) fn has_room(&self, ip: IpAddr) -> bool {
        let has_room = |count: Count, times| count.served < self.bounds.served(&count, times);
        has_room(self.host(ip), 1)
            && network(ip).is_none_or(|network| has_room(self.network(network), NETWORK))
            && self.all.served < self.bounds.unauthenticated
    }

    /// Whether so many connections of `ip` have failed that its waiting ones are refused.
    pub(super) fn has_failed_too_often(&self, ip: IpAddr) -> bool {
        self.host(ip).failed >= self.bounds.attempts
            || network(ip).is_some_and(|network| {
                self.network(network).failed >= self.bounds.attempts.saturating_mul(NETWORK)
            })
    }

    /// Changes the standing of a connection of `ip`; `None` before it is accepted and after its end.
    pub(super) fn change(&mut self, ip: IpAddr, from: Option<Standing>, to: Option<Standing>) {
        self.update(ip, |count| count.change(from, to));
        self.all.change(from, to);
    }

    /// Counts a connection of `ip` that ended without authentication.
    pub(super) fn fail(&mut self, ip: IpAddr) {
        self.update(ip, |count| count.failed = count.failed.saturating_add(1));
    }

    fn update(&mut self, ip: IpAddr, update: impl Fn(&mut Count)) {
        update_in(&mut self.hosts, site(ip), &update);
        if let Some(network) = network(ip) {
            update_in(&mut self.networks, network, &update);
        }
    }

    fn host(&self, ip: IpAddr) -> Count {
        self.hosts.get(&site(ip)).copied().unwrap_or_default()
    }

    fn network(&self, network: IpAddr) -> Count {
        self.networks.get(&network).copied().unwrap_or_default()
    }

    /// Removes the failures of the last minute. The minute ends early while too many addresses fail: the
    /// memory for addresses without a connection is bounded, however many addresses a peer has.
    fn begin_minute(&mut self, now: Instant) {
        let most = self.all.total() + REMEMBERED;
        let is_full = self.hosts.len() > most || self.networks.len() > most;
        if is_full || now.saturating_duration_since(self.minute) >= MINUTE {
            self.minute = now;
            for counts in [&mut self.hosts, &mut self.networks] {
                counts.retain(|_, count| {
                    count.failed = 0;
                    count.total() > 0
                });
                counts.shrink_to(REMEMBERED);
            }
        }
    }
}

fn update_in(counts: &mut HashMap<IpAddr, Count>, key: IpAddr, update: &impl Fn(&mut Count)) {
    let count = counts.entry(key).or_default();
    update(count);
    if *count == Count::default() {
        counts.remove(&key);
    }
}

/// Connections that may wait for each one that is served: with a limit of 64, a hoster that opens 1,000 at
/// once gets no refusal. A waiting connection takes a file descriptor and about 1 KiB.
const QUEUE: usize = 16;

/// The bounds of an IPv6 /48, in multiples of those of one address: enough for several busy hosts, and far
/// less than its 65,536 /64s would have each.
const NETWORK: usize = 4;

/// Addresses without a connection whose failures are kept: 100 bytes each, 1.6 MiB in both tables.
const REMEMBERED: usize = 8192;

/// The time in which attempts are counted.
const MINUTE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds =
        Bounds { per_address: 2, growth: 1, unauthenticated: 1000, attempts: 10, share: 100 };

    fn addresses() -> (Addresses, Instant) {
        let now = clock::now();
        (Addresses::new(BOUNDS, now), now)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// Accepts a connection if the bounds permit it, and counts it.
    fn arrive(addresses: &mut Addresses, ip: IpAddr, now: Instant) -> Result<Standing, Excess> {
        let standing = addresses.standing_of(ip, now)?;
        addresses.change(ip, None, Some(standing));
        Ok(standing)
    }

    #[test]
    fn a_host_is_an_ipv4_address_or_an_ipv6_network() {
        let same = |one: &str, other: &str| site(ip(one)) == site(ip(other));
        assert!(same("2001:db8:1:2::1", "2001:db8:1:2:ffff::9"));
        assert!(!same("2001:db8:1:2::1", "2001:db8:1:3::1"));
        assert!(same("192.0.2.7", "::ffff:192.0.2.7"));
        assert!(!same("192.0.2.7", "192.0.2.8"));
        assert!(!same("::ffff:192.0.2.7", "::ffff:192.0.2.8"));
    }

    #[test]
    fn connections_above_the_limit_of_an_address_wait_and_are_refused_above_a_second_one() {
        let (mut addresses, now) = addresses();
        let standings: Vec<_> = (0..40).map(|_| arrive(&mut addresses, ip("192.0.2.7"), now)).collect();
        assert_eq!(standings[..2], [Ok(Standing::Served); 2]);
        assert_eq!(standings[2..34], [Ok(Standing::Waiting); 32]);
        assert_eq!(standings[34..], [Err(Excess::Address); 6]);
        assert_eq!(arrive(&mut addresses, ip("192.0.2.8"), now), Ok(Standing::Served), "another address");
    }

    #[test]
    fn an_authenticated_connection_no_longer_counts_as_unauthenticated_nor_as_an_attempt() {
        let (mut addresses, now) = addresses();
        let address = ip("192.0.2.7");
        for _ in 0..99 {
            assert_eq!(arrive(&mut addresses, address, now), Ok(Standing::Served));
            addresses.change(address, Some(Standing::Served), Some(Standing::Proved));
        }
        // The authenticated connections of an address are bounded by its share of all connections.
        assert_eq!(arrive(&mut addresses, address, now), Ok(Standing::Served));
        assert_eq!(arrive(&mut addresses, address, now), Err(Excess::All));
    }

    #[test]
    fn an_address_with_authenticated_connections_is_served_more_of_the_others_up_to_a_bound() {
        let (mut addresses, now) = addresses();
        addresses.adopt(Bounds { growth: 4, attempts: 100, ..BOUNDS });
        for text in ["192.0.2.7", "2001:db8::1"] {
            let address = ip(text);
            for proved in 0..20 {
                let waits =
                    |addresses: &mut Addresses| addresses.standing_of(address, now) == Ok(Standing::Waiting);
                let mut served = 0;
                while !waits(&mut addresses) {
                    assert_eq!(arrive(&mut addresses, address, now), Ok(Standing::Served));
                    served += 1;
                }
                assert_eq!(served, (2 + proved).min(4 * 2));
                assert!(!addresses.has_room(address));
                (0..served).for_each(|_| addresses.change(address, Some(Standing::Served), None));
                assert!(addresses.has_room(address));
                addresses.change(address, None, Some(Standing::Proved));
            }
            (0..20).for_each(|_| addresses.change(address, Some(Standing::Proved), None));
            assert_eq!(
                addresses.bounds.served(&addresses.host(address), 1),
                2,
                "no authenticated connection is left"
            );
        }
    }

    #[test]
    fn an_address_that_fails_too_often_is_refused_until_the_minute_is_over() {
        let (mut addresses, now) = addresses();
        let address = ip("192.0.2.7");
        for _ in 0..10 {
            assert_eq!(arrive(&mut addresses, address, now), Ok(Standing::Served));
            addresses.change(address, Some(Standing::Served), None);
            addresses.fail(address);
        }
        assert_eq!(arrive(&mut addresses, address, now), Err(Excess::Attempts));
        assert!(addresses.has_failed_too_often(address));
        assert_eq!(arrive(&mut addresses, ip("192.0.2.8"), now), Ok(Standing::Served), "another address");
        assert_eq!(arrive(&mut addresses, address, now + MINUTE), Ok(Standing::Served));
        assert!(!addresses.has_failed_too_often(address));
    }

    #[test]
    fn the_addresses_of_an_ipv6_network_are_bounded_together() {
        let (mut addresses, now) = addresses();
        addresses.adopt(Bounds { share: 1000, ..BOUNDS });
        let address = |number: u32| ip(&format!("2001:db8:7:{number:x}::1"));
        let served =
            (0..1000).filter(|number| arrive(&mut addresses, address(*number), now) == Ok(Standing::Served));
        assert_eq!(served.count(), NETWORK * BOUNDS.per_address);
        assert_eq!(addresses.all.waiting, NETWORK * BOUNDS.per_address * QUEUE);
        assert_eq!(arrive(&mut addresses, ip("2001:db8:8::1"), now), Ok(Standing::Served), "another network");
        let (mut addresses, now) = self::addresses();
        (0..40).for_each(|number| addresses.fail(address(number)));
        assert_eq!(arrive(&mut addresses, address(41), now), Err(Excess::Attempts));
    }

    #[test]
    fn unauthenticated_connections_of_all_addresses_are_bounded() {
        let (mut addresses, now) = addresses();
        let address = |number: u32| IpAddr::from((0x0a00_0000 | number).to_be_bytes());
        let taken = (0..2000).filter(|number| arrive(&mut addresses, address(*number), now).is_ok()).count();
        assert_eq!(taken, BOUNDS.unauthenticated);
        assert_eq!(arrive(&mut addresses, address(5000), now), Err(Excess::All));
    }

    #[test]
    fn the_tables_do_not_grow_with_the_number_of_addresses_that_fail() {
        let (mut addresses, now) = addresses();
        let address = |number: u128| IpAddr::from((0x2001_0db8 << 96 | number << 64).to_be_bytes());
        for number in 0..10 * REMEMBERED as u128 {
            let address = address(number << 16 | number & 0xffff);
            if arrive(&mut addresses, address, now).is_ok() {
                addresses.change(address, Some(Standing::Served), None);
                addresses.fail(address);
            }
            assert!(addresses.hosts.len() <= REMEMBERED + 1 && addresses.networks.len() <= REMEMBERED + 1);
        }
        assert_eq!(addresses.all, Count::default());
    }

    #[test]
    fn ended_connections_leave_nothing_in_the_tables() {
        let (mut addresses, now) = addresses();
        for text in ["192.0.2.7", "2001:db8::1"] {
            for _ in 0..20 {
                assert!(arrive(&mut addresses, ip(text), now).is_ok());
            }
            for _ in 0..2 {
                addresses.change(ip(text), Some(Standing::Served), None);
            }
            assert!(addresses.has_room(ip(text)));
            for _ in 0..18 {
                addresses.change(ip(text), Some(Standing::Waiting), None);
            }
        }
        assert!(addresses.hosts.is_empty() && addresses.networks.is_empty());
    }
}
