//! Verification of dialback keys from unauthenticated peers: DNS lookups, connections and memory are limited, and the
//! answers do not reveal what the node found.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::Instant;

use crate::dialback::{Fixture, INBOX, result, verified};
use crate::support::{Behaviour, Listener, Peer, Server, Setup, connect_from, plays, read_to_end};

#[test]
fn large_answers_with_a_long_life_do_not_fill_the_memory() {
    // The most addresses that fit a DNS message, and the most that are read.
    const KINDS: [(&str, u32); 2] = [("whole", 4_000), ("tenth", 400)];
    const KEYS: u32 = 8;
    let fixture = Fixture::new();
    let dns = &fixture.network.dns;
    dns.lives("large.example", 86_400);
    for (kind, others) in KINDS {
        // The address is one of the node itself, so there is no connection.
        dns.behaves(
            &format!("{kind}.large.example"),
            Behaviour::Addresses { first: fixture.node.address(), others },
        );
        for number in 0..KEYS {
            let domain = format!("d{number}.{kind}.large.example");
            for target in 0..20 {
                let host = format!("t{target}.{domain}");
                dns.srv(&format!("_xmpp-server._tcp.{domain}"), target, 0, 5269, &host);
            }
        }
    }
    let before = fixture.node.process().status("VmRSS");
    for (kind, _) in KINDS {
        let (mut stranger, _) = fixture.dials(&format!("d0.{kind}.large.example"));
        for number in 0..KEYS {
            stranger.sends(&result(&format!("d{number}.{kind}.large.example"), INBOX, "key"));
        }
        for _ in 0..KEYS {
            assert_eq!(stranger.expects("result").attribute("type"), "error");
        }
    }
    let grown = fixture.node.process().status("VmHWM").saturating_sub(before);
    assert!(grown < 64 * 1024, "a few keys took {grown} KiB");
}

#[test]
fn one_key_has_few_targets_looked_up_and_makes_few_connections() {
    let fixture = Fixture::new();
    let third = ThirdParty::at(fixture.network.address());
    for target in 0..20 {
        let host = format!("t{target}.many.example");
        fixture.network.dns.srv("_xmpp-server._tcp.many.example", target, 0, third.port, &host);
        (0..8).for_each(|_| fixture.network.dns.a(&host, fixture.network.address()));
        fixture.network.dns.a(&host, third.address);
    }
    let (mut stranger, _) = fixture.dials("many.example");
    stranger.sends(&result("many.example", INBOX, "key"));
    assert_eq!(stranger.expects("result").attribute("type"), "error");
    assert!(third.met() <= 4, "{} connections", third.met());
    let hosts = |question: &&String| question.contains(".many.example ") && question.starts_with('t');
    let questions = fixture.network.dns.questions();
    let looked_up: BTreeSet<_> = questions.iter().filter(hosts).collect();
    assert!(looked_up.len() <= 8, "{looked_up:?}");
}

#[test]
fn the_keys_of_many_strangers_make_few_connections_to_one_third_party() {
    const STRANGERS: usize = 8;
    const KEYS: usize = 16;
    let fixture = Fixture::new();
    let third = ThirdParty::at(fixture.network.address());
    let began = Instant::now();
    let strangers: Vec<_> = (0..STRANGERS)
        .map(|stranger| {
            let mut peer = fixture.dials_from(fixture.network.address(), "d0.example");
            for key in 0..KEYS {
                let domain = format!("d{stranger}-{key}.example");
                let service = format!("_xmpp-server._tcp.{domain}");
                // Two names for one target: counting by name would count two.
                for name in ["a", "b"] {
                    let host = format!("{name}.{domain}");
                    fixture.network.dns.srv(&service, 0, 0, third.port, &host);
                    fixture.network.dns.a(&host, third.address);
                }
                peer.sends(&result(&domain, INBOX, "key"));
            }
            peer
        })
        .collect();
    for mut stranger in strangers {
        for _ in 0..KEYS {
            assert_eq!(stranger.expects("result").attribute("type"), "error");
        }
    }
    // A burst of 64, twice the number that may run at once, and then one a second.
    let most = 64 + began.elapsed().as_secs() as usize + 1;
    assert!(third.met() <= most, "{} connections for {} keys", third.met(), STRANGERS * KEYS);
}

#[test]
fn a_host_of_many_domains_has_all_of_them_verified() {
    const STREAMS: usize = 20;
    const KEYS: usize = 16;
    let fixture = Fixture::new();
    let address = fixture.network.address();
    plays(Listener::at(address), |mut peer: Peer| {
        let domain = peer.expects_header().attribute("to").to_owned();
        peer.sends_header(&domain, INBOX, "id='call-back'");
        peer.sends_features("<dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>");
        let id = peer.expects("verify").attribute("id").to_owned();
        peer.sends(&verified(INBOX, &id, "valid").replace("peer.example", &domain));
        peer.waits_for_the_end();
    });
    let mut streams: Vec<Peer> = (0..STREAMS)
        .map(|stream| {
            let mut peer = fixture.dials_from(address, "d0.example");
            for key in 0..KEYS {
                let domain = format!("d{stream}-{key}.example");
                fixture.network.publish(&domain, address);
                peer.sends(&result(&domain, INBOX, "key"));
            }
            peer
        })
        .collect();
    for stream in &mut streams {
        for _ in 0..KEYS {
            let verdict = stream.expects("result");
            assert_eq!(verdict.attribute("type"), "valid", "{verdict}");
        }
    }
}

