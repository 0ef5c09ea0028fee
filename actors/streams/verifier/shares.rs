//! Limits of verifications: for an address, for a network, and for all initiators together.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Instant,
};

use crate::dial::token_bucket::TokenBucket;

/// Counts the verifications that are being made, or were not confirmed lately, by initiator.
#[derive(Debug)]
pub(super) struct Shares {
    sites: HashMap<IpAddr, usize>,
    networks: HashMap<IpAddr, usize>,
    /// Networks with a confirmed key, and the time of the last one.
    proved: HashMap<IpAddr, Instant>,
    /// The rate for all networks without a confirmed key.
    unproved_in_all: TokenBucket,
    /// The rate for all other networks: a flood from unknown networks does not delay them.
    proved_in_all: TokenBucket,
}

impl Shares {
    pub(super) fn new(now: Instant) -> Self {
        let in_all = TokenBucket::new(IN_ALL, IN_ALL_PER_SECOND, now);
        Self {
            sites: HashMap::new(),
            networks: HashMap::new(),
            proved: HashMap::new(),
            unproved_in_all: in_all.clone(),
            proved_in_all: in_all,
        }
    }

    /// Whether one more verification may be made for `site`, whose limit is `per_address`.
    pub(super) fn has_room(&mut self, site: IpAddr, per_address: usize, now: Instant) -> bool {
        let network = network(site);
        let of_network = self.networks.get(&network).copied().unwrap_or_default();
        self.sites.get(&site).copied().unwrap_or_default() < per_address
            && of_network < per_address.saturating_mul(SITES)
            && self.in_all(network).has_room(now)
    }

    /// Counts a verification.
    pub(super) fn take(&mut self, site: IpAddr, now: Instant) {
        let network = network(site);
        *self.sites.entry(site).or_default() += 1;
        *self.networks.entry(network).or_default() += 1;
        self.in_all(network).take(now);
    }

    /// No longer counts a verification that confirmed a key.
    pub(super) fn give_back(&mut self, site: IpAddr, now: Instant) {
        self.release(site);
        let network = network(site);
        self.in_all(network).give_back(1, now);
        if self.proved.len() >= REMEMBERED && !self.proved.contains_key(&network) {
            let oldest = self.proved.iter().min_by_key(|(_, at)| **at).map(|(network, _)| *network);
            oldest.map(|oldest| self.proved.remove(&oldest));
        }
        self.proved.insert(network, now);
    }

    /// No longer counts a verification that did not confirm a key.
    pub(super) fn release(&mut self, site: IpAddr) {
        release(&mut self.sites, site);
        release(&mut self.networks, network(site));
    }

    fn in_all(&mut self, network: IpAddr) -> &mut TokenBucket {
        if self.proved.contains_key(&network) { &mut self.proved_in_all } else { &mut self.unproved_in_all }
    }
}

fn release(counts: &mut HashMap<IpAddr, usize>, of: IpAddr) {
    if let Some(count) = counts.get_mut(&of) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&of);
        }
    }
}

/// The network of an address, as one customer may have it: an IPv6 /48 or an IPv4 /24.
fn network(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(four) => Ipv4Addr::from_bits(four.to_bits() & (u32::MAX << 8)).into(),
        IpAddr::V6(six) => Ipv6Addr::from_bits(six.to_bits() & (u128::MAX << 80)).into(),
    }
}

/// The limit of a network, in multiples of that of one address. Honest servers share networks, and their keys
/// no longer count once they are confirmed.
const SITES: usize = 4;

/// The burst of verifications without a confirmed key, for all initiators: enough for a thousand servers that
/// show their keys at once, as after a restart.
const IN_ALL: usize = 1_000;

/// The rate in the long run. With four connections and ten DNS queries each, unknown peers cause at most 80
/// connections and 200 queries per second, however many addresses they have.
const IN_ALL_PER_SECOND: f64 = 20.0;

/// Networks with a confirmed key that are kept, in about 200 KiB.
const REMEMBERED: usize = 4096;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn v6(network: u16, site: u16) -> IpAddr {
        Ipv6Addr::new(0x2001, 0xdb8, network, site, 0, 0, 0, 0).into()
    }

    /// How many of `sites` get a share, one after the other.
    fn takes(shares: &mut Shares, sites: impl IntoIterator<Item = IpAddr>, now: Instant) -> usize {
        let mut taken = 0;
        for site in sites {
            if shares.has_room(site, 32, now) {
                shares.take(site, now);
                taken += 1;
            }
        }
        taken
    }

    #[test]
    fn the_addresses_of_one_network_share_a_limit() {
        let now = clock::now();
        let mut shares = Shares::new(now);
        assert_eq!(takes(&mut shares, (0..100).map(|_| v6(1, 1)), now), 32);
        assert_eq!(takes(&mut shares, (0..u16::MAX).map(|site| v6(1, site)), now), 3 * 32);
        assert_eq!(takes(&mut shares, (0..256).map(|last| IpAddr::from([192, 0, 2, last as u8])), now), 128);
        assert_eq!(takes(&mut shares, [v6(2, 1), IpAddr::from([192, 0, 3, 1])], now), 2);
    }

    #[test]
    fn all_unknown_networks_share_a_rate_and_known_ones_have_their_own() {
        let mut now = clock::now();
        let mut shares = Shares::new(now);
        let known = v6(0, 0);
        shares.take(known, now);
        shares.give_back(known, now);
        assert_eq!(takes(&mut shares, (1..u16::MAX).map(|network| v6(network, 0)), now), IN_ALL);
        assert_eq!(takes(&mut shares, (0..10).map(|_| known), now), 10);
        now += Duration::from_secs(10);
        assert_eq!(takes(&mut shares, (1..u16::MAX).map(|network| v6(network, 1)), now), 200);
    }

    #[test]
    fn ten_thousand_confirmed_domains_of_one_address_do_not_count() {
        let now = clock::now();
        let mut shares = Shares::new(now);
        let hoster = IpAddr::from([192, 0, 2, 1]);
        for _ in 0..10_000 {
            assert!(shares.has_room(hoster, 32, now));
            shares.take(hoster, now);
            shares.give_back(hoster, now);
        }
        assert!(shares.sites.is_empty() && shares.networks.is_empty());
    }

    #[test]
    fn the_number_of_known_networks_is_bounded() {
        let now = clock::now();
        let mut shares = Shares::new(now);
        for network in 0..5_000 {
            let at = now + Duration::from_millis(network.into());
            shares.take(v6(network, 0), at);
            shares.give_back(v6(network, 0), at);
        }
        assert_eq!(shares.proved.len(), REMEMBERED);
        assert!(shares.proved.contains_key(&network(v6(4_999, 0))));
        assert!(!shares.proved.contains_key(&network(v6(0, 0))));
    }
}
