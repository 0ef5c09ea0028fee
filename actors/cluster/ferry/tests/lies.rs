//! A peer that says what cannot be ends the session, and harms nothing.

use super::*;
use crate::ferry::{Echo, Final, Lie};

/// Changes an honest report.
type Change = fn(&mut Control);

#[test]
fn refuses_reports_that_cannot_be_true() {
    let lies: [(&str, Change, Lie); 11] = [
        ("unsent", |control| control.received = 11, Lie::ReceivedUnsent { received: 11, sent: 10 }),
        (
            "highest",
            |control| control.highest = u64::MAX,
            Lie::ReceivedUnsent { received: u64::MAX, sent: 10 },
        ),
        ("order", |control| control.highest = 3, Lie::Contradiction { received: 4, highest: 3 }),
        ("low gap", |control| control.missing.insert(4, 4), Lie::Contradiction { received: 4, highest: 8 }),
        ("high gap", |control| control.missing.insert(8, 9), Lie::Contradiction { received: 4, highest: 8 }),
        (
            "settled early",
            |control| control.settlements.settled.insert(5, 5),
            Lie::SettledUnreceived { settled: 5, received: 4 },
        ),
        (
            "settled all",
            |control| control.settlements.settled.insert(1, u64::MAX),
            Lie::SettledUnreceived { settled: u64::MAX, received: 4 },
        ),
        (
            "given back early",
            |control| control.settlements.returned.insert(5, None),
            Lie::SettledUnreceived { settled: 5, received: 4 },
        ),
        (
            "zero in part",
            |control| control.settlements.returned.insert(0, Some([(0, 0)].into_iter().collect())),
            Lie::ImpossibleNumber(0),
        ),
        ("zero", |control| control.settlements.settled.insert(0, 0), Lie::ImpossibleNumber(0)),
        (
            "future",
            |control| control.echo = Some(Echo { frame: 99, at: 0, held: 0 }),
            Lie::AnsweredUnsent { answered: 99, sent: 10 },
        ),
    ];
    for (name, change, lie) in lies {
        let now = rules::now();
        let (mut outbound, _) = ends::<u64>(1 << 20, 1 << 20, now);
        for number in 1..=10 {
            outbound.send(parcel(number, 10), 10, number, now);
            outbound.poll(now).expect("a frame");
        }
        let mut report = honest();
        change(&mut report);
        assert_eq!(outbound.handle(&report, now), Err(lie), "{name}");
        assert_eq!(outbound.unsettled(), 10, "{name}: nothing was applied");
        assert_eq!(
            outbound.handle(&honest(), now),
            Ok(settled(vec![1, 2])),
            "{name}: the truth still counts"
        );
        // Repetition is no lie: the network may repeat frames.
        assert_eq!(outbound.handle(&honest(), now), Ok(settled(vec![])), "{name}");
    }
}

/// Of ten parcels, 1 to 4 and 7 to 8 are received; 1 and 2 are settled.
fn honest() -> Control {
    Control {
        received: 4,
        highest: 8,
        missing: [(5, 6)].into_iter().collect(),
        room: 1 << 20,
        settlements: Settlements {
            first: 1,
            last: 1,
            settled: [(1, 2)].into_iter().collect(),
            returned: Returned::default(),
        },
        echo: Some(Echo { frame: 8, at: u64::MAX, held: u64::MAX }),
    }
}

#[test]
fn refuses_parcels_with_impossible_numbers() {
    let frame = |first, seen| Parcels {
        frame: 1,
        at: 0,
        seen,
        wants_answer: false,
        first,
        parcels: vec![parcel(1, 9); 2],
    };
    for (frame, lie) in [
        (frame(0, 0), Lie::ImpossibleNumber(0)),
        (frame(u64::MAX, 0), Lie::ImpossibleNumber(u64::MAX)),
        (frame(u64::MAX - 2, 0), Lie::ImpossibleNumber(u64::MAX)),
        (frame(1, 1), Lie::SeenUnsent { seen: 1, sent: 0 }),
    ] {
        let now = rules::now();
        let (_, mut inbound) = ends::<()>(1 << 20, 1 << 20, now);
        assert_eq!(inbound.handle(frame, now), Err(lie));
        assert_eq!(inbound.poll(now), None);
    }
    // A number far away is only a gap.
    let now = rules::now();
    let (_, mut inbound) = ends::<()>(1 << 20, 1 << 20, now);
    assert_eq!(inbound.handle(frame(u64::MAX - 3, 0), now), Ok(vec![]));
    let report = control(&inbound.poll(now).expect("a report"));
    assert_eq!((report.received, report.highest), (0, u64::MAX - 2));
    assert_eq!(report.missing.iter().collect::<Vec<_>>(), [(1, u64::MAX - 4)]);
}

#[test]
fn a_session_that_a_wrong_frame_has_ended_refuses_no_further_one_and_says_each_time_that_it_is_over() {
    let now = rules::now();
    let (_, mut inbound) = ends::<()>(1 << 20, 1 << 20, now);
    let wrong =
        || Parcels { frame: 1, at: 0, seen: 9, wants_answer: false, first: 1, parcels: vec![parcel(1, 9)] };
    assert_eq!(inbound.handle(wrong(), now), Err(Lie::SeenUnsent { seen: 9, sent: 0 }));
    let over = inbound.end(|_| false);
    for _ in 0..3 {
        assert_eq!(inbound.handle(wrong(), now), Ok(vec![]));
        assert_eq!(inbound.poll(now), Some(over.clone()));
    }
}

#[test]
fn an_end_that_cannot_be_true_leaves_everything_in_doubt() {
    let now = rules::now();
    let (mut outbound, _) = ends(1 << 20, 1 << 20, now);
    outbound.send(parcel(1, 10), 10, 1, now);
    outbound.poll(now).expect("a frame");
    let (settled, returned) = ([(1, 2)].into_iter().collect(), Returned::default());
    let lie = Final { received: 2, settled, returned, in_doubt: Ranges::new() };
    let ended = outbound.end(Some(&Over::Known(lie)));
    assert!(ended.reported.settled.is_empty());
    assert!(ended.unsettled.iter().all(|unsettled| unsettled.in_doubt));
}

/// Parcels that never become deliverable fill the receiver up to its limit only.
#[test]
fn parcels_behind_a_gap_are_bounded() {
    let now = rules::now();
    let (_, mut inbound) = ends::<()>(1 << 20, 10_000, now);
    for number in 2..5_000 {
        let parcels = vec![Parcel::default()];
        let frame = Parcels { frame: number, at: 0, seen: 0, wants_answer: false, first: number, parcels };
        assert_eq!(inbound.handle(frame, now), Ok(vec![]));
    }
    let report = control(&inbound.poll(now).expect("a report"));
    assert!(report.highest < 100, "{}", report.highest);
}
