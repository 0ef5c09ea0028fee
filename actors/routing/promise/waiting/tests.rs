//! The queues of all pairs: holds, the limit of all queues together, and the cost of a pair.

use std::time::Duration;

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

/// Bounds of which only the memory of all queues matters: it has room for one pair and three stanzas.
fn narrow() -> Bounds {
    let three = 3 * Queue::weight_of(&messages(0..1).stanzas[0]);
    Bounds { max_stanzas: 100, total_bytes: PAIR_COST + three, ..bounds() }
}

#[test]
fn a_full_queue_refuses_at_once_what_is_beyond_its_bounds_and_holds_nothing() {
    let (mut waiting, pair, now) = open(bounds());
    assert!(waiting.append(&pair, messages(0..2), Arrival::New(now)).is_empty());
    let refused = waiting.append(&pair, messages(2..5), Arrival::New(now));
    assert_eq!(refused.iter().map(|(bound, _)| *bound).collect::<Vec<_>>(), [Bound::Stanzas]);
    assert_eq!(ids(&[refused.into_iter().next().unwrap().1]), ["3", "4"]);
    assert!(waiting.first_held(now + HOLD).is_none());
    assert_eq!((waiting.queued(&pair), waiting.amount(&pair).stanzas), (3, 3));
    assert_eq!(ids(&waiting.take_all(&pair)), ["0", "1", "2"]);
}

#[test]
fn without_memory_batches_of_all_pairs_are_held_in_order_of_arrival_and_for_three_seconds_at_most() {
    let (mut waiting, pair, now) = open(narrow());
    let other = batch("message", "c.example", 0..1).pair();
    assert!(waiting.append(&pair, messages(0..4), Arrival::New(now)).is_empty());
    waiting.hold(batch("message", "c.example", 0..1), Arrival::New(now + HOLD / 3));
    assert!(waiting.append(&pair, messages(4..5), Arrival::New(now + HOLD / 2)).is_empty());
    let amount = |waiting: &Waiting, pair| waiting.amount(pair).stanzas;
    assert_eq!((waiting.queued(&pair), amount(&waiting, &pair), amount(&waiting, &other)), (3, 5, 1));
    assert!(waiting.first_held(now + HOLD / 2).is_none(), "there is still no memory");

    // One stanza leaves: the rest of the first batch fits.
    assert_eq!(ids(&waiting.take_portion(&pair, 1)), ["0"]);
    let Some(FirstHeld::Fits(first, arrival)) = waiting.first_held(now + HOLD / 2) else { panic!() };
    assert_eq!(ids(std::slice::from_ref(&first)), ["3"]);
    assert!(waiting.append(&pair, first, arrival).is_empty());

    // The next needs memory for its pair as well; nothing overtakes it.
    assert_eq!(ids(&waiting.take_portion(&pair, 1)), ["1"]);
    assert!(waiting.first_held(now + HOLD / 2).is_none());
    assert!(!waiting.has_room_for_a_pair());
    let Some(FirstHeld::IsLate(late)) = waiting.first_held(now + HOLD / 3 + HOLD) else { panic!() };
    assert_eq!(late.pair(), other);
    let Some(FirstHeld::Fits(last, _)) = waiting.first_held(now + HOLD / 3 + HOLD) else { panic!() };
    assert_eq!(ids(&[last]), ["4"]);
}

#[test]
fn the_rest_of_a_held_batch_stays_the_first_and_keeps_its_time() {
    let (mut waiting, pair, now) = open(narrow());
    waiting.append(&pair, messages(0..5), Arrival::New(now));
    waiting.append(&pair, messages(5..6), Arrival::New(now));
    waiting.take_portion(&pair, 1);
    let Some(FirstHeld::Fits(first, arrival)) = waiting.first_held(now + HOLD / 2) else { panic!() };
    assert_eq!(ids(std::slice::from_ref(&first)), ["3", "4"]);
    waiting.append(&pair, first, arrival);
    assert!(waiting.first_held(now + HOLD / 2).is_none());
    let Some(FirstHeld::IsLate(rest)) = waiting.first_held(now + HOLD) else { panic!() };
    assert_eq!(ids(&[rest]), ["4"]);
}

#[test]
fn everything_is_taken_out_in_order_and_held_batches_last() {
    let (mut waiting, pair, now) = open(narrow());
    waiting.append(&pair, messages(1..6), Arrival::New(now));
    waiting.put_back(&pair, LeftBehind { unwritten: vec![messages(0..1)], ..LeftBehind::default() });
    assert!(!waiting.is_idle(&pair));
    let mut portions = waiting.take_portion(&pair, usize::MAX);
    portions.extend(waiting.take_portion(&pair, usize::MAX));
    assert_eq!(ids(&portions), ["0", "1", "2", "3", "4", "5"]);
    assert!(waiting.is_idle(&pair) && waiting.take_portion(&pair, 1).is_empty());
    waiting.append(&pair, messages(1..6), Arrival::New(now));
    assert_eq!(ids(&waiting.take_all(&pair)), ["1", "2", "3", "4", "5"]);
    assert_eq!((waiting.total.weight, waiting.outlook(&pair)), (0, (None, true)));
}

#[test]
fn requests_and_expired_stanzas_are_taken_out_and_no_longer_weigh() {
    let (mut waiting, pair, now) = open(bounds());
    waiting.append(&pair, messages(0..1), Arrival::New(now));
    let one = waiting.total.weight;
    waiting.append(&pair, batch("iq", "b.example", 1..2), Arrival::New(now));
    assert_eq!(ids(&waiting.take_requests(&pair)), ["1"]);
    assert_eq!(waiting.total.weight, one);
    let expiry = waiting.outlook(&pair).0.unwrap();
    assert!(waiting.take_expired(&pair, now).is_empty());
    assert_eq!(ids(&waiting.take_expired(&pair, expiry)), ["0"]);
    assert_eq!((waiting.total.weight, waiting.is_idle(&pair)), (0, true));
}

#[test]
fn each_pair_costs_memory_until_it_is_closed() {
    let (mut waiting, one, _) = open(Bounds { total_bytes: 2 * PAIR_COST, ..bounds() });
    assert!(waiting.has_room_for_a_pair());
    waiting.open(pair("c.example"));
    assert!(!waiting.has_room_for_a_pair());
    waiting.close(&one);
    assert!(waiting.has_room_for_a_pair());
}

#[test]
fn the_heaviest_queue_gives_up_half_and_then_no_more_than_is_needed() {
    let bounds = Bounds { max_stanzas: 100, total_bytes: 1 << 15, ..bounds() };
    let (mut waiting, heavy, now) = open(bounds);
    let light = pair("c.example");
    waiting.open(light.clone());
    waiting.append(&heavy, messages(0..60), Arrival::New(now));
    waiting.append(&light, batch("message", "c.example", 0..8), Arrival::New(now));
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
        size_of::<Queue>() + size_of::<super::super::pairs::Pair>() + super::super::schedule::ENTRY_SIZE;
    let entries = 3 * size_of::<DomainPair>() + size_of::<(Instant, DomainPair)>();
    assert!(state + 2 * entries < PAIR_COST, "{state} + 2 * {entries}");
}
