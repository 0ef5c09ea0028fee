//! Tests of the recorder.

use super::*;

fn recorder(domains: usize, events: usize) -> Recorder {
    Recorder::new(Recording { domains, events }, Meter::new("recorder", 1, None))
}

fn domain(name: &str) -> Domain {
    Domain::new(name).unwrap()
}

fn proven(name: &str, event: Event) -> Record {
    Record { remote: domain(name), claimed: false, event }
}

fn claim(name: &str) -> Record {
    Record { remote: domain(name), claimed: true, event: Event::now(EventKind::Refused) }
}

fn events<'a>(recorder: &'a Recorder, name: &str) -> Vec<(EventKind, &'a str, u64)> {
    let record = &recorder.domains[&domain(name)];
    record.events.iter().map(|event| (event.what, event.text.as_str(), event.count)).collect()
}

#[test]
fn drops_the_oldest_event_of_a_domain_first() {
    let mut recorder = recorder(10, 2);
    for what in [EventKind::Queued, EventKind::Resolved, EventKind::Connected] {
        recorder.record(proven("b.example", Event::now(what)));
    }
    assert_eq!(events(&recorder, "b.example"), [(EventKind::Resolved, "", 0), (EventKind::Connected, "", 0)]);
}

#[test]
fn bounces_with_the_same_reason_share_one_event() {
    let mut recorder = recorder(10, 10);
    let bounced =
        |why: &str, count| proven("b.example", Event::now(EventKind::Bounced).saying(why).of(count));
    recorder.record(bounced("expired", 1));
    let first = recorder.domains[&domain("b.example")].events.iter().next().unwrap().at;
    recorder.record(bounced("refused", 2));
    recorder.record(proven("b.example", Event::now(EventKind::Queued)));
    recorder.record(bounced("expired", 40));
    let expected =
        [(EventKind::Bounced, "refused", 2), (EventKind::Queued, "", 0), (EventKind::Bounced, "expired", 41)];
    assert_eq!(events(&recorder, "b.example"), expected);
    assert_eq!(recorder.domains[&domain("b.example")].events.iter().nth(2).unwrap().at, first);
}

#[test]
fn forgets_the_domain_with_the_oldest_last_event_first() {
    let mut recorder = recorder(3, 10);
    for name in ["a.example", "b.example", "c.example", "a.example", "d.example"] {
        recorder.record(proven(name, Event::now(EventKind::Queued)));
    }
    assert!(!recorder.domains.contains_key(&domain("b.example")));
    assert_eq!((recorder.domains.len(), recorder.ranks.len()), (3, 3));
}

#[test]
fn claims_do_not_displace_proven_domains_in_a_full_store() {
    let mut recorder = recorder(80, 4);
    for number in 0..1_000 {
        recorder.record(proven(&format!("d{number}.example"), Event::now(EventKind::ConnectedToUs)));
    }
    assert_eq!(recorder.domains.len(), 70, "places for claims stay free");
    for number in 0..1_000 {
        recorder.record(claim(&format!("claimed{number}.example")));
    }
    let knows = |name: String| recorder.domains.contains_key(&domain(&name));
    assert!((930..1_000).all(|number| knows(format!("d{number}.example"))));
    assert!((990..1_000).all(|number| knows(format!("claimed{number}.example"))), "the last claims are kept");
    assert_eq!((recorder.domains.len(), recorder.ranks.len(), recorder.claims), (80, 80, 10));
}

#[test]
fn claims_have_one_eighth_of_an_empty_store() {
    let mut recorder = recorder(80, 4);
    for number in 0..1_000 {
        recorder.record(claim(&format!("claimed{number}.example")));
    }
    assert_eq!((recorder.domains.len(), recorder.ranks.len(), recorder.claims), (10, 10, 10));
}

#[test]
fn a_store_of_less_than_eight_domains_has_no_place_for_claims() {
    let mut recorder = recorder(7, 4);
    recorder.record(claim("b.example"));
    assert!(recorder.domains.is_empty());
    for number in 0..8 {
        recorder.record(proven(&format!("d{number}.example"), Event::now(EventKind::ConnectedToUs)));
    }
    assert_eq!((recorder.domains.len(), recorder.ranks.len(), recorder.claims), (7, 7, 0));
}

