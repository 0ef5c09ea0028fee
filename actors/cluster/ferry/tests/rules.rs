//! Single rules of the ferry.

use proptest::prelude::*;

use super::*;
use crate::ferry::{FRAME, Final, FrameError, Unsettled, codec, unknown_session};

#[expect(clippy::disallowed_methods, reason = "the machines get the time; any will do")]
pub(super) fn now() -> Instant {
    Instant::now()
}

#[test]
fn small_parcels_share_a_frame_and_a_long_one_has_its_own() {
    let now = now();
    let (mut outbound, _) = ends(1 << 20, 1 << 20, now);
    for number in 1..=500 {
        outbound.send(parcel(number, 300), 300, (), now);
    }
    outbound.send(parcel(501, 200_000), 200_000, (), now);
    outbound.send(parcel(502, 300), 300, (), now);
    let frames: Vec<_> = std::iter::from_fn(|| outbound.poll(now)).collect();
    let counts: Vec<_> = frames.iter().map(|frame| parcels(frame).parcels.len()).collect();
    assert_eq!(counts.iter().sum::<usize>(), 502);
    assert_eq!(&counts[counts.len() - 2..], [1, 1]);
    assert_eq!(frames.len(), 6, "{counts:?}");
    assert!(frames.iter().filter(|frame| frame.len() > FRAME).count() == 1);
}

#[test]
fn the_age_counts_the_time_in_the_sender() {
    let now = now();
    let (mut outbound, _) = ends(1 << 20, 1 << 20, now);
    let mut old = parcel(1, 10);
    old.batches[0].age = Duration::from_secs(3);
    outbound.send(old, 10, (), now);
    let first = outbound.poll(now + Duration::from_millis(250)).expect("a frame");
    assert_eq!(parcels(&first).parcels[0].batches[0].age, Duration::from_millis(3_250));
    let again = outbound.poll(now + Duration::from_secs(2)).expect("the frame again");
    assert_eq!(parcels(&again).parcels[0].batches[0].age, Duration::from_secs(5));
    assert_eq!(outbound.resent(), 1);
}

#[test]
fn old_parcels_keep_no_buffer_in_memory() {
    let start = now();
    let (mut outbound, _) = ends(1 << 20, 1 << 20, start);
    let buffer = Bytes::from(vec![b'x'; 64 * 1024]);
    for later in [0, 1] {
        let parcel = Parcel { begins: true, batches: vec![batch(vec![buffer.slice(..20)])] };
        outbound.send(parcel, 20, (), start + Duration::from_secs(later));
    }
    outbound.poll(start).expect("a frame");
    assert!(!buffer.is_unique());
    outbound.detach(start + Duration::from_secs(1));
    assert!(!buffer.is_unique(), "the second is younger");
    outbound.detach(start + Duration::from_secs(2));
    assert!(buffer.is_unique());
    let again = outbound.poll(start + Duration::from_secs(5)).expect("the first again");
    assert_eq!(parcels(&again).parcels[0].bytes(), 20);
}

#[test]
fn a_gap_is_filled_within_a_round_trip() {
    let now = now();
    let (mut outbound, mut inbound) = ends(1 << 20, 1 << 20, now);
    let mut frames = Vec::new();
    for number in 1..=3 {
        outbound.send(parcel(number, 10), 10, (), now);
        frames.push(parcels(&outbound.poll(now).expect("a frame")));
    }
    assert_eq!(inbound.handle(frames[0].clone(), now).expect("the truth").len(), 1);
    assert_eq!(inbound.handle(frames[2].clone(), now).expect("the truth").len(), 0);
    let report = inbound.poll(now).expect("the report of a gap");
    outbound.handle(&control(&report), now).expect("the truth");
    let again = parcels(&outbound.poll(now).expect("the lost parcel"));
    assert_eq!((again.first, again.parcels.len()), (2, 1));
    assert_eq!(outbound.poll(now), None);
    assert_eq!(inbound.handle(again, now).expect("the truth").len(), 2);
}

#[test]
fn many_reports_of_a_gap_send_a_parcel_again_once() {
    let now = now();
    let (mut outbound, mut inbound) = ends(1 << 20, 1 << 20, now);
    let frames: Vec<_> = (1..=20)
        .map(|number| {
            outbound.send(parcel(number, 10), 10, (), now);
            parcels(&outbound.poll(now).expect("a frame"))
        })
        .collect();
    let mut again = 0;
    for frame in frames.into_iter().skip(1) {
        inbound.handle(frame, now).expect("the truth");
        while let Some(report) = inbound.poll(now) {
            outbound.handle(&control(&report), now).expect("the truth");
            again += std::iter::from_fn(|| outbound.poll(now)).count();
        }
    }
    assert_eq!(again, 1);
}

