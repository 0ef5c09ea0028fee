//! Look-ups that find targets.

use super::*;

#[tokio::test]
async fn follows_srv_records_by_priority() {
    let server = Server::scripted(|question| match question {
        "_xmpp-server._tcp.b.example SRV" => {
            answer([srv(20, 5, 5299, "Y.b.example"), srv(10, 0, 5269, "x.b.example")])
        }
        _ => NoName,
    });
    assert_eq!(targets(&dns(&server)).await.unwrap(), ["10 0 x.b.example:5269", "20 5 y.b.example:5299"]);
}

#[tokio::test]
async fn direct_tls_and_starttls_are_one_set() {
    let server = Server::scripted(|question| match question {
        "_xmpps-server._tcp.b.example SRV" => answer([srv(1, 0, 5270, "b"), srv(3, 0, 443, "d")]),
        "_xmpp-server._tcp.b.example SRV" => answer([srv(2, 0, 5269, "c"), srv(0, 0, 5269, "a")]),
        _ => NoName,
    });
    let found = targets(&dns(&server)).await.unwrap();
    assert_eq!(found, ["0 0 a:5269", "1 0 b:5270 tls", "2 0 c:5269", "3 0 d:443 tls"]);
}

#[tokio::test]
async fn weights_are_shares() {
    let server = Server::scripted(|question| match question {
        "_xmpps-server._tcp.b.example SRV" => answer([srv(1, 30, 5270, "x")]),
        "_xmpp-server._tcp.b.example SRV" => answer([srv(1, 10, 5269, "y"), srv(1, 60, 5269, "z")]),
        _ => NoName,
    });
    let dns = dns(&server);
    let mut first = [0_u32; 3];
    for _ in 0..1000 {
        let target = dns.service(&domain()).await.unwrap().remove(0);
        first[["x", "y", "z"].iter().position(|host| *host == target.host).unwrap()] += 1;
    }
    let chi_square: f64 = first
        .iter()
        .zip([300.0, 100.0, 600.0])
        .map(|(seen, expected)| (f64::from(*seen) - expected).powi(2) / expected)
        .sum();
    // Two degrees of freedom: passed by chance once in a million runs.
    assert!(chi_square < 27.6, "{first:?} is off by {chi_square}");
}

#[tokio::test]
async fn a_domain_without_srv_records_is_its_own_host() {
    for srv in [NoName, NoData] {
        let server = Server::scripted(move |question| match question {
            "b.example A" => answer([a(1)]),
            "b.example AAAA" => NoData,
            _ => srv.clone(),
        });
        let dns = dns(&server);
        assert_eq!(targets(&dns).await.unwrap(), ["0 0 b.example:5269"]);
        assert!(!dns.service(&domain()).await.unwrap()[0].from_srv);
    }
}

#[tokio::test]
async fn an_address_is_its_own_host_and_asks_nobody() {
    let server = Server::always(NoName);
    let dns = dns(&server);
    for (domain, target) in [("192.0.2.7", "192.0.2.7:5269"), ("[2001:db8::7]", "[2001:db8::7]:5269")] {
        let found = dns.service(&Domain::new(domain).unwrap()).await.unwrap();
        assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), [target]);
    }
    assert_eq!(server.take_questions(), [""; 0]);
}

#[tokio::test]
async fn no_direct_tls_leaves_starttls() {
    let server = Server::scripted(|question| match question {
        "_xmpps-server._tcp.b.example SRV" => answer([srv(0, 0, 0, ".")]),
        "_xmpp-server._tcp.b.example SRV" => answer([srv(1, 0, 5269, "x")]),
        _ => NoName,
    });
    assert_eq!(targets(&dns(&server)).await.unwrap(), ["1 0 x:5269"]);
}

#[tokio::test]
async fn no_starttls_leaves_direct_tls() {
    let server = Server::scripted(|question| match question {
        "_xmpps-server._tcp.b.example SRV" => answer([srv(1, 0, 5270, "x")]),
        "_xmpp-server._tcp.b.example SRV" => answer([srv(0, 0, 0, ".")]),
        _ => NoName,
    });
    assert_eq!(targets(&dns(&server)).await.unwrap(), ["1 0 x:5270 tls"]);
}

/// The fallback of RFC 6120 is for STARTTLS, so a word about direct TLS does not forbid it.
#[tokio::test]
async fn no_direct_tls_and_nothing_said_of_starttls_leaves_the_domain_itself() {
    let server = Server::scripted(|question| match question {
        "_xmpps-server._tcp.b.example SRV" => answer([srv(0, 0, 0, ".")]),
        "b.example A" => answer([a(1)]),
        _ => NoData,
    });
    assert_eq!(targets(&dns(&server)).await.unwrap(), ["0 0 b.example:5269"]);
}

