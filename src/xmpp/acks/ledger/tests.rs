//! Tests of the ledger, with a model that counts in numbers that do not wrap.
use super::*;
use proptest::prelude::*;

fn too_high(h: u32, sent: u32) -> Result<u32, WrongCount> {
    Err(WrongCount::TooHigh(TooHigh { h, sent }))
}

fn decreased(h: u32, acked: u32, sent: u32) -> Result<u32, WrongCount> {
    Err(WrongCount::Decreased(Decreased { h, acked, sent }))
}

// H9
#[test]
fn a_count_of_unsent_stanzas_and_a_decreasing_one_are_refused() {
    let mut ledger = Ledger::new();
    assert_eq!(ledger.acknowledged(0), Ok(0));
    assert_eq!(ledger.acknowledged(1), too_high(1, 0));
    assert_eq!(ledger.acknowledged(u32::MAX), too_high(u32::MAX, 0));
    ledger.sent(8);
    assert_eq!(ledger.acknowledged(5), Ok(5));
    assert_eq!(ledger.acknowledged(5), Ok(0), "the same count again");
    assert_eq!(ledger.acknowledged(4), decreased(4, 5, 8));
    assert_eq!(ledger.acknowledged(0), decreased(0, 5, 8));
    assert_eq!(ledger.acknowledged(9), too_high(9, 8));
    assert_eq!(ledger.acknowledged(u32::MAX), too_high(u32::MAX, 8), "nothing has wrapped");
    assert_eq!((ledger.unacked(), ledger.acked_count(), ledger.sent_count()), (3, 5, 8));
    assert_eq!(ledger.acknowledged(8), Ok(3));
    assert_eq!(ledger.unacked(), 0);
}

// H3, H9
#[test]
fn the_counts_go_from_the_largest_number_to_zero() {
    let mut ledger = Ledger::starting_at(u32::MAX - 2);
    ledger.sent(5);
    assert_eq!((ledger.sent_count(), ledger.unacked()), (2, 5));
    assert_eq!(ledger.acknowledged(3), too_high(3, 2));
    assert_eq!(ledger.acknowledged(u32::MAX), Ok(2));
    assert_eq!(ledger.acknowledged(u32::MAX - 1), decreased(u32::MAX - 1, u32::MAX, 2));
    assert_eq!(ledger.acknowledged(0), Ok(1));
    assert_eq!(ledger.acknowledged(u32::MAX), decreased(u32::MAX, 0, 2));
    assert_eq!(ledger.acknowledged(2), Ok(2));
    assert_eq!(ledger.acknowledged(1), decreased(1, 2, 2));
    assert_eq!(ledger.acknowledged(3), too_high(3, 2));
}

#[test]
fn a_stream_is_renewed_long_before_the_counts_wrap() {
    let mut ledger = Ledger::starting_at(RENEW_AT - 1);
    assert!(!ledger.needs_renewal());
    ledger.sent(1);
    assert!(ledger.needs_renewal());
}

/// Counts that do not wrap.
#[derive(Debug)]
struct Model {
    sent: u64,
    acked: u64,
}

/// A step of the sender or of the peer.
#[derive(Clone, Copy, Debug)]
enum Step {
    Send(u32),
    /// An ack so many stanzas above the last one.
    Ack(u32),
    /// Any count.
    Any(u32),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..5_u32).prop_map(Step::Send),
        (0..5_u32).prop_map(Step::Ack),
        any::<u32>().prop_map(Step::Any),
        // The neighbours of the wrap.
        (0..8_u32).prop_map(|above| Step::Any(u32::MAX.wrapping_sub(3).wrapping_add(above))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    // H3, H9
    #[test]
    fn the_ledger_agrees_with_a_model_that_does_not_wrap(steps in prop::collection::vec(step(), 0..40)) {
        let begin = (1_u64 << 32) - 3;
        let low = |count: u64| u32::try_from(count % (1 << 32)).unwrap();
        let mut ledger = Ledger::starting_at(low(begin));
        let mut model = Model { sent: begin, acked: begin };
        for step in steps {
            let h = match step {
                Step::Send(stanzas) => {
                    ledger.sent(stanzas);
                    model.sent += u64::from(stanzas);
                    continue;
                }
                Step::Ack(above) => low(model.acked + u64::from(above)),
                Step::Any(h) => h,
            };
            // Of all sent stanzas that are not acknowledged, and the last that is, one may have this number.
            let meant = (model.acked..=model.sent).find(|count| low(*count) == h);
            let expected = match meant {
                Some(count) => Ok(u32::try_from(count - model.acked).unwrap()),
                // The nearest count with this number that is too low or too high. None is below zero.
                None => {
                    let below = (0..=1_u64).map(|wraps| (wraps << 32) + u64::from(h));
                    let below = below.filter(|count| *count < model.acked).max();
                    let above = (0..=2_u64).map(|wraps| (wraps << 32) + u64::from(h));
                    let above = above.filter(|count| *count > model.sent).min().unwrap();
                    let has_wrapped = model.sent >= 1 << 32;
                    match below.filter(|below| !has_wrapped || model.acked - below <= above - model.sent) {
                        Some(_) => decreased(h, low(model.acked), low(model.sent)),
                        None => too_high(h, low(model.sent)),
                    }
                }
            };
            prop_assert_eq!(ledger.acknowledged(h), expected);
            model.acked = meant.unwrap_or(model.acked);
            prop_assert_eq!(u64::from(ledger.unacked()), model.sent - model.acked);
            prop_assert_eq!(ledger.sent_count(), low(model.sent));
            prop_assert_eq!(ledger.acked_count(), low(model.acked));
        }
    }
}
