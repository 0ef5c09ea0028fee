//! EXTERNAL, dialback, and asking an authority.
use super::*;

const AUTH: &str = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>YS5leGFtcGxl</auth>";
const SUCCESS: &str = "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>";
const REFUSED: &str = "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>";

fn result(attributes: &str) -> String {
    format!("<db:result xmlns:db='jabber:server:dialback' from='b.example' to='a.example' {attributes}/>")
}

fn our_key() -> String {
    format!("<db:result from='a.example' to='b.example'>{}</db:result>", key())
}

// D3, D6, D12, K9, K10
#[test]
fn external_comes_first_with_our_name_in_it_and_restarts_the_stream() {
    let mut peer = Peer::secured(plan(policy()));
    assert_eq!(peer.opens(&format!("{DIALBACK}{EXTERNAL}")), AUTH);
    assert_eq!(peer.stream.stage().to_string(), "waiting for the answer to our certificate");
    let again = peer.sends(SUCCESS);
    assert!(again.starts_with("<?xml version='1.0'?><stream:stream "), "{again}");
    assert!(!peer.stream.is_established(), "the features tell the limits");
    let limits = "<limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>20000</max-bytes>\
        <idle-seconds>30</idle-seconds></limits>";
    let features = format!("{}<stream:features>{limits}</stream:features>", header("version='1.0'"));
    peer.stream.receive(BytesMut::from(features.as_str()));
    peer.gets();
    let Opening::Open(open) = &peer.stream else { panic!("not established") };
    assert_eq!((open.mechanism(), open.transport().is_some()), (External, true));
    assert_eq!((open.max_stanza(), open.idle_seconds()), (Some(20_000), Some(30)));
}

#[test]
fn an_observer_gets_each_step() {
    let mut peer = Peer::secured(plan(policy()));
    peer.opens(&format!("{DIALBACK}{EXTERNAL}"));
    peer.sends(REFUSED);
    let [
        Note::Greeted(greeting),
        Note::Offered(offered),
        Note::Tried(External),
        refused,
        Note::Tried(Dialback),
    ] = &peer.notes[..]
    else {
        panic!("{:?}", peer.notes);
    };
    assert_eq!(greeting.id.as_deref(), Some("D6"));
    assert!(offered.external && offered.dialback);
    let condition = sasl::Condition::NotAuthorized;
    assert_eq!(refused, &Note::ExternalRefused(sasl::Failure { condition, text: String::new() }));
}

// D3: only what both sides can
#[test]
fn external_needs_tls_a_certificate_and_the_policy() {
    let without = Plan { certificate: false, ..plan(policy()) };
    let forbidden = plan(terms(Tls::Required, &[Dialback]));
    let second = plan(terms(Tls::Required, &[Dialback, External]));
    for plan in [without, forbidden, second] {
        let mut peer = Peer::secured(plan);
        assert_eq!(peer.opens(&format!("{EXTERNAL}{DIALBACK}")), our_key());
    }
    let mut clear = Peer::new(plan(terms(Tls::Disabled, &[External, Dialback])));
    clear.gets();
    assert_eq!(clear.opens(&format!("{EXTERNAL}{DIALBACK}")), our_key());
}

// D11
#[test]
fn dialback_follows_a_refused_certificate_on_the_same_stream() {
    for offers in [format!("{EXTERNAL}{DIALBACK}"), EXTERNAL.to_owned()] {
        let mut peer = Peer::secured(plan(policy()));
        let header = header("version='1.0' xmlns:db='jabber:server:dialback'");
        assert_eq!(peer.sends(&format!("{header}<stream:features>{offers}</stream:features>")), AUTH);
        assert_eq!(peer.sends(REFUSED), our_key());
        peer.sends(&result("type='valid'"));
        assert_eq!(peer.last(), "[established by dialback over TLS]");
    }
}

