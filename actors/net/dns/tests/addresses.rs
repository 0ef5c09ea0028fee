//! The addresses of a host.

use super::*;

async fn found(zone: impl Fn(&str) -> Reply + Send + 'static) -> Result<Vec<String>, LookupError> {
    let server = Server::scripted(zone);
    let addresses = dns(&server).addresses("x.b.example").await?;
    Ok(addresses.iter().map(ToString::to_string).collect())
}

#[tokio::test]
async fn families_take_turns_and_ipv6_begins() {
    let found = found(|question| match question {
        "x.b.example A" => answer([a(1), a(2), a(3)]),
        "x.b.example AAAA" => answer([aaaa(1), aaaa(2)]),
        _ => NoName,
    });
    let found = found.await.unwrap();
    let families: Vec<bool> = found.iter().map(|address| address.contains(':')).collect();
    assert_eq!(families, [true, false, true, false, false]);
    let expected = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1", "2001:db8::2"];
    assert_eq!(std::collections::BTreeSet::from_iter(found.iter().map(String::as_str)), expected.into());
}

#[tokio::test]
async fn the_addresses_of_one_family_share_the_load() {
    let server = Server::scripted(|question| match question {
        "x.b.example A" => answer([a(1), a(2), a(2)]),
        _ => NoData,
    });
    let dns = dns(&server);
    let mut first = std::collections::BTreeMap::<IpAddr, u32>::new();
    for _ in 0..200 {
        let addresses = dns.addresses("x.b.example").await.unwrap();
        assert_eq!(addresses.len(), 2, "one is repeated: {addresses:?}");
        *first.entry(addresses[0]).or_default() += 1;
    }
    assert!(first.len() == 2 && first.values().all(|seen| *seen > 40), "{first:?}");
}

#[tokio::test]
async fn an_alias_is_followed() {
    let found = found(|question| match question {
        "x.b.example A" => alias("y.example", [a(1)]),
        "x.b.example AAAA" => alias("y.example", []),
        "y.example AAAA" => NoData,
        _ => NoName,
    });
    assert_eq!(found.await.unwrap(), ["192.0.2.1"]);
}

#[tokio::test]
async fn a_late_ipv6_answer_is_not_waited_for() {
    let server = Server::scripted(|question| match question {
        "x.b.example A" => answer([a(1)]),
        _ => Silence,
    });
    let nameservers = vec![server.address()];
    // If it were waited for, this test would hang.
    let dns =
        Dns::new(&Settings { nameservers, timeout: Duration::from_secs(3600) }, &Network::System).unwrap();
    let addresses = dns.addresses("x.b.example").await.unwrap();
    assert_eq!(addresses.iter().map(ToString::to_string).collect::<Vec<_>>(), ["192.0.2.1"]);
}

#[tokio::test]
async fn a_slightly_later_ipv6_answer_is_waited_for() {
    // A busy machine may make it later than it is waited for; unless it is waited for it never comes in time.
    for _ in 0..100 {
        let found = found(|question| match question {
            "x.b.example A" => answer([a(1)]),
            _ => Late(Duration::from_millis(1), Box::new(answer([aaaa(1)]))),
        });
        if found.await.unwrap() == ["2001:db8::1", "192.0.2.1"] {
            return;
        }
    }
    panic!("the answer was never waited for");
}

#[tokio::test]
async fn a_late_ipv4_answer_is_waited_for() {
    let found = found(|question| match question {
        "x.b.example A" => Late(TIMEOUT / 12, Box::new(answer([a(1)]))),
        _ => answer([aaaa(1)]),
    });
    assert_eq!(found.await.unwrap(), ["2001:db8::1", "192.0.2.1"]);
}

#[tokio::test]
async fn an_empty_answer_does_not_hurry_the_other_family() {
    let found = found(|question| match question {
        "x.b.example A" => NoData,
        _ => Late(TIMEOUT / 3, Box::new(answer([aaaa(1)]))),
    });
    assert_eq!(found.await.unwrap(), ["2001:db8::1"]);
}

#[tokio::test]
async fn one_family_is_enough_when_the_other_fails() {
    for failure in [Code(ResponseCode::ServFail), Silence, NoData, NoName] {
        let found = found(move |question| match question {
            "x.b.example A" => answer([a(1)]),
            _ => failure.clone(),
        });
        assert_eq!(found.await.unwrap(), ["192.0.2.1"]);
    }
}

#[tokio::test]
async fn a_host_without_address_is_no_word_about_the_domain() {
    for (reply, exists, text) in
        [(NoName, false, "x.b.example does not exist"), (NoData, true, "x.b.example has no address")]
    {
        let failure = found(move |_| reply.clone()).await.unwrap_err();
        assert_eq!(failure, LookupError::NoAddress { host: "x.b.example".into(), exists });
        assert_eq!(failure.to_string(), text);
        assert!(!failure.is_definitive());
    }
}

#[tokio::test]
async fn a_failure_of_one_family_leaves_it_open_whether_there_is_an_address() {
    let failure = found(|question| match question {
        "x.b.example A" => Code(ResponseCode::ServFail),
        _ => NoData,
    });
    let failure = failure.await.unwrap_err();
    assert!(matches!(failure, LookupError::Refused { .. }), "{failure:?}");
}

#[tokio::test]
async fn a_literal_is_its_own_address() {
    let server = Server::always(NoName);
    let dns = dns(&server);
    for (host, address) in [("192.0.2.7", "192.0.2.7"), ("::1", "::1"), ("[2001:db8::7]", "2001:db8::7")] {
        assert_eq!(dns.addresses(host).await.unwrap(), [address.parse::<IpAddr>().unwrap()]);
    }
    assert_eq!(server.take_questions(), [""; 0]);
}
