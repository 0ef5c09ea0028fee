//! Random schedules, each determined by a seed: outages, partitions, stops, lost and repeated frames, slow links.

use std::collections::{BTreeMap, BTreeSet};

use ::cluster::{engine::fake::Faults, ferry::Ranges};

use super::{
    stanzas::{carry_parcel, parcel, write},
    *,
};
use crate::flow::{batch::Batch, ferry::Event};

/// What one relay knows.
#[derive(Default)]
struct Known {
    /// Given to the ferry, with the ids.
    given: BTreeMap<u64, Vec<u64>>,
    settled: BTreeSet<u64>,
    /// Given back, with the numbers of the stanzas.
    given_back: BTreeMap<u64, Ranges>,
    in_doubt: BTreeSet<u64>,
    is_ended: bool,
}

/// A settled parcel was written once, in order; a parcel that came back without doubt was not written at all, and of one that
/// was given back what did not come back.
#[test]
fn sender_and_receiver_agree_about_every_parcel() {
    let mut seen = Seen::default();
    let schedules = std::env::var("NUNCIO_SCHEDULES").ok().and_then(|count| count.parse().ok());
    for seed in 1..=schedules.unwrap_or(SCHEDULES) {
        // Each has a runtime of its own, with which its actors end.
        actix_rt::System::new().block_on(one_schedule(seed, &mut seen));
    }
    let Seen { settled, given_back, sure, in_doubt } = seen;
    assert!(
        settled > 0 && given_back > 0 && sure > 0 && in_doubt > 0,
        "{settled} settled, {given_back} given back, {sure} came back, {in_doubt} in doubt"
    );
}

/// What has become of parcels.
#[derive(Default)]
struct Seen {
    settled: usize,
    given_back: usize,
    /// Came back, and was not written.
    sure: usize,
    in_doubt: usize,
}

async fn one_schedule(seed: u64, seen: &mut Seen) {
    let mut state = seed;
    let mut below = move |limit: u64| ::cluster::engine::fake::random(&mut state) % limit;
    let faults = Faults { frame_lost: below(150), twice: below(150), ..Faults::none() };
    let mut world = World::new(seed, faults);
    world.window = [5_000, 50_000, 1 << 20][below(3) as usize];
    let [mut a, mut b] = world.nodes(["a", "b"]).await;
    let mut way = b.way_to(&mut a).await;
    let mut relays: BTreeMap<u64, Known> = BTreeMap::new();
    let mut outlets = BTreeMap::new();
    let (mut last_relay, mut last_id) = (0, 0);
    let mut queue: Vec<Batch> = Vec::new();
    let mut written: Vec<u64> = Vec::new();
    for _ in 0..60 {
        match below(12) {
            0..=4 => {
                // Sometimes a new relay, always after the end of the last one.
                if last_relay == 0 || relays[&last_relay].is_ended {
                    last_relay += 1;
                    relays.insert(last_relay, Known::default());
                    outlets.insert(last_relay, b.relay(last_relay));
                }
                let known = relays.get_mut(&last_relay).unwrap();
                for _ in 0..=below(5) {
                    let number = known.given.len() as u64 + 1;
                    let ids: Vec<u64> = (1..=1 + below(20)).map(|more| last_id + more).collect();
                    last_id += ids.len() as u64;
                    carry_parcel(&way, &outlets[&last_relay], parcel(number, &ids, below(4_000) as usize));
                    known.given.insert(number, ids);
                }
            }
            5..=8 => {
                let count = below(30).min(queue.len() as u64) as usize;
                let rest = queue.split_off(count);
                written.extend(write(std::mem::replace(&mut queue, rest)));
            }
            // Whoever has them cannot deliver the last ones.
            9 if below(2) == 0 => {
                let count = below(4).min(queue.len() as u64) as usize;
                let mut tail = queue.split_off(queue.len() - count).into_iter();
                if let Some(mut first) = tail.next() {
                    let delivered = below(first.stanzas.len() as u64) as usize;
                    first.split_off(delivered).give_back();
                    queue.extend(Some(first).filter(|it| !it.stanzas.is_empty()));
                }
                tail.for_each(Batch::give_back);
            }
            9 if below(2) == 0 => {
                let client = if below(2) == 0 { a.client } else { b.client };
                let client = if seed.is_multiple_of(2) { a.client } else { client };
                world.cuts_off(client).await;
                tokio::time::sleep(Duration::from_millis(below(30_000))).await;
                let some = queue.len().min(below(4) as usize);
                written.extend(write(queue.drain(..some).collect()));
                world.rejoins(client).await;
                tokio::time::sleep(Duration::from_millis(below(20_000))).await;
            }
            10 if below(3) == 0 => {
                world.hub.act(|broker, now| broker.stops(now)).await;
                tokio::time::sleep(Duration::from_millis(below(9_000))).await;
                world.hub.act(|broker, now| broker.starts(now)).await;
            }
            // All processes hang.
            11 if below(4) == 0 => tokio::time::advance(Duration::from_millis(below(20_000))).await,
            _ => tokio::time::sleep(Duration::from_millis(below(300))).await,
        }
        tokio::task::yield_now().await;
        hear(&mut a, &mut b, &mut relays, &mut queue);
        if relays.get(&last_relay).is_some_and(|known| known.is_ended) {
            tokio::time::sleep(Duration::from_secs(40)).await;
            hear(&mut a, &mut b, &mut relays, &mut queue);
            way = b.way_to(&mut a).await;
        }
    }
    // Until everything has come to an end.
    for _ in 0..60 {
        tokio::time::sleep(Duration::from_secs(2)).await;
        hear(&mut a, &mut b, &mut relays, &mut queue);
        written.extend(write(std::mem::take(&mut queue)));
    }
    check(seed, &relays, &written, seen);
}