// D11
#[test]
fn a_refused_certificate_is_the_reason_when_nothing_else_is_left() {
    for (policy, features) in [
        (terms(Tls::Required, &[External]), format!("{EXTERNAL}{DIALBACK}")),
        (policy(), EXTERNAL.to_owned()),
    ] {
        let mut peer = Peer::secured(plan(policy));
        assert_eq!(peer.opens(&features), AUTH);
        assert_eq!(peer.sends(REFUSED), "</stream:stream>");
        assert_eq!(peer.last(), "[failed: b.example refused our certificate (not-authorized)]");
    }
}

// D11: the refusal is the reason, and a key is not written to who has ended the stream
#[test]
fn a_refused_certificate_is_the_reason_when_the_peer_ends_the_stream_before_an_answer_to_our_key() {
    let refused = REFUSED.replace("</failure>", "<text>it has expired</text></failure>");
    let wanted = "[failed: b.example refused our certificate (not-authorized: it has expired)]";
    for end in ["</stream:stream>".to_owned(), stream_error("not-authorized")] {
        let mut at_once = Peer::secured(plan(policy()));
        at_once.opens(&format!("{EXTERNAL}{DIALBACK}"));
        assert_eq!(at_once.sends(&format!("{refused}{end}")), "</stream:stream>");
        assert_eq!(at_once.last(), wanted, "{end}");

        let mut later = Peer::secured(plan(policy()));
        later.opens(&format!("{EXTERNAL}{DIALBACK}"));
        assert_eq!(later.sends(&refused), our_key());
        assert_eq!(later.sends(&end), "</stream:stream>");
        assert_eq!(later.last(), wanted, "{end}");
    }
    let mut lost = Peer::secured(plan(policy()));
    lost.opens(&format!("{EXTERNAL}{DIALBACK}"));
    assert_eq!(lost.stream.lost(), None);
    lost.sends(&refused);
    assert!(lost.stream.lost().is_some_and(|failure| wanted.contains(&failure.to_string())));
}

// D11, F7
#[test]
fn an_error_about_our_key_or_the_peers_state_is_the_reason_after_a_refused_certificate() {
    for (end, wanted) in [
        (result("type='invalid'"), "[failed: b.example says our dialback key is invalid]"),
        (
            stream_error("remote-connection-failed"),
            "[failed: b.example closed the stream: remote-connection-failed]",
        ),
        (stream_error("system-shutdown"), "[failed: b.example closed the stream: system-shutdown]"),
    ] {
        let mut peer = Peer::secured(plan(policy()));
        peer.opens(&format!("{EXTERNAL}{DIALBACK}"));
        assert_eq!(peer.sends(REFUSED), our_key());
        peer.sends(&end);
        assert_eq!(peer.last(), wanted);
    }
}

fn stream_error(condition: &str) -> String {
    format!(
        "<stream:error><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>"
    )
}

