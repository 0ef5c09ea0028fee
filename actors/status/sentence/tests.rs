//! Tests of the sentences, each with the facts that lead to it.

use std::time::Duration;

use super::*;
use crate::{
    address::{Address, Host},
    answer::Closed,
    event::{Event, EventKind},
    report::{
        Acknowledgement, Acks, Authentication, ComponentReport, ComponentState, Denials, DeniedStanza,
        Direction, EndCause, Ending, FailureReport, LinkReport, LinkState, Pair, QueueReport, QueueState,
        Rejections, Seconds, Side, SinceEvent, Time, TlsReport, UnansweredPing, Verdict,
    },
};

#[test]
fn a_ping_that_is_not_answered_says_what_follows() {
    let now = Time::now();
    let before = |seconds| Time(now.0 - Duration::from_secs(seconds));
    let hanging = |closes| ComponentReport {
        names: vec!["echo.example.org".to_owned()],
        name: "echo.example.org".to_owned(),
        connected: true,
        node: None,
        state: ComponentState::PingUnanswered,
        since: before(600),
        since_event: SinceEvent::Connected,
        ping_unanswered: Some(UnansweredPing { since: before(20), closes }),
        last_end: None,
        refused: Amount::default(),
        waiting: Amount::default(),
        kept: 0,
        on_disk: Amount::default(),
        first_answered: None,
        rejected: Rejections::default(),
        conflicts: Rejections::default(),
        denied: Denials::default(),
        link: None,
    };
    assert_eq!(
        component(&hanging(true), now),
        "echo.example.org: component connected for 10 min; a ping is unanswered for 20 s: its connection is closed if it \
         stays silent"
    );
    assert!(component(&hanging(false), now).ends_with("on this connection, so the connection stays open"));
}

#[test]
fn a_domain_below_one_of_the_node_comes_with_advice_unless_it_is_linked() {
    let told = unserved("foo.own.example", "own.example", true);
    let advice =
        "; to serve it here, add \"foo.own.example\" or \"*.own.example\" to names of a [[component]]";
    assert!(
        told.starts_with(
            "foo.own.example: it lies below own.example, which this node serves, and no component"
        )
    );
    assert!(told.contains(advice), "{told}");
    let links = [link(Direction::Outgoing, LinkState::Authenticated)];
    for (links, is_advised) in [(&links[..], false), (&[], true)] {
        let facts = Facts {
            domain: "foo.own.example",
            permitted: true,
            links,
            queues: &[],
            events: &[],
            above: Some("own.example"),
            here: None,
            now: Time::now(),
        };
        let told = state(&facts);
        assert!(told.contains("; it lies below own.example"), "{told}");
        assert_eq!(told.contains(advice), is_advised, "{told}");
    }
}

fn failure() -> FailureReport {
    FailureReport {
        reason: "certificate of b.example expired on 2026-11-01".to_owned(),
        definitive: true,
        cause: "certificate-expired".to_owned(),
        side: Side::Remote,
        remedy: "the operator of b.example must renew it".to_owned(),
    }
}

fn queue(state: QueueState, stanzas: u64, next: Option<u64>) -> QueueReport {
    QueueReport {
        node: None,
        local: "a.example".to_owned(),
        remote: "b.example".to_owned(),
        state,
        waiting: Amount { stanzas, bytes: 100 * stanzas },
        kept: 0,
        on_disk: Amount::default(),
        open: Amount::default(),
        oldest: None,
        next_attempt: next.map(|seconds| Seconds(Duration::from_secs(seconds))),
        failures: 1,
        trouble: Some(failure()),
    }
}

