//! When a pair is tried again: pauses, retries, and timers that no longer count.

use xmpp::Domain;

use super::*;

fn schedule() -> Schedule {
    Schedule::new(Bounds {
        max_stanzas: 10,
        max_bytes: 10_000,
        total_bytes: 100_000,
        message: Duration::from_secs(300),
        presence: Duration::from_secs(60),
        iq: Duration::from_secs(45),
        backoff_first: Duration::from_secs(2),
        backoff_longest: Duration::from_secs(64),
    })
}

fn pair(remote: &str) -> DomainPair {
    DomainPair { local: Domain::new("a.example").unwrap(), remote: Domain::new(remote).unwrap() }
}

/// A schedule with one known pair.
fn with_pair() -> (Schedule, DomainPair, Instant) {
    let (mut schedule, pair) = (schedule(), pair("b.example"));
    schedule.insert(pair.clone());
    (schedule, pair, clock::now())
}

fn temporary() -> AttemptError {
    AttemptError::Connect(Vec::new())
}

#[test]
fn a_pause_ends_in_one_retry() {
    let (mut schedule, pair, now) = with_pair();
    let ends = schedule.pause(&pair, temporary(), now).unwrap();
    assert!((1..=2).contains(&ends.duration_since(now).as_secs()));
    assert_eq!((schedule.failures(&pair), schedule.last_failure(&pair).is_some()), (1, true));
    schedule.plan(&pair, None, false);
    assert_eq!(schedule.next_wake_up(ends - Duration::from_millis(1)), None);
    assert_eq!(schedule.next_wake_up(ends), Some(pair.clone()));
    assert_eq!(schedule.due(&pair, false, ends), Due::Retry);
    assert!(schedule.is_in_pause(&pair, now) && !schedule.is_in_pause(&pair, ends));
    for _ in 0..2 {
        schedule.queue_retry(&pair);
    }
    assert_eq!(schedule.pause_of(&pair), Some(Pause { ends, in_retries: true }));
    assert!(schedule.is_in_pause(&pair, ends), "it waits for its retry");
    schedule.plan(&pair, None, false);
    assert_eq!(schedule.next_wake_up(ends + FORGET_AFTER * 2), None, "a queued retry needs no timer");
    assert_eq!(schedule.next_retry(ends), Some((pair.clone(), true)));
    assert_eq!(schedule.next_retry(ends), None);
    schedule.end_pause(&pair);
    assert_eq!((schedule.pause_of(&pair), schedule.due(&pair, false, ends)), (None, Due::Nothing));
}

#[test]
fn a_failure_is_forgotten_a_minute_after_its_pause_if_nothing_waits() {
    let (mut schedule, pair, now) = with_pair();
    let ends = schedule.pause(&pair, temporary(), now).unwrap();
    schedule.plan(&pair, None, true);
    assert_eq!(schedule.next_wake_up(ends), None);
    assert_eq!(schedule.next_wake_up(ends + FORGET_AFTER), Some(pair.clone()));
    assert_eq!(schedule.due(&pair, true, ends + FORGET_AFTER), Due::Forget);
    assert_eq!(schedule.due(&pair, true, ends), Due::Nothing);
}

#[test]
fn a_pair_wakes_up_once_for_the_earliest_of_its_timers() {
    let (mut schedule, pair, now) = with_pair();
    let at = |seconds| now + Duration::from_secs(seconds);
    for seconds in [30, 20, 25, 10] {
        schedule.plan(&pair, Some(at(seconds)), false);
    }
    assert_eq!(schedule.next_wake_up(at(9)), None);
    assert_eq!(schedule.next_wake_up(at(40)), Some(pair.clone()));
    assert_eq!(schedule.next_wake_up(at(40)), None, "the other timers no longer count");
    schedule.plan(&pair, Some(at(50)), false);
    schedule.remove(&pair);
    assert_eq!(schedule.next_wake_up(at(60)), None, "the pair is not known any more");
}

#[test]
fn pauses_grow_with_the_failures_and_failures_before_a_session_count_when_it_is_short_lived() {
    let (mut schedule, pair, now) = with_pair();
    let mut longest = Duration::ZERO;
    for _ in 0..10 {
        let ends = schedule.pause(&pair, temporary(), now).unwrap();
        longest = longest.max(ends.duration_since(now));
        schedule.end_pause(&pair);
    }
    assert!((Duration::from_secs(3)..=Duration::from_secs(64)).contains(&longest), "{longest:?}");
    schedule.remove_connected(&pair);
    assert_eq!(schedule.failures(&pair), 0);
    assert_eq!(schedule.take_failures_before_session(&pair), 10);
    assert_eq!(schedule.take_failures_before_session(&pair), 0);
    schedule.insert(pair.clone());
    schedule.remove_connected(&pair);
    assert!(schedule.before_session.is_empty() && schedule.entries.is_empty(), "it never failed");
}

