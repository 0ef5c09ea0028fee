//! The walk without a network. All addresses are 0.0.0.0 with different ports: no connection is made to "this
//! host", and each failure counts as a connection.
//!
//! A second connection for dialback, and TLS that is required after the first, need a peer: the tests of
//! whole nodes have both.

use std::sync::{Arc, mpsc};

use actix::Arbiter;
use xmpp::{
    Domain, DomainPair, dialback,
    policy::Bounds,
    stream::{
        Stage,
        initiating::{self, Cause},
    },
};

use super::*;
use crate::{
    dial::{
        attempt::{Dialer, Limits, OpenSession, VerifyKey, resumption::SEARCH_WITHIN},
        error::At,
        observer::{Observer, Step},
        remote_policy::RemotePolicies,
        resolver::Resolver,
    },
    fixture,
    observe::{fingerprints::Fingerprints, metrics::MetricsHandle, recorder::RecorderHandle},
    settings::{self, Remote},
};
use mailbox::Meter;
use net::{dns::Dns, network::Network, tls::Tls};

fn pair() -> DomainPair {
    let [local, remote] = ["a.example", "b.example"].map(|name| Domain::new(name).unwrap());
    DomainPair { local, remote }
}

fn attempt<G: Goal>(goal: G) -> Attempt<G> {
    let second = Duration::from_secs(1);
    let remote = Remote {
        policy: fixture::policy(),
        connect_timeout: second,
        handshake_timeout: second,
        attempt_timeout: second,
        idle_timeout: second,
        keepalive: second,
        element_timeout: second,
        write_timeout: second,
        max_rate: None,
        address: None,
        direct_tls: false,
        acks: false,
        resume_timeout: second,
        ack_timeout: second,
        repeat: settings::Repeat::Messages,
    };
    let (here, meter) = (Arbiter::current(), Meter::new("test", 64, None));
    let nameservers = vec![([127, 0, 0, 1], 9).into()];
    let dns = Dns::new(&settings::Dns { nameservers, timeout: second }, &Network::System).unwrap();
    let resolver = mailbox::start_on(&here, &meter, "resolver", move |own| Resolver::new(dns, own));
    let fingerprints = mailbox::start_on(&here, &meter, "fingerprints", move |_| {
        Fingerprints::new(RecorderHandle::disabled())
    });
    Attempt {
        goal,
        lost: None,
        pair: pair(),
        remote: Arc::new(remote.clone()),
        limits: Limits {
            time: Duration::from_secs(60),
            connections: 64,
            lookups: 64,
            allows_local_scope: true,
        },
        bounds: Bounds::default(),
        certificate: false,
        dialer: Dialer {
            network: Network::System,
            policies: RemotePolicies::uniform(remote),
            tls: Tls::new(Vec::new(), &[]).unwrap(),
            resolver,
            dial_limit: None,
            fingerprints,
            metrics: MetricsHandle::default(),
            dials: settings::Dials { at_once: 1, hanging: 0, per_address: 1, per_attempt: 64 },
            recorder: RecorderHandle::disabled(),
            bound: Arc::default(),
        },
        owner: None,
        log: "nuncio::outgoing",
        observer: None,
    }
}

fn address(port: u16) -> SocketAddr {
    ([0, 0, 0, 0], port).into()
}

fn target(port: u16) -> Target {
    Target { host: "0.0.0.0".to_owned(), port, direct_tls: false, priority: 0, weight: 0, from_srv: true }
}

fn targets(ports: &[u16]) -> Vec<Target> {
    ports.iter().copied().map(target).collect()
}

/// Begins the walk at a target whose addresses were looked up.
fn enter<G: Goal>(walk: &mut Walk<'_, G>, port: u16, addresses: &[u16]) {
    let addresses = addresses.iter().copied().map(address).collect();
    walk.places.push(Place::located(target(port), walk.race.budget.share(true), addresses));
}

/// Ends the visit of a target with this error.
fn fail<G: Goal>(walk: &mut Walk<'_, G>, port: u16, error: AttemptError) {
    let place = Place::located(target(port), walk.race.budget.share(true), Vec::new());
    place.note(error, walk.race.had_tls());
    walk.leave(&place);
}

fn stream_error(cause: Cause) -> AttemptError {
    let at = At { address: address(1), stage: Stage::Features, distrusted: None };
    AttemptError::Stream { at, failure: initiating::Failure { remote: pair().remote, cause } }
}

/// The port of the target of each visit, the port of its address if it was to one only, and whether it was
/// the last of the target.
async fn visits<G: Goal>(walk: &mut Walk<'_, G>) -> Vec<(u16, Option<u16>, bool)> {
    let mut visits = Vec::new();
    while let Some(visit) = walk.next().await {
        assert!(visit.outcome.is_err(), "no connection is made to this host");
        visits.push((visit.target.port, visit.address.map(|address| address.port()), visit.is_last));
    }
    visits
}