#[test]
fn a_claim_does_not_renew_a_proven_domain() {
    let mut recorder = recorder(3, 10);
    for name in ["a.example", "b.example", "c.example"] {
        recorder.record(proven(name, Event::now(EventKind::Queued)));
    }
    recorder.record(claim("a.example"));
    recorder.record(proven("d.example", Event::now(EventKind::Queued)));
    assert!(!recorder.domains.contains_key(&domain("a.example")));
    assert!(recorder.domains.contains_key(&domain("b.example")));
}

#[test]
fn claims_do_not_displace_other_events_of_a_proven_domain() {
    let mut recorder = recorder(10, 16);
    for count in 0..100 {
        recorder.record(proven("b.example", Event::now(EventKind::HandedOver).of(count)));
    }
    let of_kind = |recorder: &Recorder, kind| {
        events(recorder, "b.example")
            .into_iter()
            .filter(|event| event.0 == kind)
            .map(|event| event.2)
            .collect()
    };
    let before: Vec<u64> = of_kind(&recorder, EventKind::HandedOver);
    assert_eq!(before, (86..100).collect::<Vec<u64>>());
    for count in 0..100 {
        let event = Event::now(EventKind::Refused).of(count);
        recorder.record(Record { remote: domain("b.example"), claimed: true, event });
    }
    assert_eq!(of_kind(&recorder, EventKind::HandedOver), before);
    assert_eq!(of_kind(&recorder, EventKind::Refused), [98, 99], "the last claims are kept");
}

#[test]
fn claims_use_the_free_places_of_a_domain_and_yield_them() {
    let mut recorder = recorder(10, 16);
    recorder.record(proven("b.example", Event::now(EventKind::Queued)));
    for _ in 0..100 {
        recorder.record(claim("b.example"));
    }
    let count = |recorder: &Recorder, kind| {
        events(recorder, "b.example").iter().filter(|event| event.0 == kind).count()
    };
    assert_eq!((count(&recorder, EventKind::Queued), count(&recorder, EventKind::Refused)), (1, 15));
    for _ in 0..100 {
        recorder.record(proven("b.example", Event::now(EventKind::Queued)));
    }
    assert_eq!((count(&recorder, EventKind::Queued), count(&recorder, EventKind::Refused)), (14, 2));
}

#[test]
fn a_claimed_domain_that_proves_itself_takes_the_place_of_a_proven_one() {
    let mut recorder = recorder(8, 4);
    recorder.record(claim("b.example"));
    assert_eq!(recorder.claims, 1);
    for number in 0..7 {
        recorder.record(proven(&format!("d{number}.example"), Event::now(EventKind::ConnectedToUs)));
    }
    recorder.record(proven("b.example", Event::now(EventKind::ConnectedToUs)));
    recorder.record(claim("b.example"));
    assert_eq!(recorder.claims, 0);
    assert_eq!(events(&recorder, "b.example").len(), 3);
    assert!(!recorder.domains.contains_key(&domain("d0.example")));
    assert_eq!((recorder.domains.len(), recorder.ranks.len()), (7, 7));
}

#[test]
fn the_progress_of_an_attempt_is_its_last_step() {
    let mut recorder = recorder(8, 8);
    let address = ([127, 0, 0, 1], 5269).into();
    let (ours, other) = (domain("a.example"), domain("inbox.a.example"));
    recorder.record(proven("b.example", Event::now(EventKind::Connected).with(&ours).at(address)));
    recorder.record(proven("b.example", Event::now(EventKind::Queued).with(&other)));
    recorder.record(proven("b.example", Event::now(EventKind::Bounced).with(&ours)));
    let step = |local: &Domain| {
        recorder.progress(&DomainPair { local: local.clone(), remote: domain("b.example") }).unwrap()
    };
    assert_eq!(step(&ours), Progress { what: EventKind::Connected, address: Some(address) });
    assert_eq!(step(&other), Progress { what: EventKind::Queued, address: None });
}

#[test]
fn records_nothing_if_a_bound_is_zero() {
    for (domains, most) in [(0, 4), (4, 0)] {
        let mut recorder = recorder(domains, most);
        recorder.record(proven("b.example", Event::now(EventKind::Queued)));
        assert!(recorder.domains.is_empty());
    }
}