#[test]
fn a_full_receiver_gets_a_parcel_again_when_it_has_room() {
    let now = now();
    let (mut outbound, mut inbound) = ends(1 << 20, 1_000, now);
    for number in 1..=5 {
        outbound.send(parcel(number, 900), 900, number, now);
        let frame = outbound.poll(now).expect("a frame");
        inbound.handle(parcels(&frame), now).expect("the truth");
    }
    assert_eq!(inbound.unsettled(), 1);
    let report = control(&inbound.poll(now).expect("a report"));
    assert_eq!(report.room, 0);
    outbound.handle(&report, now).expect("the truth");
    assert_eq!(outbound.poll(now), None, "nothing is repeated to a receiver that is full");
    inbound.settle(1, now);
    let now = now + Duration::from_millis(2);
    let report = control(&inbound.poll(now).expect("a report"));
    assert_eq!(outbound.handle(&report, now), Ok(settled(vec![1])));
    assert_eq!(parcels(&outbound.poll(now).expect("what had no room")).first, 2);
}

#[test]
fn settlements_are_repeated_until_they_are_seen() {
    let start = now();
    let (mut outbound, mut inbound) = ends(1 << 20, 1 << 20, start);
    outbound.send(parcel(1, 10), 10, 'a', start);
    inbound.handle(parcels(&outbound.poll(start).expect("a frame")), start).expect("the truth");
    inbound.settle(1, start);
    let mut now = inbound.next_tick().expect("a report is due");
    inbound.poll(now).expect("a report, which is lost");
    let mut reports = 0;
    while now < start + Duration::from_secs(60) {
        now = inbound.next_tick().expect("a repetition");
        reports += 1;
        let report = control(&inbound.poll(now).expect("a report"));
        assert_eq!(report.settlements.settled.iter().collect::<Vec<_>>(), [(1, 1)]);
    }
    assert!((10..20).contains(&reports), "{reports}");
    let report = control(&{
        now = inbound.next_tick().expect("a repetition");
        inbound.poll(now).expect("a report")
    });
    assert_eq!(outbound.handle(&report, now), Ok(settled(vec!['a'])));
    now = outbound.next_tick().expect("the sender says so");
    let seen = parcels(&outbound.poll(now).expect("a frame"));
    assert_eq!((seen.parcels.len(), seen.seen), (0, 1));
    assert_eq!(inbound.handle(seen, now), Ok(vec![]));
    assert_eq!((inbound.next_tick(), outbound.next_tick()), (None, None), "nothing is left to do");
}

#[test]
fn a_lost_end_of_the_session_is_given_again_when_the_sender_asks() {
    let start = now();
    let (mut outbound, mut inbound) = ends(1 << 20, 1 << 20, start);
    outbound.send(parcel(1, 10), 10, 1, start);
    outbound.send(parcel(2, 10), 10, 2, start);
    let frame = parcels(&outbound.poll(start).expect("a frame"));
    assert_eq!(inbound.handle(frame, start).expect("the truth").len(), 2);
    let mut now = inbound.next_tick().expect("a report is due");
    outbound.handle(&control(&inbound.poll(now).expect("a report")), now).expect("the truth");
    inbound.settle(1, now);
    let lost = inbound.end(|number| number == 2);
    assert_eq!(inbound.poll(now), None);
    now = outbound.next_tick().expect("the sender asks");
    let question = parcels(&outbound.poll(now).expect("a question"));
    assert!(question.wants_answer && question.parcels.is_empty());
    assert_eq!(inbound.handle(question, now), Ok(vec![]));
    assert_eq!(inbound.poll(now).as_ref(), Some(&lost));
    let ended = outbound.end(Some(&over(&lost)));
    assert_eq!(ended.reported.settled, [1]);
    assert_eq!((ended.unsettled[0].custody, ended.unsettled[0].in_doubt), (2, true));
}

