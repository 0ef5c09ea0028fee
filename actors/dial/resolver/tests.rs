//! The resolver with a scripted DNS server on loopback.

use std::time::Duration;

use actix::Arbiter;

use testkit::dns::{Reply, Server, a, answer, srv};

use super::*;
use crate::settings;
use mailbox::Meter;
use net::network::Network;

/// Tells the bytes of the cache.
#[derive(Debug)]
pub(super) struct Weigh(pub(super) oneshot::Sender<usize>);

fn dns(server: &Server) -> Dns {
    let timeout = Duration::from_secs(5);
    Dns::new(&settings::Dns { nameservers: vec![server.address()], timeout }, &Network::System).unwrap()
}

fn start(dns: Dns) -> Mailbox<Resolver> {
    let meter = Meter::new("resolver", 65_536, None);
    mailbox::start_on(&Arbiter::current(), &meter, "resolver", move |own| Resolver::new(dns, own))
}

async fn service(resolver: &Mailbox<Resolver>, domain: &str) -> Result<Vec<Target>, LookupError> {
    let (answer, answered) = oneshot::channel();
    let domain = Domain::new(domain).unwrap();
    resolver.signal(Resolve { domain, purpose: Purpose::Session, answer }).unwrap();
    answered.await.unwrap()
}

async fn addresses(resolver: &Mailbox<Resolver>, host: &str) -> Result<Vec<IpAddr>, LookupError> {
    let (answer, answered) = oneshot::channel();
    let host = host.to_owned();
    resolver.signal(Locate { host, purpose: Purpose::Verification, answer }).unwrap();
    answered.await.unwrap()
}

async fn weight(resolver: &Mailbox<Resolver>) -> usize {
    let (answer, answered) = oneshot::channel();
    resolver.signal(Weigh(answer)).unwrap();
    answered.await.unwrap()
}

#[actix::test]
async fn asks_once_for_what_it_knows_and_again_when_the_name_servers_change() {
    let zone = |question: &str| match question {
        "_xmpp-server._tcp.b.example SRV" => answer([srv(1, 0, 5269, "x.b.example")]),
        "x.b.example A" => answer([a(1)]),
        "x.b.example AAAA" => Reply::NoData,
        _ => Reply::NoName,
    };
    let server = Server::scripted(zone);
    let resolver = start(dns(&server));
    let both = ["_xmpp-server._tcp.b.example SRV", "_xmpps-server._tcp.b.example SRV"];
    service(&resolver, "b.example").await.unwrap();
    assert_eq!(server.take_questions(), both);
    // A "no" without an SOA record is remembered too, for a short while.
    service(&resolver, "b.example").await.unwrap();
    assert_eq!(server.take_questions(), [""; 0]);
    addresses(&resolver, "x.b.example").await.unwrap();
    addresses(&resolver, "x.b.example").await.unwrap();
    assert_eq!(server.take_questions(), ["x.b.example A", "x.b.example AAAA"]);

    resolver.signal(Adopt { dns: dns(&server) }).unwrap();
    service(&resolver, "b.example").await.unwrap();
    assert_eq!(server.take_questions(), both);
}

#[actix::test]
async fn a_domain_that_is_its_own_host_is_asked_for_once() {
    let zone = |question: &str| match question {
        "b.example A" => answer([a(1)]),
        "b.example AAAA" => Reply::NoData,
        _ => Reply::NoName,
    };
    let server = Server::scripted(zone);
    let resolver = start(dns(&server));
    service(&resolver, "b.example").await.unwrap();
    addresses(&resolver, "b.example").await.unwrap();
    let questions = server.take_questions();
    assert_eq!(questions.len(), 4, "{questions:?}");
}

#[actix::test]
async fn a_failure_is_not_kept() {
    let server = Server::always(Reply::Code(trust_dns_resolver::proto::op::ResponseCode::ServFail));
    let resolver = start(dns(&server));
    for _ in 0..2 {
        service(&resolver, "b.example").await.unwrap_err();
        assert!(!server.take_questions().is_empty());
    }
    assert_eq!(weight(&resolver).await, 0);
}

#[actix::test]
async fn the_cache_stays_within_its_bytes_however_large_the_answers_are() {
    const BYTES: usize = 1024 * 1024;
    let long = format!("{0}.{0}.{0}.example", "x".repeat(60));
    let server = Server::scripted(move |question| {
        let Some((name, "SRV")) = question.split_once(' ') else { return Reply::NoName };
        let number = name.split('.').nth(2).unwrap_or_default();
        let target = |target: u16| ("", srv(target, 0, 5269, &format!("{number}-{target}.{long}")));
        // As many as fit a datagram.
        (0..4).map(target).collect()
    });
    let meter = Meter::new("resolver", 65_536, None);
    let dns = dns(&server);
    let resolver = mailbox::start_on(&Arbiter::current(), &meter, "resolver", move |own| {
        let mut resolver = Resolver::new(dns, own);
        resolver.cache = Cache::new(BYTES);
        resolver
    });
    let mut heaviest = 0;
    for hundred in 0..20 {
        let domains: Vec<String> = (0..100).map(|number| format!("d{hundred}-{number}.example")).collect();
        let look_ups = domains.iter().map(|domain| service(&resolver, domain));
        for found in futures_util::future::join_all(look_ups).await {
            assert_eq!(found.unwrap().len(), 8);
        }
        heaviest = heaviest.max(weight(&resolver).await);
    }
    assert!((BYTES / 2..=BYTES).contains(&heaviest), "{heaviest} bytes");
}

#[actix::test]
async fn the_look_ups_of_strangers_do_not_take_the_turns_of_sessions() {
    let zone = |question: &str| match question {
        "x.b.example A" => answer([a(1)]),
        _ if question.contains("silent") => Reply::Silence,
        _ => Reply::NoName,
    };
    let server = Server::scripted(zone);
    let resolver = start(dns(&server));
    let mut waiting = Vec::new();
    for number in 0..1_000 {
        let (answer, answered) = oneshot::channel();
        let host = format!("h{number}.silent.example");
        resolver.signal(Locate { host, purpose: Purpose::Verification, answer }).unwrap();
        waiting.push(answered);
    }
    let (answer, answered) = oneshot::channel();
    let host = "x.b.example".to_owned();
    resolver.signal(Locate { host, purpose: Purpose::Session, answer }).unwrap();
    tokio::select! {
        found = answered => assert_eq!(found.unwrap().unwrap().len(), 1),
        _ = &mut waiting[0] => panic!("the name server does not answer strangers' questions"),
    }
    // Those who give up leave their turns to the others.
    drop(waiting);
    assert_eq!(addresses(&resolver, "x.b.example").await.unwrap().len(), 1);
}
