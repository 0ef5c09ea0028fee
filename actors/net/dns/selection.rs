//! Selects targets and addresses of an answer, and orders them (RFC 2782).

use trust_dns_resolver::proto::rr::{Name, rdata::SRV};

use super::{MOST_TARGETS, Target};

/// Returns the targets of one answer with the best priorities, at most [`MOST_TARGETS`], each host and port
/// once.
///
/// The target `.` declares that there is no service; it is left out. An answer can have thousands of records,
/// so only the first by priority are examined.
pub(super) fn best_targets(records: Vec<SRV>, direct_tls: bool) -> Vec<Target> {
    let mut records: Vec<SRV> = records.into_iter().filter(|record| !record.target.is_root()).collect();
    // Among too many records of equal priority, the choice must not depend on their order in the answer.
    rotate(&mut records);
    records.sort_by_key(|record| record.priority);
    records.truncate(MAX_EXAMINED);
    let mut targets: Vec<Target> = Vec::new();
    for record in records {
        let host = without_dot(&record.target);
        if targets.iter().any(|known| known.port == record.port && known.host == host) {
            continue;
        }
        targets.push(Target {
            host,
            port: record.port,
            direct_tls,
            priority: record.priority,
            weight: record.weight,
            from_srv: true,
        });
        if targets.len() == MOST_TARGETS {
            break;
        }
    }
    targets
}

/// Returns `most` of the addresses of one answer, each once, beginning at a random one.
pub(super) fn some_addresses<T: PartialEq>(mut addresses: Vec<T>, most: usize) -> Vec<T> {
    rotate(&mut addresses);
    let mut kept = Vec::new();
    for address in addresses {
        if kept.len() == most {
            break;
        }
        if !kept.contains(&address) {
            kept.push(address);
        }
    }
    kept
}

/// Puts `items` in a random order. All orders are equally likely.
pub(super) fn shuffle<T>(items: &mut [T]) {
    for last in (1..items.len()).rev() {
        items.swap(last, random_index(last));
    }
}

/// Rotates `items` so that a random one is first.
fn rotate<T>(items: &mut [T]) {
    if let Some(last) = items.len().checked_sub(1) {
        items.rotate_left(random_index(last));
    }
}

/// Returns a random index from 0 to `last`.
fn random_index(last: usize) -> usize {
    u32::try_from(last).map_or(0, |last| random_up_to(last) as usize)
}

fn without_dot(name: &Name) -> String {
    name.to_ascii().trim_end_matches('.').to_ascii_lowercase()
}