fn link(direction: Direction, state: LinkState) -> LinkReport {
    let tls = TlsReport {
        protocol: "TLSv1.3".to_owned(),
        cipher: "TLS_AES_256_GCM_SHA384".to_owned(),
        certificate: "good".to_owned(),
        verdict: Verdict::Good,
        expires: None,
        fingerprint: None,
    };
    LinkReport {
        node: None,
        direction,
        state,
        pairs: vec![Pair { local: "a.example".to_owned(), remote: Some("b.example".to_owned()) }],
        pairs_not_shown: 0,
        address: Some(Address::Tcp(([127, 0, 0, 1], 5269).into())),
        since: Time(Time::now().0 - Duration::from_secs(7_300)),
        mechanism: Some(Authentication::External),
        tls: Some(tls),
        received: Amount::default(),
        sent: Amount::default(),
        waiting: Amount::default(),
        acknowledgement: Acknowledgement::default(),
        ping_unanswered: None,
        idle: Seconds::default(),
    }
}

fn sentence(links: &[LinkReport], queues: &[QueueReport], events: &[Event]) -> String {
    let now = Time::now();
    state(&Facts {
        domain: "b.example",
        permitted: true,
        links,
        queues,
        events,
        above: None,
        here: None,
        now,
    })
}

#[test]
fn an_absent_component_comes_with_what_waits_for_it() {
    let now = Time::now();
    let before = |seconds| Time(now.0 - Duration::from_secs(seconds));
    let absent = ComponentReport {
        names: vec!["echo.example.org".to_owned()],
        name: "echo.example.org".to_owned(),
        connected: false,
        node: None,
        state: ComponentState::NotConnected,
        since: before(12),
        since_event: SinceEvent::Disconnected,
        ping_unanswered: None,
        last_end: Some(Ending { at: before(12), cause: EndCause::Lost, reason: "it broke".to_owned() }),
        refused: Amount::default(),
        waiting: Amount { stanzas: 31, bytes: 3100 },
        kept: 0,
        on_disk: Amount::default(),
        first_answered: Some(Seconds(Duration::from_secs(288))),
        rejected: Rejections::default(),
        conflicts: Rejections::default(),
        denied: Denials::default(),
        link: None,
    };
    assert_eq!(
        component(&absent, now),
        "echo.example.org: component not connected for 12 s; 31 stanzas wait, the first is answered with an error in 4 min; \
         its last connection ended 12 s ago: it broke"
    );
    let elsewhere = ComponentReport {
        connected: true,
        state: ComponentState::Connected,
        node: Some("b".to_owned()),
        ..absent.clone()
    };
    assert!(
        component(&elsewhere, now).starts_with("echo.example.org: component connected to node b for 12 s"),
        "{}",
        component(&elsewhere, now)
    );
    let waits = ComponentReport {
        state: ComponentState::WaitsForCluster,
        since_event: SinceEvent::Asked,
        node: Some("b".to_owned()),
        ..absent.clone()
    };
    let told = component(&waits, now);
    let expected =
        "echo.example.org: component waits at node b for 12 s for the cluster, which is asked whether";
    assert!(told.starts_with(expected), "{told}");
    let never = ComponentReport {
        state: ComponentState::NeverConnected,
        since_event: SinceEvent::NodeStarted,
        last_end: None,
        waiting: Amount::default(),
        ..absent.clone()
    };
    assert_eq!(
        component(&never, now),
        "echo.example.org: component never connected, the node started 12 s ago"
    );
    let added = ComponentReport { since_event: SinceEvent::AddedByReload, ..never };
    assert!(component(&added, now).ends_with("never connected, a reload added it 12 s ago"));
    let several = ["echo.example.org", "*.echo.example.org"].map(str::to_owned).to_vec();
    let several = component(&ComponentReport { names: several, ..absent.clone() }, now);
    assert!(several.contains("; serves echo.example.org, *.echo.example.org; 31 stanzas wait"), "{several}");
    let full = ComponentReport { kept: 31, on_disk: Amount { stanzas: 20, bytes: 2000 }, ..absent.clone() };
    assert!(
        component(&full, now).contains(
            "; 31 stanzas wait, all of them in the journal, 20 of them on the disk only, because the queue is full, \
             the first is answered"
        ),
        "{}",
        component(&full, now)
    );
    let address = "192.0.2.7".parse::<Host>().unwrap();
    let refused = Rejections { count: 2, last: Some(before(200)), address: Some(address.clone()) };
    let last = DeniedStanza {
        at: before(3),
        from: "spam@evil.example".to_owned(),
        to: "me@echo.example.org".to_owned(),
        address,
    };
    let attacked = ComponentReport {
        conflicts: Rejections { count: 1, ..refused.clone() },
        rejected: refused,
        denied: Denials { from_remote: 4, from_component: 1, last: Some(last) },
        ..absent.clone()
    };
    let told = component(&attacked, now);
    for part in [
        "; 2 connections with a wrong secret, the last 3 min ago from 192.0.2.7; ",
        "; 1 connection refused because another one serves the name (conflict = \"refuse\"), the last 3 min ago from 192.0.2.7; ",
        "; 5 stanzas denied by allow and deny, the last 3 s ago from 192.0.2.7: from spam@evil.example to me@echo.example.org",
    ] {
        assert!(told.contains(part), "{told}");
    }
    let idle = ComponentReport { waiting: Amount::default(), ..absent };
    assert!(!component(&idle, now).contains("wait"), "{}", component(&idle, now));
}

