//! The queues of all pairs: holds, the limit of all queues together, and the cost of a pair.

use xmpp::{Domain, Stanza, xml::Element};

use super::*;

fn bounds() -> Bounds {
    Bounds {
        max_stanzas: 3,
        max_bytes: 10_000,
        total_bytes: 1 << 20,
        message: Duration::from_secs(300),
        presence: Duration::from_secs(60),
        iq: Duration::from_secs(45),
        backoff_first: Duration::from_secs(1),
        backoff_longest: Duration::from_secs(300),
    }
}

fn pair(remote: &str) -> DomainPair {
    DomainPair { local: Domain::new("a.example").unwrap(), remote: Domain::new(remote).unwrap() }
}

fn batch(name: &str, remote: &str, ids: std::ops::Range<u32>) -> Batch {
    let stanza = |id: u32| {
        let stanza = Element::new(name, "jabber:server").with("from", "a@a.example");
        let stanza = stanza.with("to", format!("b@{remote}")).with("type", "get").with("id", id.to_string());
        Stanza::from_element(&stanza).unwrap()
    };
    Batch::between(Domain::new("a.example").unwrap(), Domain::new(remote).unwrap(), ids.map(stanza).collect())
}

/// Queues with these bounds, open for one pair.
fn open(bounds: Bounds) -> (Waiting, DomainPair, Instant) {
    let (mut waiting, pair) = (Waiting::new(bounds), pair("b.example"));
    waiting.open(pair.clone());
    (waiting, pair, clock::now())
}

fn messages(ids: std::ops::Range<u32>) -> Batch {
    batch("message", "b.example", ids)
}

fn ids(batches: &[Batch]) -> Vec<String> {
    let stanzas = batches.iter().flat_map(|batch| &batch.stanzas);
    stanzas.map(|stanza| stanza.id().unwrap().into_owned()).collect()
}

#[test]
fn a_full_queue_holds_batches_for_three_seconds_and_then_refuses() {
    let (mut waiting, pair, now) = open(bounds());
    assert!(matches!(waiting.append(&pair, messages(0..2), now), Appended::Queued));
    assert!(matches!(waiting.append(&pair, messages(2..5), now), Appended::Held));
    assert!(matches!(waiting.append(&pair, messages(5..6), now + HOLD / 2), Appended::Held));
    assert_eq!((waiting.queued(&pair), waiting.amount(&pair).stanzas), (3, 6));
    assert_eq!(waiting.outlook(&pair).0, Some(now + HOLD));
    assert!(!waiting.hold_is_over(&pair, now + HOLD / 2));
    assert!(waiting.hold_is_over(&pair, now + HOLD));
    assert_eq!(ids(&waiting.end_hold(&pair).unwrap()), ["3", "4", "5"]);
    assert!(waiting.end_hold(&pair).is_none(), "nothing is held");
    let Appended::Refused(refused) = waiting.append(&pair, messages(6..7), now) else { panic!() };
    assert_eq!(ids(&refused), ["6"], "refused at once");
    assert_eq!(ids(&waiting.take_all(&pair)), ["0", "1", "2"]);
    assert!(matches!(waiting.append(&pair, messages(7..11), now), Appended::Held), "held again");
}

#[test]
fn a_hold_that_ends_early_takes_what_fits_and_gives_back_the_rest() {
    let (mut waiting, pair, now) = open(bounds());
    assert!(matches!(waiting.append(&pair, messages(0..5), now), Appended::Held));
    assert_eq!(ids(&waiting.end_hold(&pair).unwrap()), ["3", "4"]);
    assert_eq!((waiting.queued(&pair), waiting.outlook(&pair).1), (3, false));
}

#[test]
fn everything_is_taken_out_in_order_and_held_batches_last() {
    let (mut waiting, pair, now) = open(bounds());
    waiting.append(&pair, messages(1..6), now);
    waiting.put_back(&pair, LeftBehind { unwritten: vec![messages(0..1)], ..LeftBehind::default() });
    assert_eq!(ids(&waiting.take_all(&pair)), ["0", "1", "2", "3", "4", "5"]);
    assert!(waiting.is_idle(&pair));
    assert_eq!((waiting.weight, waiting.outlook(&pair).0), (0, None));
}