// D7: COMPAT with peers that ask for what we said already
#[test]
fn our_identity_is_repeated_once() {
    let challenge = "<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>";
    let mut peer = Peer::secured(plan(policy()));
    peer.opens(EXTERNAL);
    let response = "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>YS5leGFtcGxl</response>";
    assert_eq!(peer.sends(challenge), response);
    assert_eq!(peer.sends(challenge), "<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
}

// F4, F6, F13
#[test]
fn only_the_answer_to_our_request_counts() {
    let mut peer = Peer::secured(plan(policy()));
    assert_eq!(peer.opens(DIALBACK), our_key());
    assert_eq!(peer.stream.stage().to_string(), "waiting for the answer to our dialback key");
    for stray in [
        "<d:result xmlns:d='jabber:server:dialback' from='c.example' to='a.example' type='valid'/>",
        "<d:result xmlns:d='jabber:server:dialback' from='b.example' to='c.example' type='valid'/>",
        "<d:result xmlns:d='jabber:server:dialback' from='b.example' type='valid'/>",
        "<d:verify xmlns:d='jabber:server:dialback' from='b.example' to='a.example' id='D6' type='valid'/>",
        "<d:result xmlns:d='jabber:server:dialback' from='b.example' to='a.example'>key</d:result>",
        "<d:result xmlns:d='jabber:server:dialback' from='b.example' to='a.example' type='maybe'/>",
        "<stream:features/>",
    ] {
        assert_eq!(peer.sends(stray), "");
        // Told once, whatever else comes.
        assert_eq!(peer.events, ["[unsolicited result]"], "{stray}");
    }
    peer.sends("<d:result xmlns:d='jabber:server:dialback' from='B.EXAMPLE' to='A.example' type='valid'/>");
    assert_eq!(peer.last(), "[established by dialback over TLS]");
}

// F7, F8
#[test]
fn a_refused_key_ends_the_handshake_with_the_reason() {
    let error =
        "<error type='cancel'><remote-server-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>";
    for (answer, reason, type_, condition) in [
        (
            result("type='invalid'"),
            "b.example says our dialback key is invalid",
            stanza::ErrorType::Cancel,
            stanza::Condition::InternalServerError,
        ),
        (
            result("type='error'").replace("/>", &format!(">{error}</db:result>")),
            "b.example could not verify our dialback key: remote-server-not-found",
            stanza::ErrorType::Wait,
            stanza::Condition::RemoteServerTimeout,
        ),
    ] {
        let mut peer = Peer::secured(plan(policy()));
        peer.opens(DIALBACK);
        peer.stream.receive(BytesMut::from(answer.as_str()));
        let failure = std::iter::from_fn(|| peer.stream.poll()).find_map(|output| match output {
            Opens::Failed(failure) => Some(failure),
            _ => None,
        });
        let failure = failure.unwrap();
        assert!(failure.to_string().starts_with(reason), "{failure}");
        let told = failure.stanza_error();
        assert_eq!((told.type_, told.condition), (type_, condition));
        assert_eq!(told.text, failure.to_string());
    }
}

// B10, F2: COMPAT with servers from before versions and features
#[test]
fn dialback_is_used_with_peers_that_do_not_announce_it() {
    let lax = || plan(terms(Tls::Optional, &[External, Dialback]));
    let mut old = Peer::new(lax());
    old.gets();
    assert_eq!(old.sends(&header("xmlns:db='jabber:server:dialback'")), our_key());
    old.sends(&result("type='valid'"));
    assert_eq!(old.last(), "[established by dialback over clear text]");

    let mut silent = Peer::new(lax());
    silent.gets();
    let header = header("version='1.0' xmlns:db='jabber:server:dialback'");
    assert_eq!(silent.sends(&format!("{header}<stream:features/>")), our_key());
}

#[test]
fn the_handshake_fails_without_a_common_mechanism() {
    let mut peer = Peer::secured(plan(policy()));
    assert_eq!(peer.opens(""), "</stream:stream>");
    assert_eq!(peer.last(), "[failed: b.example offers no authentication that s2s.auth allows]");
}

// D23: the remote learns why
#[test]
fn a_certificate_that_is_refused_is_reported_to_both_sides() {
    let strict = Policy { strict_certificates: true, ..policy() };
    for shown in [None, Some(certificate(&["b.example"], Some(Problem::SelfSigned)))] {
        let mut peer = Peer::new(Plan { direct_tls: Some(secured(shown)), ..plan(strict.clone()) });
        let told = peer.gets();
        assert!(told.contains("<stream:error><policy-violation "), "{told}");
        assert!(told.ends_with("</stream:stream>"), "{told}");
        assert!(peer.last().starts_with("[failed: certificate of b.example "), "{}", peer.last());
    }
}

fn asked(policy: Policy) -> Peer {
    let request =
        dialback::Request { pair: pair("a.example", "b.example"), id: "far".into(), key: "k".into() };
    Peer::asked(Plan { certificate: false, ..plan(policy) }, request)
}

const QUESTION: &str = "<db:verify from='a.example' to='b.example' id='far'>k</db:verify>";

fn verdict(attributes: &str) -> String {
    format!("<x:verify xmlns:x='jabber:server:dialback' from='b.example' to='a.example' {attributes}/>")
}

// F10, F11, F13
#[test]
fn an_authority_is_asked_and_only_its_answer_to_this_question_counts() {
    for (tls, header) in [
        (Tls::Disabled, header("version='1.0'") + "<stream:features/>"),
        (Tls::Optional, header("")),
        (Tls::Optional, header("version='1.0'") + "<stream:features/>"),
    ] {
        let mut peer = asked(terms(tls, &[External, Dialback]));
        assert!(peer.gets().contains("xmlns:db='jabber:server:dialback'"));
        assert_eq!(peer.sends(&header), QUESTION);
        assert_eq!(peer.stream.stage().to_string(), "waiting for the verdict on a dialback key");
        for stray in [
            verdict("id='near' type='valid'"),
            verdict("type='valid'"),
            verdict("id='far'"),
            verdict("id='far' type='valid'").replace("b.example", "c.example"),
            result("type='valid'"),
        ] {
            assert_eq!(peer.sends(&stray), "");
        }
        assert_eq!(peer.sends(&verdict("id='far' type='valid'")), "</stream:stream>");
        assert_eq!(peer.events, ["[unsolicited verify]", "[verified valid]"]);
    }
}

// F18: and D18, since a verification rests on DNS unless certificates must be good
#[test]
fn an_authority_is_asked_over_tls_with_any_certificate() {
    let bad = Some(certificate(&["c.example"], Some(Problem::SelfSigned)));
    let ask = |policy: Policy| {
        let mut peer = asked(policy);
        peer.gets();
        assert_eq!(peer.opens(STARTTLS), STARTTLS);
        peer.sends(PROCEED);
        peer.stream.secured(secured(bad.clone()));
        peer.gets();
        peer
    };
    let mut peer = ask(policy());
    assert_eq!(peer.opens(""), QUESTION);
    peer.sends(&verdict("id='far' type='invalid'"));
    assert_eq!(peer.events[2..], ["[verified invalid]"]);
    let peer = ask(Policy { strict_certificates: true, ..policy() });
    assert!(peer.last().starts_with("[failed: certificate of b.example "), "{}", peer.last());
}

#[test]
fn each_cause_is_definitive_or_temporary() {
    let failed = |cause| Failure { remote: pair("a.example", "b.example").remote, cause };
    let sasl = |condition| sasl::Failure { condition, text: String::new() };
    let stream = |condition| Cause::Stream(Error::new(condition, ""));
    let dialback = |condition| {
        Cause::DialbackError(stanza::Error { type_: stanza::ErrorType::Cancel, condition, text: "".into() })
    };
    for (cause, definitive) in [
        (Cause::TlsUnavailable, true),
        (Cause::Certificate(Problem::SelfSigned), true),
        (Cause::ExternalRefused(sasl(sasl::Condition::NotAuthorized)), true),
        (Cause::ExternalRefused(sasl(sasl::Condition::TemporaryAuthFailure)), false),
        (Cause::DialbackInvalid, true),
        (dialback(stanza::Condition::RemoteServerNotFound), false),
        (dialback(stanza::Condition::PolicyViolation), true),
        (stream(crate::stream::Condition::SystemShutdown), false),
        (stream(crate::stream::Condition::NotAuthorized), true),
        (Cause::NotXmpp, false),
        (Cause::Closed, false),
    ] {
        assert_eq!(failed(cause.clone()).is_definitive(), definitive, "{cause:?}");
    }
}

use crate::stanza;

#[test]
fn no_mechanism_is_used_within_tls_if_the_policy_forbids_tls() {
    let never = terms(Tls::Disabled, &[Dialback]);
    let mut peer = Peer::new(Plan { direct_tls: Some(secured(trusted())), ..plan(never) });
    let sent = peer.gets();
    assert!(sent.ends_with("</stream:stream>"), "{sent}");
    assert!(peer.last().contains("tls = \"disabled\""), "{}", peer.last());
    assert_eq!(peer.opens(DIALBACK), "");
}
