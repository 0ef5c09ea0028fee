//! Counts connections by address, and decides which are served, which wait and which are refused.
//!
//! The limits are for connections that have not authenticated. An authenticated connection no longer counts
//! as one of them, nor as an attempt; it counts only against [`Bounds::share`], far above the need of
//! hosters.
//!
//! An address is an IPv4 address or an IPv6 /64, which one host has, or a Unix socket. The /64s of an IPv6 /48, which one
//! customer of a provider has, are also counted together, against bounds that are [`NETWORK`] times as large.

mod bounds;

use std::{
    collections::HashMap,
    hash::Hash,
    net::IpAddr,
    time::{Duration, Instant},
};

use self::bounds::Count;
pub(super) use self::bounds::{Bounds, Excess, Standing};
use super::Site;

/// The connections of all addresses.
#[derive(Debug)]
pub(super) struct Addresses {
    bounds: Bounds,
    /// When the current minute began.
    minute: Instant,
    hosts: HashMap<Site, Count>,
    networks: HashMap<IpAddr, Count>,
    all: Count,
}

impl Addresses {
    pub(super) fn new(bounds: Bounds, now: Instant) -> Self {
        Self { bounds, minute: now, hosts: HashMap::new(), networks: HashMap::new(), all: Count::default() }
    }

    /// Sets other bounds. The connections stay counted as they are.
    pub(super) fn adopt(&mut self, bounds: Bounds) {
        self.bounds = bounds;
    }

    /// The standing of a new connection from `site`, which is not counted yet.
    pub(super) fn standing_of(&mut self, site: impl Into<Site>, now: Instant) -> Result<Standing, Excess> {
        let site = site.into();
        self.begin_minute(now);
        let host = self.host(site);
        let standing = self.bounds.standing(&host, 1)?;
        let standing = match site.network().map(|network| self.network(network)) {
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
    pub(super) fn has_room(&self, site: impl Into<Site>) -> bool {
        let site = site.into();
        let has_room = |count: Count, times| count.served < self.bounds.served(&count, times);
        has_room(self.host(site), 1)
            && site.network().is_none_or(|network| has_room(self.network(network), NETWORK))
            && self.all.served < self.bounds.unauthenticated
    }

    /// Whether so many connections of `site` have failed that its waiting ones are refused.
    pub(super) fn has_failed_too_often(&self, site: impl Into<Site>) -> bool {
        let site = site.into();
        self.host(site).failed >= self.bounds.attempts
            || site.network().is_some_and(|network| {
                self.network(network).failed >= self.bounds.attempts.saturating_mul(NETWORK)
            })
    }

    /// Changes the standing of a connection of `site`; `None` before it is accepted and after its end.
    pub(super) fn change(&mut self, site: impl Into<Site>, from: Option<Standing>, to: Option<Standing>) {
        self.update(site.into(), |count| count.change(from, to));
        self.all.change(from, to);
    }

    /// Counts a connection of `site` that ended without authentication.
    pub(super) fn fail(&mut self, site: impl Into<Site>) {
        self.update(site.into(), |count| count.failed = count.failed.saturating_add(1));
    }

    fn update(&mut self, site: Site, update: impl Fn(&mut Count)) {
        update_in(&mut self.hosts, site, &update);
        if let Some(network) = site.network() {
            update_in(&mut self.networks, network, &update);
        }
    }

    fn host(&self, site: Site) -> Count {
        self.hosts.get(&site).copied().unwrap_or_default()
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
            forget_failures(&mut self.hosts);
            forget_failures(&mut self.networks);
        }
    }
}

fn forget_failures<K: Eq + Hash>(counts: &mut HashMap<K, Count>) {
    counts.retain(|_, count| {
        count.failed = 0;
        count.total() > 0
    });
    counts.shrink_to(REMEMBERED);
}

fn update_in<K: Copy + Eq + Hash>(counts: &mut HashMap<K, Count>, key: K, update: &impl Fn(&mut Count)) {
    let count = counts.entry(key).or_default();
    update(count);
    if *count == Count::default() {
        counts.remove(&key);
    }
}

/// The bounds of an IPv6 /48, in multiples of those of one address: enough for several busy hosts, and far
/// less than its 65,536 /64s would have each.
const NETWORK: usize = 4;

/// Addresses without a connection whose failures are kept: 100 bytes each, 1.6 MiB in both tables.
const REMEMBERED: usize = 8192;

/// The time in which attempts are counted.
const MINUTE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests;