/// Orders `targets` by priority, and targets of one priority by weighted random selection (RFC 2782).
///
/// `draw(n)` returns a number from 0 to `n`, both included, with equal probability. The running time is
/// quadratic in the number of targets, which is bounded.
pub(super) fn by_weight(mut targets: Vec<Target>, mut draw: impl FnMut(u32) -> u32) -> Vec<Target> {
    // Targets of weight 0 are first in their priority, so they have a small chance (RFC 2782).
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

/// Returns a random number from 0 to `most`, both included.
pub(super) fn random_up_to(most: u32) -> u32 {
    let mut bytes = [0; 8];
    // Without random bytes the order of the answer is used.
    if openssl::rand::rand_bytes(&mut bytes).is_err() {
        return 0;
    }
    // The high half of the product of 64 random bits and the range; the bias is below 2⁻³².
    let scaled = (u128::from(u64::from_ne_bytes(bytes)) * (u128::from(most) + 1)) >> 64;
    u32::try_from(scaled).unwrap_or(most)
}

/// The number of records of one answer that are examined: more than twice the number of targets, since some
/// may be equal.
const MAX_EXAMINED: usize = 50;

#[cfg(test)]
mod tests {
    use super::*;

    fn record(priority: u16, port: u16, host: &str) -> SRV {
        SRV::new(priority, 0, port, Name::from_ascii(host).unwrap())
    }

    #[test]
    fn keeps_the_best_of_a_large_answer() {
        let records = (0..3_000).rev().map(|number| record(number, 5269, &format!("h{number}.example.")));
        let kept = best_targets(records.collect(), false);
        assert_eq!(kept.iter().map(|target| target.priority).collect::<Vec<_>>(), Vec::from_iter(0..20));
    }

    #[test]
    fn keeps_a_host_and_port_once_however_it_is_written() {
        let records = vec![
            record(1, 5269, "x.example."),
            record(2, 5269, "X.Example."),
            record(3, 5269, "x.example"),
            record(4, 5270, "x.example."),
            record(5, 5269, "y.example."),
        ];
        let kept: Vec<String> = best_targets(records, true).iter().map(ToString::to_string).collect();
        assert_eq!(kept, ["x.example:5269", "x.example:5270", "y.example:5269"]);
    }

    #[test]
    fn the_root_target_is_left_out() {
        assert_eq!(best_targets(vec![record(0, 0, ".")], false), []);
    }

    #[test]
    fn each_of_equal_items_is_first_sometimes() {
        let mut first = [0_u32; 4];
        for _ in 0..400 {
            let mut items = [0, 1, 2, 3];
            shuffle(&mut items);
            first[items[0]] += 1;
        }
        // Each is expected a hundred times; less than 40 is met once in 10^13 runs.
        assert!(first.iter().all(|seen| *seen > 40), "{first:?}");
    }

    #[test]
    fn each_of_too_many_addresses_is_selected_sometimes_and_none_twice() {
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..400 {
            let kept = some_addresses(vec![1, 2, 2, 3, 4, 4], 2);
            assert!(kept.len() == 2 && kept[0] != kept[1], "{kept:?}");
            seen.extend(kept);
        }
        assert_eq!(Vec::from_iter(seen), [1, 2, 3, 4]);
    }

    fn target(host: &str, priority: u16, weight: u16) -> Target {
        Target { host: host.to_owned(), port: 5269, direct_tls: false, priority, weight, from_srv: true }
    }

    fn hosts(targets: Vec<Target>) -> String {
        targets.into_iter().map(|target| target.host).collect()
    }

    #[test]
    fn priority_goes_before_weight() {
        let targets = vec![target("c", 30, 65535), target("a", 10, 0), target("b", 20, 1)];
        assert_eq!(hosts(by_weight(targets, random_up_to)), "abc");
    }

    #[test]
    fn the_draw_selects_by_the_running_sum() {
        let targets = || vec![target("x", 1, 10), target("y", 1, 20), target("z", 1, 30)];
        let first = |lot| hosts(by_weight(targets(), |_| lot)).remove(0);
        assert_eq!([0, 10, 11, 30, 31, 60].map(first), ['x', 'x', 'y', 'y', 'z', 'z']);
    }

    #[test]
    fn the_draw_is_from_the_sum_of_the_remaining_weights() {
        let mut most = Vec::new();
        by_weight(vec![target("x", 1, 10), target("y", 1, 20), target("z", 2, 5)], |n| {
            most.push(n);
            0
        });
        assert_eq!(most, [30, 20, 5]);
    }

    #[test]
    fn weight_zero_is_first_in_the_running_sum_and_seldom_selected() {
        let targets = || vec![target("x", 1, 10), target("o", 1, 0)];
        assert_eq!(hosts(by_weight(targets(), |_| 0)), "ox");
        assert_eq!(hosts(by_weight(targets(), |most| most.min(1))), "xo");
    }

    #[test]
    fn shares_follow_weights() {
        let weights = [1_u16, 2, 3, 4];
        let mut seen = [0_u32; 4];
        for _ in 0..10_000 {
            let targets = weights.iter().map(|weight| target(&weight.to_string(), 1, *weight)).collect();
            let first: usize = by_weight(targets, random_up_to)[0].host.parse().unwrap();
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
        let seen: std::collections::BTreeSet<u32> = (0..1000).map(|_| random_up_to(3)).collect();
        assert_eq!(Vec::from_iter(seen), [0, 1, 2, 3]);
        assert_eq!(random_up_to(0), 0);
    }
}