#[tokio::test]
async fn one_answer_is_enough_when_the_other_fails() {
    for failure in [Code(ResponseCode::ServFail), Silence] {
        let server = Server::scripted(move |question| match question {
            "_xmpp-server._tcp.b.example SRV" => answer([srv(1, 0, 5269, "x")]),
            _ => failure.clone(),
        });
        assert_eq!(targets(&dns(&server)).await.unwrap(), ["1 0 x:5269"]);
    }
}

#[tokio::test]
async fn follows_srv_records_behind_an_alias() {
    // What the library, gone astray, hears about SRV records of the target.
    for stray in [NoName, NoData, Code(ResponseCode::ServFail), Code(ResponseCode::Refused)] {
        let server = Server::scripted(move |question| match question {
            "_xmpp-server._tcp.b.example SRV" => {
                alias("hosted.example", [srv(1, 2, 5269, "x.hosted.example")])
            }
            "_xmpp-server._tcp.b.example CNAME" => answer([cname("hosted.example")]),
            "hosted.example SRV" => answer([srv(1, 2, 5269, "x.hosted.example")]),
            "x.hosted.example SRV" => stray.clone(),
            _ => NoName,
        });
        assert_eq!(targets(&dns(&server)).await.unwrap(), ["1 2 x.hosted.example:5269"]);
    }
}

#[tokio::test]
async fn follows_an_alias_of_an_alias() {
    let server = Server::scripted(|question| match question {
        "_xmpp-server._tcp.b.example SRV" => {
            let mut chain = vec![("", cname("one.example")), ("one.example", cname("two.example"))];
            chain.push(("two.example", srv(1, 2, 5269, "x.example")));
            chain.into_iter().collect()
        }
        "_xmpp-server._tcp.b.example CNAME" => answer([cname("one.example")]),
        "one.example SRV" => alias("two.example", [srv(1, 2, 5269, "x.example")]),
        "one.example CNAME" => answer([cname("two.example")]),
        "two.example SRV" => answer([srv(1, 2, 5269, "x.example")]),
        _ => NoName,
    });
    assert_eq!(targets(&dns(&server)).await.unwrap(), ["1 2 x.example:5269"]);
}

#[tokio::test]
async fn tries_no_more_than_twenty_targets() {
    let server = Server::scripted(|question| match question {
        "_xmpp-server._tcp.b.example SRV" => (0..30).map(|n| ("", srv(n, 0, 5269 + n, "x"))).collect(),
        _ => NoName,
    });
    let found = dns(&server).service(&domain()).await.unwrap();
    assert_eq!(found.iter().map(|target| target.priority).collect::<Vec<_>>(), Vec::from_iter(0..20));
}

#[tokio::test]
async fn keeps_the_best_twenty_of_a_large_answer() {
    let server = Server::scripted(|question| match question {
        "_xmpp-server._tcp.b.example SRV" => {
            (0..50).rev().map(|n| ("", srv(n, 0, 5269, "x"))).chain([("", srv(7, 0, 1, "y"))]).collect()
        }
        _ => NoName,
    });
    // Of the fifty for the same host and port one is used: the best.
    assert_eq!(targets(&dns(&server)).await.unwrap(), ["0 0 x:5269", "7 0 y:1"]);
}

#[tokio::test]
async fn targets_of_equal_priority_without_weight_share_the_load() {
    let server = Server::scripted(|question| match question {
        "_xmpp-server._tcp.b.example SRV" => answer([srv(0, 0, 5269, "x"), srv(0, 0, 5269, "y")]),
        _ => NoName,
    });
    let dns = dns(&server);
    let mut first = std::collections::BTreeMap::<String, u32>::new();
    for _ in 0..200 {
        *first.entry(dns.service(&domain()).await.unwrap().remove(0).host).or_default() += 1;
    }
    // A hundred each are expected; less than 40 is met once in 10^17 runs.
    assert!(first.len() == 2 && first.values().all(|seen| *seen > 40), "{first:?}");
}

#[tokio::test]
async fn one_good_name_server_is_enough() {
    let good = Server::scripted(|question| match question {
        "_xmpp-server._tcp.b.example SRV" => {
            Late(Duration::from_millis(20), Box::new(answer([srv(1, 0, 5269, "x")])))
        }
        _ => NoName,
    });
    for code in [ResponseCode::Refused, ResponseCode::ServFail] {
        let bad = Server::always(Code(code));
        for nameservers in [[bad.address(), good.address()], [good.address(), bad.address()]] {
            let dns =
                Dns::new(&Settings { nameservers: nameservers.into(), timeout: TIMEOUT }, &Network::System)
                    .unwrap();
            assert_eq!(targets(&dns).await.unwrap(), ["1 0 x:5269"]);
        }
    }
}
