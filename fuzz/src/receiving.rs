//! The accepting side of a stream: nobody gets a stanza through who did not prove itself as the terms want it.

use crate::{
    fixture::{self, Act, acts, domain, policy, proves},
    reader::Reader,
};
use std::sync::Arc;
use xmpp::{
    DomainPair,
    dialback::{Answer, Request},
    policy::{Hosted, MalformedStanza, Mechanism, Pattern, Policy, Rules, Tls},
    stanza::{Condition, Error, ErrorType},
    stream::{self, End, Receiving, Secured, receiving::Output},
};

pub(crate) fn run(input: &[u8]) {
    let Some((&choice, input)) = input.split_first() else { return };
    let policy = policy(choice);
    let direct_tls = (choice & 32 != 0).then(|| fixture::secured(&["b.example"]));
    let mut session = Session::new(&policy, direct_tls, choice & 64 == 0);
    for act in acts(input) {
        session.act(act);
    }
}

/// A stream and what may be concluded from what happened on it.
pub(crate) struct Session<'a> {
    policy: &'a Policy,
    stream: Receiving,
    reader: Reader,
    secured: Option<Secured>,
    tls_wanted: bool,
    pub(crate) asked: Vec<Request>,
    confirmed: Vec<DomainPair>,
    authorized: Vec<DomainPair>,
    refusals: usize,
    over: bool,
}

impl<'a> Session<'a> {
    pub(crate) fn new(policy: &'a Policy, direct_tls: Option<Secured>, certificate: bool) -> Self {
        let hosted = ["a.example", "d.example"].map(|name| (domain(name), Hosted { certificate }));
        let deny = Pattern::parse("denied.example").expect("a pattern");
        let rules = Rules::new(hosted, policy.clone(), vec![], vec![Pattern::Any], vec![deny]);
        Self {
            policy,
            stream: Receiving::new(Arc::new(rules), direct_tls.clone(), fixture::ids()),
            reader: Reader::new(),
            secured: direct_tls,
            tls_wanted: false,
            asked: Vec::new(),
            confirmed: Vec::new(),
            authorized: Vec::new(),
            refusals: 0,
            over: false,
        }
    }

    /// Does what an input wants, then all that the machine wants; gives what it sent.
    pub(crate) fn act(&mut self, act: Act<'_>) -> Vec<xmpp::xml::Element> {
        match act {
            Act::Bytes(bytes) => {
                self.reader.received(bytes.len());
                self.stream.receive(bytes);
            }
            Act::Secured(names) if self.tls_wanted => {
                self.tls_wanted = false;
                self.secured = Some(fixture::secured(names));
                self.stream.secured(fixture::secured(names));
            }
            Act::Secured(_) => self.stream.secured(fixture::secured(&["b.example"])),
            Act::Decided(valid) => self.decide(Ok(if valid { Answer::Valid } else { Answer::Invalid })),
            Act::Undecided => self.decide(Err(Error {
                type_: ErrorType::Wait,
                condition: Condition::RemoteServerTimeout,
                text: "no answer".to_owned(),
            })),
            Act::Close => self.stream.close(None),
        }
        let mut sent = Vec::new();
        while let Some(output) = self.stream.poll() {
            assert!(!self.over, "{output:?} after the end");
            match output {
                Output::Transmit(bytes) => sent.extend(self.reader.sent(&bytes)),
                Output::StartTls => {
                    assert!(self.secured.is_none() && self.policy.tls != Tls::Disabled);
                    self.tls_wanted = true;
                }
                Output::Verify(request) => {
                    self.may_trust_dns();
                    // Requests on a stream that began anew are forgotten, but their answers cost a dial all the same.
                    self.asked.push(request);
                }
                Output::Authorized { pair, mechanism } => self.authorize(pair, mechanism),
                Output::Stanza(stanza) => {
                    let pair = DomainPair {
                        local: stanza.to_domain().clone(),
                        remote: stanza.from_domain().clone(),
                    };
                    assert!(self.authorized.contains(&pair), "a stanza of {pair}");
                }
                Output::StanzaRefused(refused) => {
                    let pair = DomainPair { local: refused.local.clone(), remote: refused.remote.clone() };
                    let known = |pair: &DomainPair| pair.remote == refused.remote;
                    assert!(self.authorized.iter().any(known), "{pair} was never proved");
                    if let Some(answer) = &refused.answer {
                        assert_eq!(*answer.to_domain(), pair.remote, "an answer to a stranger");
                        assert!(!answer.is_answerable(), "an answer that is no error");
                    }
                }
                Output::Refused { .. } => {
                    self.refusals += 1;
                    assert!(self.refusals <= KINDS_OF_REFUSALS, "told more than once a kind");
                }
                Output::Opened { .. } => {}
                Output::Ended(end) => {
                    self.over = true;
                    if let (End::ByUs(error), false) = (end, self.authorized.is_empty()) {
                        // The machine checks that nothing else ends an established stream; a header may follow.
                        let strict = self.policy.malformed_stanza == MalformedStanza::Close;
                        let costs_one_stanza = error.condition == stream::Condition::UnsupportedStanzaType;
                        assert!(strict || !costs_one_stanza, "ended for one stanza: {error}");
                    }
                }
            }
        }
        sent
    }

    fn decide(&mut self, answer: Result<Answer, Error>) {
        if self.asked.is_empty() {
            return;
        }
        let request = self.asked.remove(0);
        if answer == Ok(Answer::Valid) {
            self.confirmed.push(request.pair.clone());
        }
        self.stream.verified(&request, answer);
    }

    fn authorize(&mut self, pair: DomainPair, mechanism: Mechanism) {
        assert!(self.policy.allows(mechanism), "{mechanism}");
        assert!(self.secured.is_none() || self.policy.tls != Tls::Disabled, "TLS where it is never");
        assert!(pair.remote.as_str() != "denied.example" && pair.local != pair.remote);
        match mechanism {
            Mechanism::External => {
                assert!(proves(self.secured.as_ref(), &pair.remote), "{pair} without a certificate");
            }
            Mechanism::Dialback => {
                self.may_trust_dns();
                assert!(self.confirmed.contains(&pair), "{pair} without a verdict");
            }
        }
        if !self.authorized.contains(&pair) {
            self.authorized.push(pair);
        }
    }

    /// Dialback is allowed, and not in clear text where TLS is required.
    fn may_trust_dns(&self) {
        assert!(self.policy.allows(Mechanism::Dialback));
        assert!(self.secured.is_some() || self.policy.tls != Tls::Required, "dialback in clear text");
    }
}

/// TLS, EXTERNAL, dialback keys, dialback answers.
const KINDS_OF_REFUSALS: usize = 4;
