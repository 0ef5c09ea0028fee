//! Each outcome of a stanza in the account, and the difference that a stanza without an outcome makes.

use super::{totals::Figure, *};

fn three() -> (Arc<Totals>, Entry) {
    let all = Arc::new(Totals::default());
    let entry = Entry::take_in(&all, &Arc::default(), Amount { stanzas: 3, bytes: 300 });
    (all, entry)
}

const ONE: Amount = Amount { stanzas: 1, bytes: 100 };

const NOTHING: Amount = Amount { stanzas: 0, bytes: 0 };

/// Both sides of the equation.
fn sides(totals: &Totals) -> (Amount, Amount) {
    let settled = totals.outcomes.iter().map(Figure::read).fold(Amount::default(), Amount::plus);
    (totals.taken(), settled.plus(totals.waiting()).plus(totals.difference()))
}

#[test]
fn the_account_has_no_difference_at_any_moment() {
    let (all, mut entry) = three();
    assert_eq!((all.waiting().stanzas, all.difference()), (3, NOTHING));
    entry.settle(Outcome::Written, ONE);
    assert_eq!((all.waiting(), all.difference()), (Amount { stanzas: 2, bytes: 200 }, NOTHING));
    let mut other = entry.split(ONE);
    other.settle_rest(Outcome::Answered);
    entry.settle_rest(Outcome::Expired);
    drop((entry, other));
    assert_eq!((all.waiting(), all.difference()), (NOTHING, NOTHING));
    assert_eq!(all.settled(Outcome::Answered), ONE);
    assert_eq!(sides(&all).0, sides(&all).1);
}

#[test]
fn a_stanza_without_an_outcome_shows_as_a_difference() {
    let (all, mut entry) = three();
    entry.settle(Outcome::Written, ONE);
    drop(entry);
    assert_eq!((all.waiting(), all.difference()), (NOTHING, Amount { stanzas: 2, bytes: 200 }));
    assert_eq!(sides(&all).0, sides(&all).1);
}

#[test]
fn entries_of_one_domain_can_be_merged() {
    let (all, mut entry) = three();
    let mut whole = Entry::none();
    whole.merge(entry.split(ONE));
    whole.merge(entry);
    whole.settle_rest(Outcome::Written);
    assert_eq!((all.settled(Outcome::Written).stanzas, all.difference()), (3, NOTHING));
}

/// The unacknowledged and the acknowledged amount.
fn acks(totals: &Totals) -> (Amount, Amount) {
    (totals.unacked(), totals.acknowledged())
}

#[test]
fn written_stanzas_are_unacknowledged_until_the_peer_acknowledges_them() {
    let ((all, mut entry), mut unacked) = (three(), UnackedEntry::default());
    entry.write_unacked(ONE.plus(ONE), &mut unacked);
    assert_eq!((acks(&all), all.waiting()), ((ONE.plus(ONE), NOTHING), ONE));
    unacked.acknowledge(ONE);
    entry.acknowledge_waiting(ONE);
    assert_eq!((acks(&all), all.waiting()), ((ONE, ONE.plus(ONE)), NOTHING));
    unacked.acknowledge(ONE.plus(ONE));
    assert_eq!(acks(&all), (NOTHING, ONE.plus(ONE).plus(ONE)), "no more than is unacknowledged");
    drop((entry, unacked));
    assert_eq!((all.settled(Outcome::Written).stanzas, all.difference()), (3, NOTHING));
    assert_eq!(sides(&all).0, sides(&all).1);
}

#[test]
fn unacknowledged_stanzas_wait_again_when_their_link_is_lost() {
    let ((all, mut entry), mut unacked) = (three(), UnackedEntry::default());
    entry.write_unacked(ONE.plus(ONE).plus(ONE), &mut unacked);
    entry.take_back(ONE.plus(ONE), &mut unacked);
    assert_eq!((acks(&all), all.waiting()), ((ONE, NOTHING), ONE.plus(ONE)));
    assert_eq!(all.settled(Outcome::Written), ONE);
    entry.repeat(ONE);
    unacked.expect_no_ack(ONE);
    assert_eq!((acks(&all), all.repeated()), ((NOTHING, NOTHING), ONE));
    assert_eq!(sides(&all).0, sides(&all).1);
    entry.settle_rest(Outcome::Uncertain);
    drop((entry, unacked));
    assert_eq!((all.difference(), all.settled(Outcome::Written)), (NOTHING, ONE));
    assert_eq!(sides(&all).0, sides(&all).1);
}

#[test]
fn unacknowledged_stanzas_of_a_session_that_panics_show_as_a_difference() {
    let ((all, mut entry), mut unacked) = (three(), UnackedEntry::default());
    entry.write_unacked(ONE.plus(ONE), &mut unacked);
    drop(unacked);
    assert_eq!((all.difference(), acks(&all)), (ONE.plus(ONE), (NOTHING, NOTHING)));
    assert_eq!(sides(&all).0, sides(&all).1);
    drop(entry);
    assert_eq!((all.waiting(), all.difference()), (NOTHING, Amount { stanzas: 3, bytes: 300 }));
    assert_eq!(sides(&all).0, sides(&all).1);
}