#[test]
fn a_missing_link_comes_with_reason_remedy_and_next_attempt() {
    assert_eq!(
        sentence(&[], &[queue(QueueState::Pause, 12, Some(34))], &[]),
        "b.example: no link; certificate of b.example expired on 2026-11-01; the operator of b.example must \
         renew it; 12 stanzas wait, next attempt in 34 s"
    );
    let nothing = sentence(&[], &[queue(QueueState::Pause, 0, Some(0))], &[]);
    assert!(nothing.ends_with("; nothing waits, next attempt with the next stanza"), "{nothing}");
}

#[test]
fn a_link_of_another_local_domain_is_mentioned() {
    let other = link(Direction::Outgoing, LinkState::Authenticated);
    let sentence = sentence(&[other], &[queue(QueueState::Pause, 1, Some(3))], &[]);
    assert!(
        sentence.starts_with("b.example: no link from a.example; certificate of b.example"),
        "{sentence}"
    );
}

#[test]
fn links_are_named_by_direction() {
    let outgoing = link(Direction::Outgoing, LinkState::Authenticated);
    let incoming = link(Direction::Incoming, LinkState::Authenticated);
    let both = sentence(&[outgoing.clone(), incoming.clone()], &[], &[]);
    assert_eq!(both, "b.example: linked both ways for 2 h, EXTERNAL over TLSv1.3; nothing waits");
    let here = sentence(&[outgoing], &[], &[]);
    assert!(here.starts_with("b.example: linked from here, not from there for 2 h"), "{here}");
    let there = sentence(&[incoming], &[], &[]);
    assert!(there.starts_with("b.example: linked from there, not from here"), "{there}");
}

#[test]
fn a_link_tells_what_is_not_acknowledged() {
    let mut outgoing = link(Direction::Outgoing, LinkState::Authenticated);
    outgoing.acknowledgement.acks = Acks::Yes;
    let incoming = link(Direction::Incoming, LinkState::Authenticated);
    let all = sentence(&[outgoing.clone(), incoming], &[], &[]);
    assert!(all.ends_with("over TLSv1.3; nothing waits; all stanzas acknowledged"), "{all}");
    outgoing.acknowledgement.open.stanzas = 37;
    outgoing.acknowledgement.open_for = Some(Seconds(Duration::from_secs(4)));
    let some = sentence(std::slice::from_ref(&outgoing), &[], &[]);
    assert!(some.ends_with("; nothing waits; 37 stanzas sent, not acknowledged for 4 s"), "{some}");
    outgoing.acknowledgement =
        Acknowledgement { open: Amount { stanzas: 1, bytes: 9 }, open_for: None, ..outgoing.acknowledgement };
    let one = sentence(&[outgoing], &[], &[]);
    assert!(one.ends_with("; 1 stanza sent, not acknowledged yet"), "{one}");
}