#[test]
fn what_is_given_back_is_repeated_until_it_is_seen_and_stands_in_the_end_of_the_session() {
    let start = now();
    let (mut outbound, mut inbound) = ends(1 << 20, 1 << 20, start);
    for number in 1..=3 {
        outbound.send(parcel(number, 10), 10, number, start);
    }
    inbound.handle(parcels(&outbound.poll(start).expect("a frame")), start).expect("the truth");
    let part: Ranges = [(1, 2)].into_iter().collect();
    inbound.give_back(1, Some(part.clone()), start);
    inbound.give_back(2, None, start);
    // Once more has no effect, and neither has a settlement.
    inbound.give_back(2, Some(part.clone()), start);
    inbound.settle(1, start);
    assert_eq!(inbound.unsettled(), 1);
    let mut now = inbound.next_tick().expect("a report is due");
    inbound.poll(now).expect("a report, which is lost");
    now = inbound.next_tick().expect("a repetition");
    let report = control(&inbound.poll(now).expect("a repetition"));
    let back = |custody, stanzas| GivenBack { custody, stanzas };
    let expected = || vec![back(2, None), back(1, Some(part.clone()))];
    let reported = outbound.handle(&report, now).expect("the truth");
    assert_eq!((reported.settled, reported.returned), (vec![], expected()));
    assert_eq!(outbound.unsettled_bytes(), 10);
    assert_eq!(outbound.handle(&report, now), Ok(settled(vec![])), "a repetition says nothing new");

    // The same when the report is lost, and the session ends.
    let (mut outbound, mut inbound) = ends(1 << 20, 1 << 20, start);
    for number in 1..=3 {
        outbound.send(parcel(number, 10), 10, number, start);
    }
    inbound.handle(parcels(&outbound.poll(start).expect("a frame")), start).expect("the truth");
    inbound.give_back(1, Some(part.clone()), start);
    inbound.poll(now).expect("a report, which is lost");
    inbound.give_back(2, None, now);
    let ended = outbound.end(Some(&over(&inbound.end(|_| true))));
    assert_eq!((ended.reported.settled, ended.reported.returned), (vec![], expected()));
    assert_eq!(ended.unsettled, [Unsettled { custody: 3, in_doubt: true }]);
}

#[test]
fn what_was_never_sent_is_not_in_doubt() {
    let now = now();
    let (mut outbound, _) = ends(1 << 20, 1 << 20, now);
    outbound.send(parcel(1, 10), 10, 1, now);
    outbound.poll(now).expect("a frame");
    outbound.send(parcel(2, 10), 10, 2, now);
    let ended = outbound.end(Some(&Over::Unknown));
    let doubts: Vec<_> = ended.unsettled.iter().map(|unsettled| unsettled.in_doubt).collect();
    assert_eq!(doubts, [true, false]);
}

#[test]
fn the_round_trip_is_measured_without_the_time_that_the_receiver_takes() {
    let start = now();
    let (mut outbound, mut inbound) = ends(1 << 20, 1 << 20, start);
    assert_eq!(outbound.round_trip(), None);
    outbound.send(parcel(1, 10), 10, (), start);
    let frame = parcels(&outbound.poll(start).expect("a frame"));
    let arrival = start + Duration::from_millis(4);
    inbound.handle(frame, arrival).expect("the truth");
    let answered = inbound.next_tick().expect("a report is due");
    assert!(answered > arrival);
    let report = control(&inbound.poll(answered).expect("a report"));
    outbound.handle(&report, answered + Duration::from_millis(5)).expect("the truth");
    assert_eq!(outbound.round_trip(), Some(Duration::from_millis(9)));
}

#[test]
fn a_frame_of_an_unknown_session_is_answered() {
    let frame = decode(&unknown_session(name("b"), &header())).expect("a frame");
    assert_eq!(frame.body, Body::Over(Over::Unknown));
    let expected = Header { from: name("b"), incarnation: header().to, to: header().incarnation, session: 3 };
    assert_eq!(frame.header, expected);
}

#[test]
fn another_version_is_named() {
    assert_eq!(decode(&Bytes::new()), Err(FrameError::Empty));
    let error = decode(&Bytes::from_static(&[2, 1, 1])).expect_err("another version");
    assert_eq!(error, FrameError::Version(2));
    assert!(error.to_string().contains("version 2"), "{error}");
}

#[test]
fn a_stanza_is_not_copied_when_it_is_read() {
    let frame = Frame { header: header(), body: Body::Parcels(frame_of(vec![parcel(1, 300)])) };
    let bytes = codec::encode(&frame);
    let stanza = &parcels(&bytes).parcels[0].batches[0].stanzas[0];
    let of_the_frame = bytes.as_ptr_range();
    assert!(of_the_frame.contains(&stanza.as_ptr()));
}

