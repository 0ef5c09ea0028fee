//! Stanzas of other nodes in an outbox: what a node takes back is not written.

use std::{sync::Arc, time::Duration};

use actix::{Actor, Context, Handler};
use cluster::name::NodeName;

use super::*;
use crate::flow::{
    fence::{Fence, Lease, Mark},
    journal::{ParcelChanged, Receipt},
};
use mailbox::{Meter, Queued};

/// Has no messages handled.
struct Ferry;

impl Actor for Ferry {
    type Context = Context<Self>;
}

impl Handler<Queued<ParcelChanged>> for Ferry {
    type Result = ();

    fn handle(&mut self, _: Queued<ParcelChanged>, _: &mut Context<Self>) {}
}

fn fence() -> Fence {
    let now = clock::now();
    let lease = Arc::new(Lease::new(now, now + Duration::from_secs(3600)));
    Fence::new(lease, NodeName::new("b").unwrap())
}

/// Stanzas of a parcel behind this fence.
fn lent(fence: &Fence, ids: std::ops::Range<usize>) -> (Batch, Mark) {
    let (ferry, _) = mailbox::open::<Ferry>(&Meter::new("ferry", 8, None), "ferry");
    let (receipt, mark) = Receipt::of_parcel(1, false, ferry.outlet(), fence.clone());
    (Batch { receipt, ..batch(ids) }, mark)
}

fn written(chunk: Option<Vec<Bytes>>) -> Vec<String> {
    let ids = chunk.into_iter().flatten().map(|bytes| {
        let stanza = Stanza::restore(bytes).unwrap();
        stanza.id().unwrap().into_owned()
    });
    ids.collect()
}

#[test]
fn what_is_taken_back_is_dropped_and_the_others_are_written_in_order() {
    let (one, other) = (fence(), fence());
    let mut outbox = Outbox::new(BUDGET);
    let ((first, first_mark), (second, second_mark)) = (lent(&one, 1..3), lent(&other, 4..6));
    for batch in [batch(0..1), first, batch(3..4), second, batch(6..7)] {
        outbox.accept(batch);
    }
    one.end();
    assert!(!first_mark.is_touched() && !second_mark.is_touched());
    assert_eq!(written(outbox.next_chunk(clock::now())), ["0", "3", "4", "5", "6"]);
    assert!(second_mark.is_touched());
    outbox.written(clock::now());
    assert!(outbox.is_empty());
    assert_eq!((outbox.stanzas_written(), outbox.amounts().1), (5, Amount::default()));
}

#[test]
fn stanzas_of_another_node_that_a_lost_connection_may_have_carried_are_among_those_of_the_warning() {
    let fence = fence();
    let mut outbox = Outbox::of_component(BUDGET);
    let (lent, _) = lent(&fence, 0..3);
    outbox.accept(lent);
    outbox.accept(batch(3..4));
    assert_eq!(written(outbox.next_chunk(clock::now())).len(), 4);
    outbox.written(clock::now());
    let own = outbox.amounts().1;
    assert_eq!(outbox.mark_recent_uncertain(clock::now()), 3, "{own:?}");
    assert_eq!(outbox.mark_recent_uncertain(clock::now()), 0);
}

#[test]
fn a_parcel_that_waits_behind_a_chunk_has_no_mark() {
    let fence = fence();
    let mut outbox = Outbox::new(BUDGET);
    outbox.accept(batch(0..1));
    assert!(outbox.next_chunk(clock::now()).is_some());
    let (lent, mark) = lent(&fence, 1..3);
    outbox.accept(lent);
    assert!(outbox.next_chunk(clock::now()).is_none() && !mark.is_touched());
    fence.end();
    outbox.written(clock::now());
    assert!(outbox.next_chunk(clock::now()).is_none());
    assert!(outbox.is_empty());
}

#[test]
fn with_acks_only_what_is_written_counts_on_the_stream() {
    let fence = fence();
    let mut outbox = Outbox::with_acks(BUDGET, 0);
    outbox.confirm_acks(true);
    let (lent, _) = lent(&fence, 1..3);
    for batch in [batch(0..1), lent, batch(3..4)] {
        outbox.accept(batch);
    }
    fence.end();
    assert!(outbox.next_chunk(clock::now()).is_some());
    outbox.written(clock::now());
    assert_eq!(outbox.unacked(), 2);
    assert!(outbox.acknowledged(2, clock::now()).is_ok());
    assert!(outbox.is_settled());
}

#[test]
fn a_component_that_closes_its_stream_gives_back_what_other_nodes_have_lent() {
    let fence = fence();
    let mut outbox = Outbox::of_component(BUDGET);
    let (lent, mark) = lent(&fence, 0..2);
    outbox.accept(lent);
    let returned = outbox.take_stanzas();
    assert_eq!(ids(&returned[0].stanzas), ["0", "1"]);
    assert!(returned[0].receipt.is_of_a_parcel() && !mark.is_touched());
}
