//! The order in which to try the targets of SRV records (RFC 2782).

use super::Target;

/// Orders `targets` by priority, and those of one priority by lot, each with its weight as its share.
///
/// `draw(n)` gives a number from 0 to `n`, both included, each as likely as any other.
pub(super) fn order(mut targets: Vec<Target>, mut draw: impl FnMut(u32) -> u32) -> Vec<Target> {
    // Those of weight 0 stand first in their priority: so they are drawn seldom, but are drawn.
    targets.sort_by_key(|target| (target.priority, target.weight != 0));
    let mut ordered = Vec::with_capacity(targets.len());
    while let Some(first) = targets.first() {
        let priority = first.priority;
        let peers = || targets.iter().take_while(|target| target.priority == priority);
        let lot = draw(peers().map(|target| u32::from(target.weight)).sum());
        let mut sum = 0;
        let chosen = peers().position(|target| {
            sum += u32::from(target.weight);
            sum >= lot
        });
        ordered.push(targets.remove(chosen.unwrap_or_default()));
    }
    ordered
}

/// Draws a number from 0 to `most`, both included.
pub(super) fn draw(most: u32) -> u32 {
    let mut bytes = [0; 8];
    // Without randomness the first is as good as any.
    if openssl::rand::rand_bytes(&mut bytes).is_err() {
        return 0;
    }
    // The high half of the product of 64 random bits and the range: even but for 2⁻³².
    let scaled = (u128::from(u64::from_ne_bytes(bytes)) * (u128::from(most) + 1)) >> 64;
    u32::try_from(scaled).unwrap_or(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(host: &str, priority: u16, weight: u16) -> Target {
        Target { host: host.to_owned(), port: 5269, direct_tls: false, priority, weight, from_srv: true }
    }

    fn hosts(targets: Vec<Target>) -> String {
        targets.into_iter().map(|target| target.host).collect()
    }

    #[test]
    fn priority_goes_before_weight() {
        let targets = vec![target("c", 30, 65535), target("a", 10, 0), target("b", 20, 1)];
        assert_eq!(hosts(order(targets, draw)), "abc");
    }

    #[test]
    fn the_lot_falls_where_the_running_sum_reaches_it() {
        let targets = || vec![target("x", 1, 10), target("y", 1, 20), target("z", 1, 30)];
        let first = |lot| hosts(order(targets(), |_| lot)).remove(0);
        assert_eq!([0, 10, 11, 30, 31, 60].map(first), ['x', 'x', 'y', 'y', 'z', 'z']);
    }

    #[test]
    fn the_lot_is_drawn_from_the_sum_of_what_is_left() {
        let mut most = Vec::new();
        order(vec![target("x", 1, 10), target("y", 1, 20), target("z", 2, 5)], |n| {
            most.push(n);
            0
        });
        assert_eq!(most, [30, 20, 5]);
    }

    #[test]
    fn weight_zero_is_first_in_the_running_sum_and_seldom_drawn() {
        let targets = || vec![target("x", 1, 10), target("o", 1, 0)];
        assert_eq!(hosts(order(targets(), |_| 0)), "ox");
        assert_eq!(hosts(order(targets(), |most| most.min(1))), "xo");
    }

    #[test]
    fn shares_follow_weights() {
        let weights = [1_u16, 2, 3, 4];
        let mut seen = [0_u32; 4];
        for _ in 0..10_000 {
            let targets = weights.iter().map(|weight| target(&weight.to_string(), 1, *weight)).collect();
            let first: usize = order(targets, draw)[0].host.parse().unwrap();
            seen[first - 1] += 1;
        }
        // The lots 0 to 10 are eleven, and 0 falls to the first: shares 2, 2, 3, 4 of 11.
        let chi_square: f64 = seen
            .iter()
            .zip([2.0, 2.0, 3.0, 4.0])
            .map(|(seen, share)| {
                let expected = 10_000.0 * share / 11.0;
                (f64::from(*seen) - expected).powi(2) / expected
            })
            .sum();
        // Three degrees of freedom: passed by chance once in a million runs.
        assert!(chi_square < 30.7, "{seen:?} is off by {chi_square}");
    }

    #[test]
    fn draws_from_the_whole_range() {
        let seen: std::collections::BTreeSet<u32> = (0..1000).map(|_| draw(3)).collect();
        assert_eq!(Vec::from_iter(seen), [0, 1, 2, 3]);
        assert_eq!(draw(0), 0);
    }
}