#[test]
fn equal_records_and_other_names_of_one_address_are_dialed_once() {
    let fixture = Fixture::new();
    let third = ThirdParty::at(fixture.network.address());
    let service = "_xmpp-server._tcp.equal.example";
    let dns = &fixture.network.dns;
    for host in
        ["a.equal.example", "a.equal.example", "A.Equal.Example", "b.equal.example", "c.equal.example"]
    {
        dns.srv(service, 0, 0, third.port, host);
    }
    dns.a("a.equal.example", third.address);
    dns.a("b.equal.example", third.address);
    dns.aaaa("c.equal.example", third.address.to_ipv6_mapped());
    let answer = fixture.node.inbox().asks("equal.example", "<ping xmlns='urn:xmpp:ping'/>");
    answer.expect("error").expect("remote-server-timeout");
    assert_eq!(third.met(), 1);
}

// rows: A13
#[test]
fn an_unspecified_address_leads_to_no_listener_of_this_machine() {
    let fixture = Fixture::new();
    let dns = &fixture.network.dns;
    // A service of another user on this machine, listening at all its addresses.
    let other = TcpListener::bind("0.0.0.0:0").unwrap();
    other.set_nonblocking(true).unwrap();
    let port = other.local_addr().unwrap().port();
    let mut inbox = fixture.node.inbox();
    for (number, (address, own)) in
        [("0.0.0.0", true), ("0.1.2.3", true), ("0.0.0.0", false), ("0.1.2.3", false)].into_iter().enumerate()
    {
        let domain = format!("d{number}.example");
        let port = if own { COMPONENTS } else { port };
        dns.srv(&format!("_xmpp-server._tcp.{domain}"), 0, 0, port, &format!("h.{domain}"));
        dns.a(&format!("h.{domain}"), address.parse().unwrap());
        let answer = inbox.asks(&domain, "<ping xmlns='urn:xmpp:ping'/>");
        let text = answer.expect("error").expect("text").text();
        let wanted = if own { "leads back to this server" } else { "cannot be reached" };
        assert!(text.contains(wanted), "{address}: {answer}");
    }
    for (number, own) in [(7, true), (8, false)] {
        let domain = format!("d{number}.example");
        let port = if own { COMPONENTS } else { port };
        dns.srv(&format!("_xmpp-server._tcp.{domain}"), 0, 0, port, &format!("h.{domain}"));
        for address in ["::", "::ffff:0.0.0.0"] {
            dns.aaaa(&format!("h.{domain}"), address.parse().unwrap());
        }
        let text = inbox.asks(&domain, "<ping xmlns='urn:xmpp:ping'/>").expect("error").expect("text").text();
        let wanted = if own { "leads back to this server" } else { "cannot be reached" };
        assert!(text.contains(wanted), "{text}");
    }
    assert!(other.accept().is_err(), "somebody else's service was connected to");
}

#[test]
fn a_verification_that_leads_back_to_the_node_ends_there() {
    let fixture = Fixture::new();
    let third = ThirdParty::at(fixture.network.address());
    let dns = &fixture.network.dns;
    for target in 0..5 {
        let host = format!("t{target}.loop.example");
        dns.srv("_xmpp-server._tcp.loop.example", target, 0, 5269, &host);
        dns.a(&host, fixture.node.address());
    }
    dns.srv("_xmpp-server._tcp.loop.example", 9, 0, third.port, "last.loop.example");
    dns.a("last.loop.example", third.address);
    let (mut stranger, _) = fixture.dials("loop.example");
    stranger.sends(&result("loop.example", INBOX, "key"));
    assert_eq!(stranger.expects("result").attribute("type"), "error");
    assert_eq!(third.met(), 0);
    let asked = dns.questions();
    assert!(
        !asked.iter().any(|question| question.starts_with("t1.") || question.starts_with("last.")),
        "{asked:?}"
    );
}

