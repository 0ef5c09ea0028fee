//! Look-ups without a target: definitive and temporary errors.

use super::*;

const SRV: &str = "_xmpp-server._tcp.b.example";

#[tokio::test]
async fn a_domain_that_is_not_there_does_not_exist() {
    let server = Server::always(NoName);
    let failure = targets(&dns(&server)).await.unwrap_err();
    assert_eq!(failure, LookupError::NoSuchDomain { domain: "b.example".into() });
    assert_eq!(failure.to_string(), "b.example does not exist");
    assert!(failure.is_definitive());
}

#[tokio::test]
async fn a_domain_with_other_data_has_no_service() {
    let server = Server::always(NoData);
    let failure = targets(&dns(&server)).await.unwrap_err();
    assert_eq!(failure, LookupError::NoService { domain: "b.example".into() });
    assert!(failure.is_definitive());
}

#[tokio::test]
async fn a_root_target_means_that_there_is_no_service() {
    for direct in [answer([srv(0, 0, 0, ".")]), NoData, NoName] {
        let server = Server::scripted(move |question| match question {
            "_xmpp-server._tcp.b.example SRV" => answer([srv(0, 0, 5269, ".")]),
            "_xmpps-server._tcp.b.example SRV" => direct.clone(),
            _ => answer([a(1)]),
        });
        let failure = targets(&dns(&server)).await.unwrap_err();
        assert_eq!(failure.to_string(), "b.example says that it has no XMPP service");
        assert!(failure.is_definitive());
        assert!(
            server.take_questions().iter().all(|question| question.ends_with("SRV")),
            "fell back to an address"
        );
    }
}

#[tokio::test]
async fn an_error_of_the_name_servers_is_temporary_and_named() {
    for (answered, code, name) in [
        (ResponseCode::ServFail, Rcode::ServerFailure, "SERVFAIL"),
        (ResponseCode::Refused, Rcode::Refused, "REFUSED"),
    ] {
        let server = Server::always(Code(answered));
        let failure = targets(&dns(&server)).await.unwrap_err();
        assert_eq!(failure, LookupError::Refused { question: question(SRV, "SRV"), code });
        assert!(!failure.is_definitive());
        let text = format!("the name servers answered {name} (asked for _xmpp-server._tcp.b.example SRV)");
        assert_eq!(failure.to_string(), text);
    }
}

#[tokio::test]
async fn silence_is_temporary_and_bounded() {
    let server = Server::always(Silence);
    let failure = targets(&dns(&server)).await.unwrap_err();
    assert_eq!(failure, LookupError::Silent { question: question(SRV, "SRV"), after: TIMEOUT });
    assert!(!failure.is_definitive());
    let text = "the name servers did not answer within 2.4 s (asked for _xmpp-server._tcp.b.example SRV)";
    assert_eq!(failure.to_string(), text);
}

#[tokio::test]
async fn an_unreadable_answer_is_temporary() {
    let server = Server::always(Garbage);
    let failure = targets(&dns(&server)).await.unwrap_err();
    assert!(matches!(failure, LookupError::Unusable { .. } | LookupError::Silent { .. }), "{failure:?}");
}

#[tokio::test]
async fn nobody_at_the_name_servers_address_is_temporary() {
    let address = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let dns = Dns::new(&Settings { nameservers: vec![address], timeout: TIMEOUT }, &Network::System).unwrap();
    let failure = targets(&dns).await.unwrap_err();
    assert!(matches!(failure, LookupError::Unusable { .. } | LookupError::Silent { .. }), "{failure:?}");
}

/// The address of the domain itself is used only if it is known that there are no SRV records.
#[tokio::test]
async fn does_not_fall_back_while_one_answer_is_missing() {
    for (starttls, direct) in [
        (Code(ResponseCode::ServFail), NoData),
        (NoData, Code(ResponseCode::ServFail)),
        (Code(ResponseCode::ServFail), answer([srv(0, 0, 0, ".")])),
        (answer([srv(0, 0, 0, ".")]), Code(ResponseCode::ServFail)),
    ] {
        let server = Server::scripted(move |question| match question {
            "_xmpp-server._tcp.b.example SRV" => starttls.clone(),
            "_xmpps-server._tcp.b.example SRV" => direct.clone(),
            _ => answer([a(1)]),
        });
        let failure = targets(&dns(&server)).await.unwrap_err();
        assert!(matches!(failure, LookupError::Refused { .. }), "{failure:?}");
        assert!(
            server.take_questions().iter().all(|question| !question.ends_with(" A")),
            "fell back to an address"
        );
    }
}

#[tokio::test]
async fn an_error_in_the_fallback_is_temporary() {
    let server = Server::scripted(|question| match question {
        "b.example A" => Code(ResponseCode::ServFail),
        _ => NoData,
    });
    let failure = targets(&dns(&server)).await.unwrap_err();
    let code = Rcode::ServerFailure;
    assert_eq!(failure, LookupError::Refused { question: question("b.example", "A"), code });
}

#[tokio::test]
async fn an_alias_in_a_circle_leads_nowhere() {
    let server = Server::scripted(|question| match question {
        "_xmpp-server._tcp.b.example SRV" | "two.example SRV" => answer([cname("one.example")]),
        "one.example SRV" => answer([cname("two.example")]),
        "_xmpp-server._tcp.b.example CNAME" | "two.example CNAME" => answer([cname("one.example")]),
        "one.example CNAME" => answer([cname("two.example")]),
        _ => NoName,
    });
    assert!(targets(&dns(&server)).await.is_err());
}

#[tokio::test]
async fn a_name_too_long_for_the_dns_does_not_exist() {
    let server = Server::always(NoName);
    let long = "x".repeat(64);
    let failure = dns(&server).addresses(&long).await.unwrap_err();
    assert_eq!(failure, LookupError::NoAddress { host: long, exists: false });
    assert_eq!(server.take_questions(), [""; 0]);
}