async fn targets_visited<G: Goal>(walk: &mut Walk<'_, G>) -> Vec<u16> {
    visits(walk).await.into_iter().map(|(target, ..)| target).collect()
}

#[actix::test]
async fn a_node_visits_each_target_once_with_all_of_its_addresses() {
    let attempt = attempt(OpenSession);
    let mut walk = Walk::over(&attempt, Strategy::FirstSuccess, targets(&[2, 3]));
    enter(&mut walk, 1, &[11, 12]);
    assert_eq!(visits(&mut walk).await, [(1, None, true), (2, Some(2), true), (3, Some(3), true)]);
    assert!(matches!(walk.into_error(), AttemptError::Connect(_)));
}

#[actix::test]
async fn a_probe_visits_each_address_of_each_target() {
    let attempt = attempt(OpenSession);
    let mut walk = Walk::over(&attempt, Strategy::EveryAddress, targets(&[2, 2]));
    enter(&mut walk, 1, &[11, 12]);
    let expected = [(1, Some(11), false), (1, Some(12), true), (2, Some(2), true), (2, Some(2), true)];
    assert_eq!(visits(&mut walk).await, expected);
}

#[actix::test]
async fn a_node_does_not_connect_again_to_an_address_that_has_failed() {
    let attempt = attempt(OpenSession);
    let mut walk = Walk::over(&attempt, Strategy::FirstSuccess, targets(&[1, 2, 1, 3]));
    assert_eq!(targets_visited(&mut walk).await, [1, 2, 3]);
}

#[actix::test]
async fn a_redirect_is_visited_next_even_if_its_address_was_tried_before() {
    let attempt = attempt(OpenSession);
    let mut walk = Walk::over(&attempt, Strategy::FirstSuccess, targets(&[2]));
    walk.race.tried.borrow_mut().push((address(7), false));
    fail(&mut walk, 1, stream_error(Cause::Redirected { host: "0.0.0.0:7".to_owned(), secured: true }));
    assert_eq!(targets_visited(&mut walk).await, [7, 2]);
    assert!(
        matches!(walk.into_error(), AttemptError::Connect(_)),
        "a redirect that was followed is no error"
    );
}

#[actix::test]
async fn a_redirect_in_clear_text_is_an_error_like_others() {
    let attempt = attempt(OpenSession);
    let mut walk = Walk::over(&attempt, Strategy::FirstSuccess, targets(&[2]));
    fail(&mut walk, 1, stream_error(Cause::Redirected { host: "0.0.0.0:7".to_owned(), secured: false }));
    assert_eq!(targets_visited(&mut walk).await, [2]);
    assert!(matches!(walk.into_error(), AttemptError::Stream { .. }));
}

#[actix::test]
async fn the_error_of_the_visit_that_got_furthest_is_reported() {
    let attempt = attempt(OpenSession);
    let mut walk = Walk::over(&attempt, Strategy::FirstSuccess, targets(&[2]));
    fail(&mut walk, 1, stream_error(Cause::NoMechanism));
    assert_eq!(targets_visited(&mut walk).await, [2]);
    assert!(matches!(walk.into_error(), AttemptError::Stream { .. }));
}

#[actix::test]
async fn missing_tls_is_not_reported_once_the_remote_had_tls() {
    for (had_tls, is_reported) in [(false, true), (true, false)] {
        let attempt = attempt(OpenSession);
        let mut walk = Walk::over(&attempt, Strategy::FirstSuccess, Vec::new());
        if had_tls {
            Entrant::new(&walk.race, 0).note_tls();
        }
        walk.error = Some(AttemptError::Connect(Vec::new()));
        fail(&mut walk, 1, stream_error(Cause::TlsUnavailable));
        assert!(targets_visited(&mut walk).await.is_empty());
        assert_eq!(walk.into_error().is_without_tls(), is_reported);
    }
}

#[actix::test]
async fn the_walk_ends_with_the_lookups_the_connections_or_the_time_of_the_attempt() {
    let minute = Duration::from_secs(60);
    for (lookups, connections, time, visited) in [
        (2, 64, minute, &[1, 2][..]),
        (64, 3, minute, &[1, 2, 3]),
        (64, 64, Duration::ZERO, &[]),
        (64, 64, minute, &[1, 2, 3, 4, 5]),
    ] {
        let mut attempt = attempt(OpenSession);
        attempt.limits = Limits { time, connections, lookups, allows_local_scope: true };
        let mut walk = Walk::over(&attempt, Strategy::FirstSuccess, targets(&[1, 2, 3, 4, 5]));
        assert_eq!(targets_visited(&mut walk).await, visited, "{lookups} {connections} {time:?}");
        assert_eq!(walk.targets().count(), 0);
    }
}