// rows: F17
#[test]
fn verification_answers_do_not_reveal_open_ports() {
    let fixture = Fixture::with(Setup::of("nuncio.example").set("s2s.handshake_timeout", "\"3s\""));
    let network = &fixture.network;
    let says = |text: &'static str| {
        let address = network.address();
        says_to_all(TcpListener::bind((address, 5269)).unwrap(), text);
        address
    };
    let secret = "<stream:error><policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>\
                  <text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>internal 10.1.2.3</text></stream:error>";
    let header = "<?xml version='1.0'?><stream:stream xmlns='jabber:server' \
                  xmlns:stream='http://etherx.jabber.org/streams' id='1' from='x' version='1.0'>";
    let with_error: &'static str = format!("{header}{secret}</stream:stream>").leak();
    let closing = ThirdParty::at(network.address());
    let places = [
        ("refusing", network.address(), 5269),
        ("banner", says("220 internal FTP server of 10.1.2.3 ready\r\n"), 5269),
        ("web", says("HTTP/1.1 400 Bad Request\r\n\r\n"), 5269),
        ("error", says(with_error), 5269),
        ("silent", says(""), 5269),
        ("closing", closing.address, closing.port),
        ("own", fixture.node.address(), COMPONENTS),
        ("unspecified", Ipv4Addr::UNSPECIFIED, 22),
    ];
    network.dns.behaves("broken.example", Behaviour::ServerFailure);
    let mut domains = vec!["broken.example".to_owned()];
    for (name, address, port) in places {
        let domain = format!("{name}.example");
        network.dns.srv(&format!("_xmpp-server._tcp.{domain}"), 0, 0, port, &format!("h.{domain}"));
        network.dns.a(&format!("h.{domain}"), address);
        domains.push(domain);
        let tls = format!("{name}-tls.example");
        network.dns.srv(&format!("_xmpps-server._tcp.{tls}"), 0, 0, port, &format!("h.{tls}"));
        network.dns.a(&format!("h.{tls}"), address);
        domains.push(tls);
    }
    let mut told = BTreeSet::new();
    let ask = |domain: &String| {
        let (mut stranger, _) = fixture.dials(domain);
        stranger.sends(&result(domain, INBOX, "key"));
        stranger
    };
    let mut strangers: Vec<(Peer, &String)> = domains.iter().map(|domain| (ask(domain), domain)).collect();
    for (stranger, domain) in &mut strangers {
        let answer = stranger.expects("result");
        told.insert(answer.expect("error").to_string().replace(domain.as_str(), "DOMAIN"));
    }
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(!told.iter().any(|told| told.contains(|c: char| c.is_ascii_digit())), "{told:#?}");
    // The log has the details.
    fixture.node.eventually_logs(&["could not be asked", "refusing.example", "refused the connection"]);
}

#[test]
fn no_stream_error_before_authentication_has_an_address_in_it() {
    let fixture = Fixture::with(Setup::of("nuncio.example").set("s2s.handshake_timeout", "\"2s\""));
    let header = |attributes: &str| {
        format!(
            "<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' \
             xmlns:db='jabber:server:dialback' version='1.0' {attributes}>"
        )
    };
    let good = header(&format!("from='d.example' to='{INBOX}'"));
    let inputs = [
        "GET / HTTP/1.1\r\n\r\n".to_owned(),
        "<html/>".to_owned(),
        header("to='not-here.example'"),
        header(&format!("from='@' to='{INBOX}'")),
        header(&format!("from='{INBOX}' to='{INBOX}'")),
        header(&format!("from='d.example' to='{INBOX}'")).replace("jabber:server'", "jabber:client'"),
        format!("{good}<message from='a@d.example' to='b@{INBOX}'/>"),
        format!("{good}<db:result from='@' to='{INBOX}'>key</db:result>"),
        format!("{good}<unknown xmlns='urn:unknown'/>"),
        format!("{good}<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>"),
        format!("{good}</wrong>"),
        format!("{good}<!-- -->"),
        // The stream times out while the authoritative server is silent.
        format!("{good}<db:result from='silent.example' to='{INBOX}'>key</db:result>"),
        good.clone(),
    ];
    let (silent, node) = (fixture.network.address(), fixture.node.address());
    let _silent = Listener::at(silent);
    fixture.network.publish("silent.example", silent);
    for input in inputs {
        let mut stream = connect_from(fixture.network.address(), (node, 5269).into());
        stream.write_all(input.as_bytes()).unwrap();
        let said = read_to_end(&mut stream);
        assert!(said.contains("<stream:error>"), "{input}: {said}");
        let network = format!("127.{}.", node.octets()[1]);
        assert!(!said.contains(&network), "{input}: {said}");
    }
}

/// An unrelated server: it counts connections and closes each.
struct ThirdParty {
    address: Ipv4Addr,
    port: u16,
    met: Arc<AtomicUsize>,
}

impl ThirdParty {
    fn at(address: Ipv4Addr) -> Self {
        let listener = TcpListener::bind((address, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let met = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&met);
        thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                counted.fetch_add(1, Relaxed);
                let _: Result<(), _> = TcpStream::write_all(&mut stream, b"no\r\n");
            }
        });
        Self { address, port, met }
    }

    fn met(&self) -> usize {
        self.met.load(Relaxed)
    }
}

/// Sends a text on every connection, and keeps it until the other side closes it.
fn says_to_all(listener: TcpListener, text: &'static str) {
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || {
                let _: Result<(), _> = stream.write_all(text.as_bytes());
                let _: Result<_, _> = std::io::copy(&mut stream, &mut std::io::sink());
            });
        }
    });
}

/// Where the node listens for components.
const COMPONENTS: u16 = 5347;