#[test]
fn stanzas_of_a_lost_link_are_told_apart_from_those_that_were_never_sent() {
    let mut paused = queue(QueueState::Pause, 12, Some(34));
    paused.open.stanzas = 3;
    let lost = sentence(&[], &[paused], &[]);
    assert!(lost.ends_with("; 12 stanzas wait (3 of them may have arrived), next attempt in 34 s"), "{lost}");
}

#[test]
fn a_link_by_dialback_names_the_problem_of_its_certificate() {
    let mut outgoing = link(Direction::Outgoing, LinkState::Authenticated);
    outgoing.mechanism = Some(Authentication::Dialback);
    let good = sentence(std::slice::from_ref(&outgoing), &[], &[]);
    assert!(good.ends_with(", dialback over TLSv1.3; nothing waits"), "{good}");
    if let Some(tls) = &mut outgoing.tls {
        tls.certificate = "expired on 2026-11-01".to_owned();
        tls.verdict = Verdict::Expired;
    }
    let incoming = link(Direction::Incoming, LinkState::Authenticated);
    assert_eq!(
        sentence(&[outgoing, incoming], &[], &[]),
        "b.example: linked both ways for 2 h, dialback over TLSv1.3, though its certificate expired on \
         2026-11-01; nothing waits"
    );
}

#[test]
fn an_attempt_under_way_comes_with_the_last_failure() {
    let attempt = link(Direction::Outgoing, LinkState::Negotiating);
    assert_eq!(
        sentence(&[attempt], &[queue(QueueState::Attempt, 1, None)], &[]),
        "b.example: a link is being made, negotiating with 127.0.0.1:5269; 1 stanza waits; the last attempt \
         failed: certificate of b.example expired on 2026-11-01; the operator of b.example must renew it"
    );
}

#[test]
fn a_refused_incoming_stream_is_mentioned_until_one_is_admitted() {
    let refused = Event::now(EventKind::Refused).saying("its certificate is self-signed");
    let admitted = Event::now(EventKind::ConnectedToUs);
    let outgoing = link(Direction::Outgoing, LinkState::Authenticated);
    let one = sentence(std::slice::from_ref(&outgoing), &[], std::slice::from_ref(&refused));
    assert!(one.contains("; its last incoming connection was refused "), "{one}");
    assert!(one.ends_with(" ago: its certificate is self-signed"), "{one}");
    let both = sentence(&[outgoing], &[], &[refused, admitted]);
    assert!(!both.contains("refused"), "{both}");
}

#[test]
fn a_forbidden_domain_names_the_setting() {
    let facts = Facts {
        domain: "b.example",
        permitted: false,
        links: &[],
        queues: &[],
        events: &[],
        above: None,
        here: None,
        now: Time::now(),
    };
    assert!(state(&facts).starts_with("b.example: not allowed by s2s.allow and s2s.deny"));
}

#[test]
fn the_result_of_a_command_has_its_numbers() {
    let done = Closed {
        domain: "b.example".to_owned(),
        sentence: String::new(),
        outgoing: 1,
        incoming: 1,
        down: true,
        waiting: Amount { stanzas: 3, bytes: 300 },
        nodes: Vec::new(),
    };
    assert_eq!(closed(&done), "b.example: 2 links closed (1 opened here, 1 there); 3 stanzas wait");
    assert_eq!(retried("b.example", &[], 0, 1, true, None), "b.example: nothing to retry, the link is open");
    let denied = retried("b.example", &[], 0, 0, false, None);
    assert!(denied.starts_with("b.example: not allowed by s2s.allow and s2s.deny"), "{denied}");
}
