//! Several nodes, by the tests of `tests/cluster.rs`: more ends of the node with the link, and more cold domains.

use crate::cluster::{of_cold_domains, of_holders_that_are_killed, of_holders_that_stop};

#[test]
fn nothing_is_lost_or_repeated_when_the_holder_stops_ten_times() {
    of_holders_that_stop(10);
}

#[test]
fn nothing_that_the_surviving_node_took_is_lost_when_the_holder_is_killed_ten_times() {
    of_holders_that_are_killed(10);
}

#[test]
fn a_thousand_cold_domains_get_one_link_each_though_both_nodes_need_it() {
    of_cold_domains(1_000);
}