#[actix::test]
async fn the_address_of_the_lost_stream_is_preferred_if_a_target_has_it() {
    let attempt = attempt(OpenSession);
    for (lost, order) in [(1, [1, 2, 3]), (2, [2, 1, 3]), (3, [3, 1, 2]), (4, [1, 2, 3])] {
        let ordered = attempt.prefer(address(lost), targets(&[1, 2, 3])).await;
        assert_eq!(ordered.iter().map(|target| target.port).collect::<Vec<_>>(), order, "{lost}");
    }
}

#[actix::test]
async fn a_probe_has_no_limits() {
    let mut attempt = attempt(OpenSession);
    attempt.limits = Limits { time: Duration::ZERO, connections: 0, lookups: 0, allows_local_scope: true };
    let mut walk = Walk::over(&attempt, Strategy::EveryAddress, targets(&[1, 2]));
    assert_eq!(targets_visited(&mut walk).await, [1, 2]);
}

#[actix::test]
async fn a_walk_without_a_visit_ends_late() {
    let attempt = attempt(OpenSession);
    let mut walk = Walk::over(&attempt, Strategy::FirstSuccess, Vec::new());
    assert!(targets_visited(&mut walk).await.is_empty());
    assert!(matches!(walk.into_error(), AttemptError::Late));
}

#[actix::test]
async fn a_target_at_our_own_listener_ends_a_verification_but_not_the_way_to_a_session() {
    let mut session = attempt(OpenSession);
    session.dialer.bound = [address(1)].into();
    let mut walk = Walk::over(&session, Strategy::FirstSuccess, targets(&[1, 2]));
    assert_eq!(visits(&mut walk).await, [(1, None, true), (2, Some(2), true)]);

    let request = dialback::Request { pair: pair(), id: "1".to_owned(), key: "k".to_owned() };
    let mut verification = attempt(VerifyKey { request });
    verification.dialer.bound = [address(1)].into();
    let mut walk = Walk::over(&verification, Strategy::FirstSuccess, targets(&[1, 2]));
    assert_eq!(visits(&mut walk).await, [(1, None, true)]);
    assert!(matches!(walk.into_error(), AttemptError::Loop(_)));
}

/// Passes on the steps of the walk.
#[derive(Debug)]
struct Recorded(mpsc::Sender<String>);

impl Observer for Recorded {
    fn observe(&self, step: Step<'_>) {
        let step = match step {
            Step::Entered(target) => format!("entered {target}"),
            Step::Located(addresses) => format!("located {addresses:?}"),
            Step::Visiting(addresses) => format!("visiting {addresses:?}"),
            step => format!("{step:?}"),
        };
        self.0.send(step).unwrap();
    }
}

#[actix::test]
async fn an_observer_sees_each_target_and_each_address() {
    let (steps, seen) = mpsc::channel();
    let mut attempt = attempt(OpenSession);
    attempt.observer = Some(std::sync::Arc::new(Recorded(steps)));
    let mut walk = Walk::over(&attempt, Strategy::EveryAddress, targets(&[1]));
    visits(&mut walk).await;
    assert_eq!(
        seen.try_iter().collect::<Vec<_>>(),
        ["entered 0.0.0.0:1", "located [0.0.0.0:1]", "visiting [0.0.0.0:1]"]
    );
}

#[actix::test]
async fn the_search_for_the_address_of_a_lost_stream_ends_soon_when_the_dns_is_silent() {
    tokio::time::pause();
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut attempt = attempt(OpenSession);
    let dns = settings::Dns { nameservers: vec![silent.local_addr().unwrap()], timeout: SEARCH_WITHIN / 2 };
    let (here, meter) = (Arbiter::current(), Meter::new("test", 64, None));
    let dns = Dns::new(&dns, &Network::System).unwrap();
    attempt.dialer.resolver =
        mailbox::start_on(&here, &meter, "resolver", move |own| Resolver::new(dns, own));
    let named = |port| Target { host: format!("host{port}.example"), ..target(port) };
    let targets: Vec<Target> = (1..=8).map(named).collect();
    let began = clock::now();
    let kept = attempt.prefer(address(5), targets.clone()).await;
    assert_eq!(clock::since(began).as_secs(), SEARCH_WITHIN.as_secs());
    assert_eq!(super::list(&kept), super::list(&targets), "the order of the DNS");
}

/// Tens of thousands may wait at a time. What follows the wait is in boxes that do not exist yet.
#[actix::test]
async fn an_attempt_that_waits_for_a_permit_is_small() {
    let attempt = attempt(OpenSession);
    let visitor = Visitor {
        attempt: &attempt,
        strategy: Strategy::FirstSuccess,
        race: Race::new(Budget::unlimited(), None),
        place: Place::new(target(1), Budget::unlimited()),
        entrant: Rc::new(Entrant::alone()),
    };
    let (whole, visit) = (size_of_val(&attempt.clone().make()), size_of_val(&visitor.run()));
    assert!(whole <= 2560 && visit <= 1792, "{whole} bytes, and {visit} for its visit");
}
