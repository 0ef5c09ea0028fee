//! The peer's own reason takes precedence over our conclusion from an unexpected answer.
use super::*;
use crate::stream::Condition;

/// A stream error with that condition, and the closing tag.
fn says(condition: &str) -> String {
    format!(
        "<stream:error><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>"
    )
}

/// Invalid answers to our header.
fn odd_answers() -> Vec<String> {
    let modern = header("version='1.0'");
    vec![
        header(""),
        header("version='0.9'"),
        header("version=''"),
        header("version='1'"),
        header("version='x'"),
        modern.replace("xmlns='jabber:server'", "xmlns='jabber:client'"),
        modern.replace("xmlns='jabber:server'", "xmlns='jabber:component:accept'"),
        modern.replace("xmlns='jabber:server'", ""),
        modern.replace("from='b.example'", "from='u@b.example/r'"),
        modern.replace("from='b.example'", "from='@'"),
        modern.replace("to='a.example'", "to='a.example/r'"),
        modern.replace("from='b.example'", "from=''"),
        modern.replace("stream:stream", "stream:strom"),
        modern.replace("http://etherx.jabber.org/streams", "urn:example"),
        modern.replace(" xmlns:stream='http://etherx.jabber.org/streams'", ""),
        modern.replace("id='D6'", "id='D6' id='D7'"),
        format!("{modern}<stream:features/>"),
        format!("{modern}<x xmlns='urn:example'/>"),
        format!("{modern}<message/>"),
        format!("{modern}<!-- -->"),
        "<?xml version='1.0'?>".to_owned(),
        String::new(),
    ]
}

/// Policies under which we conclude at once, and under which the handshake would go on.
fn all_terms() -> [Policy; 3] {
    [policy(), terms(Tls::Optional, &[External]), terms(Tls::Disabled, &[Dialback])]
}

#[test]
fn an_error_behind_any_answer_is_the_reason() {
    for condition in ["system-shutdown", "host-unknown", "policy-violation", "resource-constraint"] {
        let wanted = format!("[failed: b.example closed the stream: {condition}]");
        for (policy, odd) in all_terms()
            .into_iter()
            .flat_map(|policy| odd_answers().into_iter().map(move |odd| (policy.clone(), odd)))
        {
            let mut at_once = Peer::new(plan(policy.clone()));
            at_once.gets();
            let answer = at_once.says(&format!("{odd}{}", says(condition)));
            assert_eq!(at_once.last(), wanted, "{odd}");
            assert!(
                answer.ends_with("</stream:stream>") && !answer.contains("stream:error"),
                "{odd}: {answer}"
            );

            let mut later = Peer::new(plan(policy.clone()));
            later.gets();
            later.says(&odd);
            assert!(later.stream.poll().is_none());
            let error = says(condition);
            let (first, rest) = error.split_at(20);
            later.says(first);
            later.says(rest);
            assert_eq!(later.last(), wanted, "{odd}, and later the error");
        }
    }
}

#[test]
fn an_error_of_the_peer_is_definitive_by_its_own_condition() {
    for (condition, definitive) in [("system-shutdown", false), ("not-authorized", true)] {
        for odd in odd_answers() {
            let mut peer = Peer::new(plan(policy()));
            peer.gets();
            peer.stream.receive(BytesMut::from(format!("{odd}{}", says(condition)).as_str()));
            let failure = std::iter::from_fn(|| peer.stream.poll()).find_map(|output| match output {
                Opens::Failed(failure) => Some(failure),
                _ => None,
            });
            assert_eq!(failure.map(|failure| failure.is_definitive()), Some(definitive), "{odd}");
        }
    }
}

#[test]
fn a_conclusion_waits_for_the_reason_of_the_peer() {
    let no_tls = "[failed: b.example does not offer TLS (required by s2s.tls)]";
    for end in ["</stream:stream>", " </stream:stream>\n", "<stream:features/></stream:stream>"] {
        let mut peer = Peer::new(plan(policy()));
        peer.gets();
        assert_eq!(peer.says(&header("")), "</stream:stream>");
        assert!(peer.stream.awaits_reason() && peer.events.is_empty(), "{:?}", peer.events);
        assert_eq!(peer.says(end), "");
        assert_eq!(peer.last(), no_tls);
        assert!(!peer.stream.awaits_reason());
    }
    // Or when the driver waits no longer.
    let mut peer = Peer::new(plan(policy()));
    peer.gets();
    peer.says(&header(""));
    peer.stream.conclude();
    peer.gets();
    assert_eq!(peer.last(), no_tls);
    peer.stream.conclude();
    assert!(peer.stream.poll().is_none(), "told once");
}

#[test]
fn a_peer_without_a_version_that_closes_at_once_gave_no_reason() {
    for policy in all_terms() {
        let mut peer = Peer::new(plan(policy));
        peer.gets();
        assert_eq!(peer.says(&format!("{}</stream:stream>", header(""))), "</stream:stream>");
        assert_eq!(peer.last(), "[failed: b.example closed the stream without giving a reason]");
    }
}