#[test]
fn a_damaged_frame_is_an_error() {
    let frame = Frame { header: header(), body: Body::Parcels(frame_of(vec![parcel(1, 30), parcel(2, 30)])) };
    let bytes = codec::encode(&frame);
    for length in 1..bytes.len() {
        let error = decode(&bytes.slice(..length)).expect_err("a part of a frame");
        assert!(matches!(error, FrameError::Damaged(_)), "{length}: {error}");
    }
    let longer = [&bytes[..], &[0]].concat();
    assert!(matches!(decode(&longer.into()), Err(FrameError::Damaged(_))));
    // A stanza that is shorter than any element.
    let mut short = parcel(1, 30);
    short.batches[0].stanzas[0] = Bytes::from_static(b"<iq>");
    let frame = Frame { header: header(), body: Body::Parcels(frame_of(vec![short])) };
    assert!(matches!(decode(&codec::encode(&frame)), Err(FrameError::Damaged(_))));
}

fn frame_of(parcels: Vec<Parcel>) -> Parcels {
    Parcels { frame: 1, at: 2, seen: 0, wants_answer: false, first: 1, parcels }
}

fn ranges() -> impl Strategy<Value = Ranges> {
    prop::collection::vec((any::<u64>(), 0_u64..9), 0..5).prop_map(|ranges| {
        ranges.into_iter().map(|(first, more)| (first, first.saturating_add(more))).collect()
    })
}

fn returned() -> impl Strategy<Value = Returned> {
    let parts = prop::collection::btree_map(any::<u64>(), ranges(), 0..4);
    (ranges(), parts).prop_map(|(whole, parts)| Returned { whole, parts })
}

fn any_body() -> impl Strategy<Value = Body> {
    let stanza = prop::collection::vec(any::<u8>(), 5..40).prop_map(Bytes::from);
    let batch = (prop::collection::vec(stanza, 0..4), any::<u32>(), any::<(bool, u8, bool)>(), 0_usize..3)
        .prop_map(|(stanzas, age, (returning, times, may_have_arrived), domain)| CarriedBatch {
            to: Domain::new(["b.example", "xn--bcher-kva.example", "[2001:db8::1]"][domain])
                .expect("a domain"),
            age: Duration::from_millis(age.into()),
            returning,
            times,
            may_have_arrived,
            ..super::batch(stanzas)
        });
    let parcel = (any::<bool>(), prop::collection::vec(batch, 0..3))
        .prop_map(|(begins, batches)| Parcel { begins, batches });
    let parcels = (any::<(u64, u64, u64, bool, u64)>(), prop::collection::vec(parcel, 0..4)).prop_map(
        |((frame, at, seen, wants_answer, first), parcels)| {
            Body::Parcels(Parcels { frame, at, seen, wants_answer, first, parcels })
        },
    );
    let numbers = any::<(u64, u64, u64, u64, u64)>();
    let control = (numbers, ranges(), ranges(), returned(), any::<Option<(u64, u64, u64)>>()).prop_map(
        |((received, highest, room, first, last), missing, settled, returned, echo)| {
            let settlements = Settlements { first, last, settled, returned };
            let echo = echo.map(|(frame, at, held)| crate::ferry::Echo { frame, at, held });
            Body::Control(Control { received, highest, missing, room, settlements, echo })
        },
    );
    let over =
        (any::<u64>(), ranges(), returned(), ranges()).prop_map(|(received, settled, returned, in_doubt)| {
            Body::Over(Over::Known(Final { received, settled, returned, in_doubt }))
        });
    let contest = prop_oneof![Just("a.example"), Just("*.a.example")]
        .prop_map(|name| Body::Contest(Domain::named(name).expect("a name")));
    prop_oneof![parcels, control, over, Just(Body::Over(Over::Unknown)), contest]
}

proptest! {
    #[test]
    fn reads_what_it_has_written(body in any_body()) {
        let frame = Frame { header: header(), body };
        prop_assert_eq!(decode(&codec::encode(&frame)), Ok(frame));
    }

    #[test]
    fn any_bytes_are_a_frame_or_an_error(mut bytes in prop::collection::vec(any::<u8>(), 0..200), body in any_body()) {
        let _ = decode(&Bytes::from(bytes.clone()));
        bytes.insert(0, codec::Versions::OWN.newest);
        let _ = decode(&Bytes::from(bytes.clone()));
        let mut frame = codec::encode(&Frame { header: header(), body }).to_vec();
        for byte in bytes {
            let index = usize::from(byte) % frame.len();
            frame[index] ^= byte;
        }
        if let Ok(frame) = decode(&Bytes::from(frame)) {
            prop_assert_eq!(decode(&codec::encode(&frame)), Ok(frame));
        }
    }
}
