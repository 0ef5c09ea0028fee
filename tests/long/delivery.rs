//! Delivery under many interruptions, by the tests of `tests/delivery.rs`, and peers that never acknowledge.

use crate::delivery::{
    End, Plan, both_ways_between_two_nodes, from_prosody, of_a_node, of_prosody, to_a_slow_component,
    to_prosody,
};
use crate::support::Reset;

/// Ten resets in 20,000 messages.
const TEN: Plan = Plan { messages: 20_000, cuts: 10 };

/// Twenty restarts.
const TWENTY: Plan = Plan { messages: 40_000, cuts: 20 };

#[test]
fn ten_resets_between_two_nodes_lose_and_repeat_nothing() {
    both_ways_between_two_nodes(TEN, Reset::Both);
}

#[test]
fn ten_resets_that_only_the_sender_sees_lose_and_repeat_nothing() {
    both_ways_between_two_nodes(TEN, Reset::Initiator);
}

#[test]
fn ten_resets_that_only_the_receiver_sees_lose_and_repeat_nothing() {
    both_ways_between_two_nodes(TEN, Reset::Receiver);
}

#[test]
fn ten_resets_with_a_slow_component_lose_and_repeat_nothing() {
    to_a_slow_component(TEN);
}

/// The bound holds on an idle machine: it is what one round trip on loopback leaves unacknowledged.
#[test]
fn ten_resets_on_the_way_to_prosody_repeat_at_most_five_messages_each() {
    for seen_by in [Reset::Both, Reset::Initiator] {
        let repeats = to_prosody(TEN, seen_by);
        assert!(repeats <= 5 * TEN.cuts, "{repeats} repeats in {} resets", TEN.cuts);
    }
}

#[test]
fn the_count_for_prosody_is_what_was_delivered_at_ten_cuts() {
    from_prosody(TEN);
}

#[test]
fn a_node_that_stops_twenty_times_loses_and_repeats_nothing() {
    of_a_node(TWENTY, End::Stopped);
}

#[test]
fn a_prosody_that_stops_twenty_times_loses_nothing() {
    of_prosody(TWENTY);
}

#[test]
fn a_node_that_is_killed_twenty_times_leaves_each_message_delivered_or_answered() {
    of_a_node(TWENTY, End::Killed);
}

#[test]
fn a_node_with_a_journal_that_is_killed_twenty_times_loses_nothing() {
    of_a_node(TWENTY, End::KilledWithJournal);
}
