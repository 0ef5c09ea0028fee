//! Rates between readings, restarts, and the JSON document.

use std::time::{Instant, SystemTime};

use status::report::{Acknowledgement, Denials, FailureReport, QueueState, Rejections, Side};

use super::*;
use crate::top::reading::Part;

fn second(second: u64) -> Time {
    Time(SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_348_800 + second))
}

fn link(remote: &str, since: u64, stanzas: u64) -> LinkReport {
    let pair = Pair { local: "chat.example.org".to_owned(), remote: Some(remote.to_owned()) };
    LinkReport {
        node: None,
        direction: Direction::Outgoing,
        state: LinkState::Authenticated,
        pairs: vec![pair],
        pairs_not_shown: 0,
        address: "192.0.2.7:5269".parse().ok(),
        since: second(since),
        mechanism: None,
        tls: None,
        received: Amount::default(),
        sent: Amount { stanzas, bytes: 1_000 * stanzas },
        waiting: Amount::default(),
        acknowledgement: Acknowledgement::default(),
        ping_unanswered: None,
        idle: Seconds::default(),
    }
}

fn queue(remote: &str, stanzas: u64) -> QueueReport {
    let trouble = FailureReport {
        reason: "no answer from 192.0.2.7:5269 within 10 s".to_owned(),
        definitive: false,
        cause: "no-answer".to_owned(),
        side: Side::Either,
        remedy: "look".to_owned(),
    };
    QueueReport {
        node: None,
        local: "chat.example.org".to_owned(),
        remote: remote.to_owned(),
        state: QueueState::Pause,
        waiting: Amount { stanzas, bytes: 100 * stanzas },
        kept: 0,
        on_disk: Amount::default(),
        open: Amount::default(),
        oldest: None,
        next_attempt: Some(Seconds(Duration::from_secs(30))),
        failures: 3,
        trouble: Some(trouble),
    }
}

/// A reading at a second after the first, of a node that handles 50 messages a second and sends 10 stanzas a second.
pub(in crate::top) fn reading(at: u64, origin: Instant) -> Reading {
    let at_instant = origin + Duration::from_secs(at);
    let mailbox = |actor: &str, peak| MailboxReport {
        actor: actor.to_owned(),
        instances: 1,
        depth: 3,
        deepest: Some(Deepest { name: "chat.example.org > conference.prosody.example".to_owned(), depth: 2 }),
        peak,
        capacity: 1_024,
        handled: 50 * at,
        refused: 0,
        restarts: 0,
        waits: vec![(40_960, 50 * at)],
    };
    let component = |name: &str, connected| ComponentReport {
        name: name.to_owned(),
        connected,
        node: None,
        state: if connected { ComponentState::Connected } else { ComponentState::NeverConnected },
        since: second(0),
        since_event: if connected { SinceEvent::Connected } else { SinceEvent::NodeStarted },
        ping_unanswered: None,
        last_end: None,
        refused: Amount::default(),
        waiting: Amount { stanzas: 4, bytes: 400 },
        kept: 0,
        on_disk: Amount::default(),
        names: vec![name.to_owned()],
        first_answered: None,
        rejected: Rejections::default(),
        conflicts: Rejections::default(),
        denied: Denials::default(),
        link: connected.then(|| LinkReport { direction: Direction::Component, ..link(name, 0, 20 * at) }),
    };
    Reading {
        version: "1.2.3".to_owned(),
        time: second(at),
        started: second(0),
        unanswered: Vec::new(),
        mailboxes: Part { found: vec![mailbox("router", 7), mailbox("outgoing", 1_024)], at: at_instant },
        components: Part {
            found: vec![component("biboumi.example.org", true), component("bot.example.org", false)],
            at: at_instant,
        },
        links: Part {
            found: vec![
                link("quiet.example", 0, 5),
                link("conference.prosody.example", 0, 10 * at),
                link("new.example", at, 4),
            ],
            at: at_instant,
        },
        links_total: 3,
        queues: vec![queue("away.example", 12), queue("idle.example", 0)],
        queues_total: 2,
        waiting: Amount { stanzas: 12, bytes: 1_200 },
    }
}

#[test]
fn rates_are_the_difference_between_two_readings() {
    let origin = clock::now();
    let (before, after) = (reading(2, origin), reading(4, origin));
    let mut now = Now::between(Some(&before), &after);
    now.sort(Sort::Busiest);
    assert_eq!(now.interval, Some(Seconds(Duration::from_secs(2))));
    assert_eq!(
        (now.mailboxes[0].rate, now.mailboxes[0].wait_p99),
        (Some(50.0), Some(Duration::from_nanos(40_960)))
    );
    let sent = |at: usize| now.links[at].sent.map(|rate| (rate.stanzas, rate.bytes));
    assert_eq!(now.links[0].name(), "conference.prosody.example");
    assert_eq!((sent(0), sent(1), sent(2)), (Some((10.0, 10_000.0)), Some((2.0, 2_000.0)), Some((0.0, 0.0))));
    assert_eq!(now.components[0].sent, Some(Rate { stanzas: 20.0, bytes: 20_000.0 }));
    assert_eq!(now.components[1].sent, Some(Rate::default()));
    assert_eq!((now.queues.len(), now.failing.len()), (1, 2));
}

#[test]
fn the_first_reading_and_one_after_a_restart_have_no_rates() {
    let origin = clock::now();
    let first = Now::between(None, &reading(2, origin));
    let restarted = Reading { started: second(3), ..reading(4, origin) };
    for now in [first, Now::between(Some(&reading(2, origin)), &restarted)] {
        assert!(now.interval.is_none() && now.mailboxes[0].rate.is_none());
        assert!(now.links.iter().all(|link| link.sent.is_none()), "{now:?}");
        assert_eq!(now.mailboxes[0].wait_p50, None);
    }
}

#[test]
fn a_link_that_the_last_reading_left_out_has_no_rate() {
    let origin = clock::now();
    let mut before = reading(2, origin);
    before.links.found.retain(|link| link.name() != "conference.prosody.example");
    let now = Now::between(Some(&before), &reading(4, origin));
    let rates: Vec<bool> = now.links.iter().map(|link| link.sent.is_some()).collect();
    assert_eq!(rates, [true, false, true]);
}

#[test]
fn the_document_has_times_in_seconds() {
    let origin = clock::now();
    let now = Now::between(Some(&reading(2, origin)), &reading(4, origin));
    let json = serde_json::to_value(&now).unwrap();
    assert_eq!(json["interval"], 2.0);
    assert_eq!(json["mailboxes"][0]["wait_p50"], 0.000_040_96);
    assert_eq!(json["links"][1]["sent"]["stanzas"], 10.0);
    assert_eq!(json["failing"][0]["trouble"]["cause"], "no-answer");
}