#[test]
fn pauses_stay_below_two_seconds_while_the_remote_accepts_connections() {
    let mut schedule = Schedule::new(Bounds { backoff_first: Duration::from_secs(1), ..schedule().bounds });
    let (pair, now) = (pair("b.example"), clock::now());
    schedule.insert(pair.clone());
    for _ in 0..20 {
        let ends = schedule.pause(&pair, AttemptError::ShortLived, now).unwrap();
        assert!(ends + super::super::TICK < now + Duration::from_secs(2));
    }
    // Many such pairs share a rate.
    for number in 0..1000 {
        let pair = self::pair(&format!("d{number}.example"));
        schedule.insert(pair.clone());
        schedule.pause(&pair, AttemptError::ShortLived, now);
    }
    let ends = |schedule: &mut Schedule| {
        (0..50).filter_map(|_| schedule.pause(&pair, AttemptError::ShortLived, now)).max().unwrap()
    };
    let longest = ends(&mut schedule).duration_since(now);
    assert!((Duration::from_secs(5)..Duration::from_secs(21)).contains(&longest), "{longest:?}");
    for number in 0..1000 {
        let pair = self::pair(&format!("d{number}.example"));
        schedule.end_pause(&pair);
        schedule.remove(&pair);
    }
    assert!(ends(&mut schedule) < now + Duration::from_secs(2));
    let refused = AttemptError::TlsForbidden;
    assert!(!refused.may_pass_soon() && schedule.short_pauses == 1);
    schedule.pause(&pair, refused, now);
    assert_eq!(schedule.short_pauses, 0);
}

#[test]
fn a_lost_link_is_followed_by_an_attempt_at_once_until_the_burst_is_over() {
    let (mut schedule, pair, now) = with_pair();
    let burst = |schedule: &mut Schedule, now| {
        std::iter::repeat_with(|| schedule.may_dial_at_once(&pair, now)).take_while(|may| *may).count()
    };
    assert_eq!(burst(&mut schedule, now), AT_ONCE);
    assert_eq!(burst(&mut schedule, now + Duration::from_secs(11)), 2);
    schedule.tidy(now + Duration::from_secs(12));
    assert_eq!(burst(&mut schedule, now + Duration::from_secs(12)), 0, "the tokens are remembered");
    schedule.tidy(now + Duration::from_secs(100));
    assert!(schedule.at_once.is_empty());
}

#[test]
fn a_remote_that_is_seen_during_an_attempt_is_tried_again_once() {
    let (mut schedule, pair, now) = with_pair();
    schedule.set_failures(&pair, 3);
    assert!(!schedule.retry_since_seen(&pair, &temporary(), true), "not seen");
    schedule.remote_seen(&pair);
    assert!(schedule.retry_since_seen(&pair, &temporary(), true));
    assert_eq!(schedule.failures(&pair), 0);
    schedule.remote_seen(&pair);
    assert!(!schedule.retry_since_seen(&pair, &temporary(), true), "the second attempt in a row");
    schedule.pause(&pair, temporary(), now);
    schedule.remote_seen(&pair);
    assert!(!schedule.retry_since_seen(&pair, &AttemptError::Denied, true), "the failure is definitive");
    assert!(!schedule.retry_since_seen(&pair, &temporary(), false), "nothing waits");
    assert!(schedule.retry_since_seen(&pair, &temporary(), true));
}

#[test]
fn a_remote_with_a_short_lived_connection_is_unreachable_only_during_a_long_pause() {
    let (mut schedule, pair, now) = with_pair();
    let within = Duration::from_secs(3);
    assert!(!schedule.is_unreachable(&pair, within, now));
    let ends = schedule.pause(&pair, AttemptError::ShortLived, now).unwrap();
    assert!(!schedule.is_unreachable(&pair, within, now));
    assert!(schedule.is_unreachable(&pair, ends.duration_since(now) / 2, now));
    schedule.pause(&pair, temporary(), now);
    assert!(schedule.is_unreachable(&pair, within, now));
    schedule.end_pause(&pair);
    assert!(!schedule.is_unreachable(&pair, within, now));
}

#[test]
fn retries_skip_pairs_that_are_gone_and_report_those_that_were_seen() {
    let (mut schedule, seen, now) = with_pair();
    let gone = pair("gone.example");
    schedule.insert(gone.clone());
    for pair in [&gone, &seen] {
        schedule.pause(pair, temporary(), now);
        schedule.queue_retry(pair);
    }
    schedule.remove(&gone);
    schedule.end_pause(&seen);
    assert_eq!(schedule.next_retry(now + Duration::from_secs(9)), Some((seen, false)));
    assert_eq!(schedule.next_retry(now), None);
}

#[test]
fn timers_that_no_longer_count_are_removed() {
    let (mut schedule, pair, now) = with_pair();
    for nanos in (0..3000).rev() {
        schedule.plan(&pair, Some(now + Duration::from_nanos(nanos)), false);
    }
    assert_eq!(schedule.timers.len(), 3000);
    schedule.tidy(now);
    assert_eq!(schedule.timers.len(), 1);
    assert_eq!(schedule.next_wake_up(now), Some(pair));
}