#[test]
fn requests_and_expired_stanzas_are_taken_out_and_no_longer_weigh() {
    let (mut waiting, pair, now) = open(bounds());
    waiting.append(&pair, messages(0..1), now);
    let one = waiting.weight;
    waiting.append(&pair, batch("iq", "b.example", 1..2), now);
    assert_eq!(ids(&waiting.take_requests(&pair)), ["1"]);
    assert_eq!(waiting.weight, one);
    let expiry = waiting.outlook(&pair).0.unwrap();
    assert!(waiting.take_expired(&pair, now).is_empty());
    assert_eq!(ids(&waiting.take_expired(&pair, expiry)), ["0"]);
    assert_eq!((waiting.weight, waiting.is_idle(&pair)), (0, true));
}

#[test]
fn each_pair_costs_memory_until_it_is_closed() {
    let (mut waiting, one, _) = open(Bounds { total_bytes: 2 * PAIR_COST, ..bounds() });
    assert!(waiting.has_room_for_a_pair());
    waiting.open(pair("c.example"));
    assert!(!waiting.has_room_for_a_pair());
    waiting.close(&one);
    assert!(waiting.has_room_for_a_pair());
    let gone = waiting.append(&one, messages(0..1), clock::now());
    assert!(matches!(gone, Appended::Refused(_)), "the pair is closed");
}

#[test]
fn the_heaviest_queue_gives_up_half_and_then_no_more_than_is_needed() {
    let bounds = Bounds { max_stanzas: 100, total_bytes: 1 << 15, ..bounds() };
    let (mut waiting, heavy, now) = open(bounds);
    let light = pair("c.example");
    waiting.open(light.clone());
    waiting.append(&heavy, messages(0..60), now);
    waiting.append(&light, batch("message", "c.example", 0..8), now);
    assert!(waiting.is_crowded());
    let by_weight = waiting.by_weight();
    assert_eq!(by_weight.iter().map(|(_, pair)| pair).collect::<Vec<_>>(), [&heavy, &light]);
    let shed = waiting.shed(&heavy, by_weight[0].0).unwrap();
    let surplus = waiting.used().saturating_sub((1 << 15) / 4 * 3);
    assert_eq!(surplus, 0, "that was enough");
    assert!(ids(&shed).len() <= 30 && ids(&shed).last().unwrap() == "59", "{:?}", ids(&shed));
    assert!(waiting.shed(&light, by_weight[1].0).is_none());
    waiting.end_shedding();
    assert!(!waiting.is_crowded());
}

#[test]
fn shedding_that_does_not_suffice_is_tried_again_when_the_memory_in_use_has_grown() {
    let (mut waiting, _, _) = open(Bounds { total_bytes: 20 * PAIR_COST, ..bounds() });
    let mut remotes = (0..).map(|number| pair(&format!("{number}.example")));
    (&mut remotes).take(16).for_each(|pair| waiting.open(pair));
    assert!(waiting.is_crowded());
    waiting.end_shedding();
    assert!(!waiting.is_crowded());
    (&mut remotes).take(2).for_each(|pair| waiting.open(pair));
    assert!(waiting.is_crowded(), "more than a twentieth more");
    waiting.end_shedding();
    waiting.tidy();
    assert!(waiting.is_crowded());
}

#[test]
fn the_cost_of_a_pair_covers_its_state() {
    let state =
        size_of::<Line>() + size_of::<super::super::pairs::Pair>() + super::super::schedule::ENTRY_SIZE;
    let entries = 3 * size_of::<DomainPair>() + size_of::<(Instant, DomainPair)>();
    assert!(state + 2 * entries < PAIR_COST, "{state} + 2 * {entries}");
}
