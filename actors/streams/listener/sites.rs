//! Counts connections by address, and decides which are served, which wait and which are refused.
//!
//! The limits are for connections that have not authenticated. One that authenticates gives back its place among them
//! and the attempt that it made; from then on it counts only against [`Bounds::share`], far above what hosters need.
//!
//! An address is an IPv4 address or an IPv6 /64, which is what one host has. The /64s of an IPv6 /48, which is what one
//! customer of a provider has, are also counted together, against bounds that are [`NETWORK`] times as large.

use std::{
    collections::HashMap,
    net::IpAddr,
    time::{Duration, Instant},
};

use net::site::{network, site};

/// The limits that addresses are held to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Connections of one address that are served without authentication.
    pub(super) per_address: usize,
    /// How many times as many are served of an address of which others have authenticated.
    pub(super) growth: usize,
    /// Those of all addresses; as many more may wait.
    pub(super) unauthenticated: usize,
    /// Connections of one address that end without authentication in a minute, those that are served included.
    pub(super) attempts: usize,
    /// Connections of one address in all.
    pub(super) share: usize,
}

/// How a connection counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// It waits until another one of its address is done.
    Waiting,
    /// It is served, and has not authenticated.
    Served,
    /// It has authenticated.
    Proved,
}

/// Why a connection is not taken.
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
pub(super) struct Sites {
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

    fn place(&mut self, place: Place) -> &mut usize {
        match place {
            Place::Waiting => &mut self.waiting,
            Place::Served => &mut self.served,
            Place::Proved => &mut self.proved,
        }
    }

    fn change(&mut self, from: Option<Place>, to: Option<Place>) {
        if let Some(from) = from {
            let count = self.place(from);
            *count = count.saturating_sub(1);
        }
        if let Some(to) = to {
            *self.place(to) += 1;
        }
    }
}

impl Bounds {
    /// How many connections may be served without authentication beside `count`. Each one that has authenticated lets one
    /// more be served: on a long way a hoster of many domains needs that, and strangers have none.
    fn served(&self, count: &Count, times: usize) -> usize {
        let least = self.per_address.saturating_mul(times);
        least.saturating_add(count.proved.min(least.saturating_mul(self.growth.saturating_sub(1))))
    }

    /// The place of the next connection, where `count` are there already and the bounds are `times` as large.
    fn judge(&self, count: &Count, times: usize) -> Result<Place, Excess> {
        let most = |bound: usize| bound.saturating_mul(times);
        if count.total() >= self.share {
            Err(Excess::All)
        } else if count.failed + count.served >= most(self.attempts) {
            Err(Excess::Attempts)
        } else if count.served < self.served(count, times) {
            Ok(Place::Served)
        } else if count.waiting < most(self.per_address.saturating_mul(LINE)) {
            Ok(Place::Waiting)
        } else {
            Err(Excess::Address)
        }
    }
}

impl Sites {
    pub(super) fn new(bounds: Bounds, now: Instant) -> Self {
        Self { bounds, minute: now, hosts: HashMap::new(), networks: HashMap::new(), all: Count::default() }
    }

    /// Other bounds; the connections stay counted as they are.
    pub(super) fn adopt(&mut self, bounds: Bounds) {
        self.bounds = bounds;
    }

    /// The place of a new connection from `ip`. It is not counted yet.
    pub(super) fn judge(&mut self, ip: IpAddr, now: Instant) -> Result<Place, Excess> {
        self.begin_minute(now);
        let host = self.host(ip);
        let place = self.bounds.judge(&host, 1)?;
        let place = match network(ip).map(|network| self.network(network)) {
            Some(network) if self.bounds.judge(&network, NETWORK)? == Place::Waiting => Place::Waiting,
            _ => place,
        };
        match place {
            Place::Served if self.all.served >= self.bounds.unauthenticated => Err(Excess::All),
            Place::Waiting if self.all.waiting >= self.bounds.unauthenticated => Err(Excess::All),
            place => Ok(place),
        }
    }