/// Takes what was said.
fn hear(a: &mut Node, b: &mut Node, relays: &mut BTreeMap<u64, Known>, queue: &mut Vec<Batch>) {
    for said in a.rest() {
        if let Said::Route(route) = said {
            queue.extend(route.batches);
        }
    }
    for said in b.rest() {
        let Said::Relay(relay, event) = said else { continue };
        let known = relays.get_mut(&relay).unwrap();
        assert!(!known.is_ended, "{event:?} after the end");
        match event {
            Event::Settled { numbers } => known.settled.extend(numbers),
            Event::GivenBack { number, stanzas } => {
                assert!(known.given_back.insert(number, stanzas).is_none());
            }
            Event::Allowed { .. } | Event::TooLong { .. } => {}
            Event::Ended { in_doubt, .. } => {
                known.in_doubt.extend(in_doubt);
                known.is_ended = true;
            }
        }
    }
}

fn check(seed: u64, relays: &BTreeMap<u64, Known>, written: &[u64], seen: &mut Seen) {
    assert!(
        written.is_sorted_by(|one, next| one < next),
        "seed {seed}: order, and nothing twice: {written:?}"
    );
    let written: BTreeSet<u64> = written.iter().copied().collect();
    for (relay, known) in relays {
        assert!(known.settled.is_disjoint(&known.in_doubt), "seed {seed}");
        seen.settled += known.settled.len();
        seen.in_doubt += known.in_doubt.len();
        for (number, ids) in &known.given {
            let count = ids.iter().filter(|id| written.contains(id)).count();
            if let Some(stanzas) = known.given_back.get(number) {
                seen.given_back += 1;
                for (id, place) in ids.iter().zip(0..) {
                    assert_eq!(
                        written.contains(id),
                        !stanzas.contains(place),
                        "seed {seed}, relay {relay}: stanza {place} of parcel {number}"
                    );
                }
            } else if known.settled.contains(number) {
                assert_eq!(count, ids.len(), "seed {seed}, relay {relay}: parcel {number} is settled");
            } else {
                assert!(
                    known.is_ended,
                    "seed {seed}, relay {relay}: parcel {number} came back or is settled"
                );
                let is_sure = !known.in_doubt.contains(number);
                seen.sure += usize::from(is_sure);
                assert!(!is_sure || count == 0, "seed {seed}, relay {relay}: parcel {number} came back");
            }
        }
    }
}

/// They take a few seconds. `NUNCIO_SCHEDULES` sets another number.
const SCHEDULES: u64 = 30;