#[test]
fn a_peer_that_sends_no_xml_is_not_asked_for_its_reason() {
    for bytes in ["HTTP/1.1 400 Bad Request\r\n\r\n", "220 mail.b.example ESMTP\r\n", "\u{15}\u{3}\u{1}"] {
        let mut peer = Peer::new(plan(policy()));
        peer.gets();
        peer.says(bytes);
        assert_eq!(peer.last(), "[failed: the server at this address does not speak XMPP]", "{bytes}");
    }
}

#[test]
fn features_behind_a_header_without_a_version_are_read() {
    let mut peer = Peer::new(plan(policy()));
    peer.gets();
    assert_eq!(peer.says(&format!("{}<stream:features>{STARTTLS}</stream:features>", header(""))), STARTTLS);
}

// An answer to the next step is the reason, unless it says only that the step is unknown.
#[test]
fn an_error_after_an_unoffered_starttls_is_the_reason_unless_it_rejects_the_element() {
    for (condition, is_reason) in [
        ("system-shutdown", true),
        ("host-unknown", true),
        ("policy-violation", true),
        ("resource-constraint", true),
        ("reset", true),
        ("remote-connection-failed", true),
        ("unsupported-stanza-type", false),
        ("not-authorized", false),
        ("undefined-condition", false),
    ] {
        let mut peer = Peer::new(plan(policy()));
        peer.gets();
        assert_eq!(peer.opens(""), STARTTLS);
        peer.sends(&says(condition));
        let told = format!("[failed: b.example closed the stream: {condition}]");
        assert_eq!(peer.last() == told, is_reason, "{condition}: {}", peer.last());
        assert!(is_reason || peer.last().contains("does not offer TLS"), "{}", peer.last());
    }
}

#[test]
fn a_bare_error_without_a_condition_is_one() {
    for error in ["<stream:error/>", "<stream:error xmlns:stream='http://etherx.jabber.org/streams'/>"] {
        let mut peer = Peer::new(plan(policy()));
        peer.gets();
        peer.sends(error);
        assert_eq!(peer.last(), "[failed: b.example closed the stream: undefined-condition]", "{error}");
    }
}

/// Every condition, and whether it is definitive before authentication.
const MEANINGS: [(Condition, bool); 25] = [
    (Condition::BadFormat, false),
    (Condition::BadNamespacePrefix, false),
    (Condition::Conflict, false),
    (Condition::ConnectionTimeout, false),
    (Condition::HostGone, false),
    (Condition::HostUnknown, false),
    (Condition::ImproperAddressing, false),
    (Condition::InternalServerError, false),
    (Condition::InvalidFrom, false),
    (Condition::InvalidNamespace, false),
    (Condition::InvalidXml, false),
    (Condition::NotAuthorized, true),
    (Condition::NotWellFormed, false),
    (Condition::PolicyViolation, false),
    (Condition::RemoteConnectionFailed, false),
    (Condition::Reset, false),
    (Condition::ResourceConstraint, false),
    (Condition::RestrictedXml, false),
    (Condition::SeeOtherHost, false),
    (Condition::SystemShutdown, false),
    (Condition::UndefinedCondition, false),
    (Condition::UnsupportedEncoding, false),
    (Condition::UnsupportedFeature, false),
    (Condition::UnsupportedStanzaType, false),
    (Condition::UnsupportedVersion, false),
];

#[test]
fn each_condition_has_its_meaning_at_each_stage() {
    type Stage = (&'static str, fn() -> Peer);
    let stages: [Stage; 4] = [
        ("behind the header", || {
            let mut peer = Peer::new(plan(policy()));
            peer.gets();
            peer.says(&header("version='1.0'"));
            peer
        }),
        ("behind a request for TLS that was offered", || {
            let mut peer = Peer::new(plan(policy()));
            peer.gets();
            peer.opens(STARTTLS);
            peer
        }),
        ("behind our certificate", || {
            let mut peer = Peer::secured(plan(policy()));
            peer.opens(EXTERNAL);
            peer
        }),
        ("behind our key", || {
            let mut peer = Peer::secured(plan(policy()));
            peer.opens(DIALBACK);
            peer
        }),
    ];
    for ((condition, definitive), (stage, begin)) in
        MEANINGS.into_iter().flat_map(|meaning| stages.map(|stage| (meaning, stage)))
    {
        let mut peer = begin();
        peer.stream.receive(BytesMut::from(says(condition.as_str()).as_str()));
        let failure = std::iter::from_fn(|| peer.stream.poll()).find_map(|output| match output {
            Opens::Failed(failure) => Some(failure),
            _ => None,
        });
        let failure = failure.unwrap_or_else(|| panic!("{condition:?} {stage}"));
        match &failure.cause {
            Cause::Stream(error) => assert_eq!(error.condition, condition, "{stage}"),
            Cause::Redirected { .. } => assert_eq!(condition, Condition::SeeOtherHost, "{stage}"),
            other => panic!("{condition:?} {stage}: {other:?}"),
        }
        assert_eq!(failure.is_definitive(), definitive, "{condition:?} {stage}");
    }
    // After authentication it ends the stream, and what was not written goes to the next one.
    for (condition, _) in MEANINGS {
        let mut peer = super::negotiation::established();
        assert_eq!(peer.says(&says(condition.as_str())), "</stream:stream>");
        assert_eq!(peer.last(), format!("[closed by the peer: {}]", condition.as_str()));
    }
}
