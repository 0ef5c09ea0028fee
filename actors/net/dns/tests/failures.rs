//! Five ways to get no answer, and what each means.

use super::*;

const SRV: &str = "_xmpp-server._tcp.b.example";

#[tokio::test]
async fn a_domain_that_is_not_there_does_not_exist() {
    let server = NameServer::always(NoName).await;
    let failure = targets(&dns(&server)).await.unwrap_err();
    assert_eq!(failure, Failure::NoSuchDomain { domain: "b.example".into() });
    assert_eq!(failure.to_string(), "b.example does not exist");
    assert!(failure.is_definitive());
}

#[tokio::test]
async fn a_domain_with_other_data_has_no_service() {
    let server = NameServer::always(NoData).await;
    let failure = targets(&dns(&server)).await.unwrap_err();
    assert_eq!(failure, Failure::NoService { domain: "b.example".into() });
    assert!(failure.is_definitive());
}

#[tokio::test]
async fn a_root_target_means_that_there_is_no_service() {
    for direct in [answer([srv(0, 0, 0, ".")]), NoData, NoName] {
        let mut server = NameServer::start(move |question| match question {
            "_xmpp-server._tcp.b.example SRV" => answer([srv(0, 0, 5269, ".")]),
            "_xmpps-server._tcp.b.example SRV" => direct.clone(),
            _ => answer([a(1)]),
        })
        .await;
        let failure = targets(&dns(&server)).await.unwrap_err();
        assert_eq!(failure.to_string(), "b.example says that it has no XMPP service");
        assert!(failure.is_definitive());
        assert!(server.asked().iter().all(|question| question.ends_with("SRV")), "fell back to an address");
    }
}

#[tokio::test]
async fn an_error_of_the_name_servers_is_temporary_and_named() {
    for (code, name) in [(ResponseCode::ServFail, "SERVFAIL"), (ResponseCode::Refused, "REFUSED")] {
        let server = NameServer::always(Code(code)).await;
        let failure = targets(&dns(&server)).await.unwrap_err();
        assert_eq!(failure, Failure::Refused { question: question(SRV, "SRV"), code: code.into() });
        assert!(!failure.is_definitive());
        let text = format!("the name servers answered {name} (asked for _xmpp-server._tcp.b.example SRV)");
        assert_eq!(failure.to_string(), text);
    }
}

#[tokio::test]
async fn silence_is_temporary_and_bounded() {
    let server = NameServer::always(Silence).await;
    let failure = targets(&dns(&server)).await.unwrap_err();
    assert_eq!(failure, Failure::Silent { question: question(SRV, "SRV"), after: TIMEOUT });
    assert!(!failure.is_definitive());
    let text = "the name servers did not answer within 2.4 s (asked for _xmpp-server._tcp.b.example SRV)";
    assert_eq!(failure.to_string(), text);
}

#[tokio::test]
async fn an_unreadable_answer_is_temporary() {
    let server = NameServer::always(Garbage).await;
    let failure = targets(&dns(&server)).await.unwrap_err();
    assert!(matches!(failure, Failure::Unusable { .. } | Failure::Silent { .. }), "{failure:?}");
}

#[tokio::test]
async fn nobody_at_the_name_servers_address_is_temporary() {
    let address = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let dns = Dns::new(&Settings { nameservers: vec![address], timeout: TIMEOUT }).unwrap();
    let failure = targets(&dns).await.unwrap_err();
    assert!(matches!(failure, Failure::Unusable { .. } | Failure::Silent { .. }), "{failure:?}");
}

/// Falling back to the domain's own address is for those who have no SRV records, not for those of whom it is unknown.
#[tokio::test]
async fn does_not_fall_back_while_one_answer_is_missing() {
    for (starttls, direct) in [
        (Code(ResponseCode::ServFail), NoData),
        (NoData, Code(ResponseCode::ServFail)),
        (Code(ResponseCode::ServFail), answer([srv(0, 0, 0, ".")])),
        (answer([srv(0, 0, 0, ".")]), Code(ResponseCode::ServFail)),
    ] {
        let mut server = NameServer::start(move |question| match question {
            "_xmpp-server._tcp.b.example SRV" => starttls.clone(),
            "_xmpps-server._tcp.b.example SRV" => direct.clone(),
            _ => answer([a(1)]),
        })
        .await;
        let failure = targets(&dns(&server)).await.unwrap_err();
        assert!(matches!(failure, Failure::Refused { .. }), "{failure:?}");
        assert!(server.asked().iter().all(|question| !question.ends_with(" A")), "fell back to an address");
    }
}

#[tokio::test]
async fn an_error_in_the_fallback_is_temporary() {
    let server = NameServer::start(|question| match question {
        "b.example A" => Code(ResponseCode::ServFail),
        _ => NoData,
    })
    .await;
    let failure = targets(&dns(&server)).await.unwrap_err();
    let code = Rcode::ServFail;
    assert_eq!(failure, Failure::Refused { question: question("b.example", "A"), code });
}

#[tokio::test]
async fn an_alias_in_a_circle_leads_nowhere() {
    let server = NameServer::start(|question| match question {
        "_xmpp-server._tcp.b.example SRV" | "two.example SRV" => answer([cname("one.example")]),
        "one.example SRV" => answer([cname("two.example")]),
        "_xmpp-server._tcp.b.example CNAME" | "two.example CNAME" => answer([cname("one.example")]),
        "one.example CNAME" => answer([cname("two.example")]),
        _ => NoName,
    })
    .await;
    assert!(targets(&dns(&server)).await.is_err());
}

#[tokio::test]
async fn a_name_too_long_for_the_dns_does_not_exist() {
    let mut server = NameServer::always(NoName).await;
    let long = "x".repeat(64);
    let failure = dns(&server).addresses(&long).await.unwrap_err();
    assert_eq!(failure, Failure::NoAddress { host: long, exists: false });
    assert_eq!(server.asked(), [""; 0]);
}