    /// Whether one that waits can be served now.
    pub(super) fn has_room(&self, ip: IpAddr) -> bool {
        let has_room = |count: Count, times| count.served < self.bounds.served(&count, times);
        has_room(self.host(ip), 1)
            && network(ip).is_none_or(|network| has_room(self.network(network), NETWORK))
            && self.all.served < self.bounds.unauthenticated
    }

    /// Whether so many connections of `ip` failed that those that wait are refused.
    pub(super) fn has_failed_too_often(&self, ip: IpAddr) -> bool {
        self.host(ip).failed >= self.bounds.attempts
            || network(ip).is_some_and(|network| {
                self.network(network).failed >= self.bounds.attempts.saturating_mul(NETWORK)
            })
    }

    /// Counts a connection of `ip` in another place; `None` before it comes and after it has gone.
    pub(super) fn change(&mut self, ip: IpAddr, from: Option<Place>, to: Option<Place>) {
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

    /// Forgets the failures of the last minute. A minute is shorter while too many addresses fail: what is remembered of
    /// addresses without a connection is bounded, whatever the number of addresses that somebody has.
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

/// Connections that may wait for each one that is served: with 64, a hoster that opens 1,000 at once has no refusal.
/// One that waits takes a file and about 1 KiB.
const LINE: usize = 16;

/// The bounds of an IPv6 /48, in those of one address: a site of several busy hosts fits, its 65,536 /64s do not count
/// as so many strangers.
const NETWORK: usize = 4;

/// Addresses without a connection of which failures are remembered; 100 bytes each, 1.6 MiB in both tables.
const REMEMBERED: usize = 8192;

/// The time in which attempts are counted.
const MINUTE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds =
        Bounds { per_address: 2, growth: 1, unauthenticated: 1000, attempts: 10, share: 100 };

    fn sites() -> (Sites, Instant) {
        let now = clock::now();
        (Sites::new(BOUNDS, now), now)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// Judges a connection, and counts it if it is taken.
    fn arrive(sites: &mut Sites, ip: IpAddr, now: Instant) -> Result<Place, Excess> {
        let place = sites.judge(ip, now)?;
        sites.change(ip, None, Some(place));
        Ok(place)
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
    fn those_beyond_the_limit_of_an_address_wait_and_only_those_beyond_that_are_refused() {
        let (mut sites, now) = sites();
        let places: Vec<_> = (0..40).map(|_| arrive(&mut sites, ip("192.0.2.7"), now)).collect();
        assert_eq!(places[..2], [Ok(Place::Served); 2]);
        assert_eq!(places[2..34], [Ok(Place::Waiting); 32]);
        assert_eq!(places[34..], [Err(Excess::Address); 6]);
        assert_eq!(arrive(&mut sites, ip("192.0.2.8"), now), Ok(Place::Served), "another address");
    }

    #[test]
    fn who_authenticates_gives_back_the_place_and_the_attempt() {
        let (mut sites, now) = sites();
        let address = ip("192.0.2.7");
        for _ in 0..99 {
            assert_eq!(arrive(&mut sites, address, now), Ok(Place::Served));
            sites.change(address, Some(Place::Served), Some(Place::Proved));
        }
        // Of authenticated connections an address has a share of all, and no more.
        assert_eq!(arrive(&mut sites, address, now), Ok(Place::Served));
        assert_eq!(arrive(&mut sites, address, now), Err(Excess::All));
    }

    #[test]
    fn an_address_with_authenticated_connections_is_served_more_of_the_others_up_to_a_bound() {
        let (mut sites, now) = sites();
        sites.adopt(Bounds { growth: 4, attempts: 100, ..BOUNDS });
        for text in ["192.0.2.7", "2001:db8::1"] {
            let address = ip(text);
            for proved in 0..20 {
                let waits = |sites: &mut Sites| sites.judge(address, now) == Ok(Place::Waiting);
                let mut served = 0;
                while !waits(&mut sites) {
                    assert_eq!(arrive(&mut sites, address, now), Ok(Place::Served));
                    served += 1;
                }
                assert_eq!(served, (2 + proved).min(4 * 2));
                assert!(!sites.has_room(address));
                (0..served).for_each(|_| sites.change(address, Some(Place::Served), None));
                assert!(sites.has_room(address));
                sites.change(address, None, Some(Place::Proved));
            }
            (0..20).for_each(|_| sites.change(address, Some(Place::Proved), None));
            assert_eq!(sites.bounds.served(&sites.host(address), 1), 2, "none of them is left");
        }
    }

    #[test]
    fn who_fails_too_often_is_refused_until_the_minute_is_over() {
        let (mut sites, now) = sites();
        let address = ip("192.0.2.7");
        for _ in 0..10 {
            assert_eq!(arrive(&mut sites, address, now), Ok(Place::Served));
            sites.change(address, Some(Place::Served), None);
            sites.fail(address);
        }
        assert_eq!(arrive(&mut sites, address, now), Err(Excess::Attempts));
        assert!(sites.has_failed_too_often(address));
        assert_eq!(arrive(&mut sites, ip("192.0.2.8"), now), Ok(Place::Served), "another address");
        assert_eq!(arrive(&mut sites, address, now + MINUTE), Ok(Place::Served));
        assert!(!sites.has_failed_too_often(address));
    }

    #[test]
    fn the_addresses_of_an_ipv6_site_are_bounded_together() {
        let (mut sites, now) = sites();
        sites.adopt(Bounds { share: 1000, ..BOUNDS });
        let address = |number: u32| ip(&format!("2001:db8:7:{number:x}::1"));
        let served =
            (0..1000).filter(|number| arrive(&mut sites, address(*number), now) == Ok(Place::Served));
        assert_eq!(served.count(), NETWORK * BOUNDS.per_address);
        assert_eq!(sites.all.waiting, NETWORK * BOUNDS.per_address * LINE);
        assert_eq!(arrive(&mut sites, ip("2001:db8:8::1"), now), Ok(Place::Served), "another site");
        let (mut sites, now) = self::sites();
        (0..40).for_each(|number| sites.fail(address(number)));
        assert_eq!(arrive(&mut sites, address(41), now), Err(Excess::Attempts));
    }

    #[test]
    fn strangers_of_many_addresses_are_bounded_in_all() {
        let (mut sites, now) = sites();
        let address = |number: u32| IpAddr::from((0x0a00_0000 | number).to_be_bytes());
        let taken = (0..2000).filter(|number| arrive(&mut sites, address(*number), now).is_ok()).count();
        assert_eq!(taken, BOUNDS.unauthenticated);
        assert_eq!(arrive(&mut sites, address(5000), now), Err(Excess::All));
    }

    #[test]
    fn the_tables_do_not_grow_with_the_number_of_addresses_that_fail() {
        let (mut sites, now) = sites();
        let address = |number: u128| IpAddr::from((0x2001_0db8 << 96 | number << 64).to_be_bytes());
        for number in 0..10 * REMEMBERED as u128 {
            let address = address(number << 16 | number & 0xffff);
            if arrive(&mut sites, address, now).is_ok() {
                sites.change(address, Some(Place::Served), None);
                sites.fail(address);
            }
            assert!(sites.hosts.len() <= REMEMBERED + 1 && sites.networks.len() <= REMEMBERED + 1);
        }
        assert_eq!(sites.all, Count::default());
    }

    #[test]
    fn what_is_gone_leaves_nothing_behind() {
        let (mut sites, now) = sites();
        for text in ["192.0.2.7", "2001:db8::1"] {
            for _ in 0..20 {
                assert!(arrive(&mut sites, ip(text), now).is_ok());
            }
            for _ in 0..2 {
                sites.change(ip(text), Some(Place::Served), None);
            }
            assert!(sites.has_room(ip(text)));
            for _ in 0..18 {
                sites.change(ip(text), Some(Place::Waiting), None);
            }
        }
        assert!(sites.hosts.is_empty() && sites.networks.is_empty());
    }
}
