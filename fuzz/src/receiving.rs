//! The accepting side of a stream: a stanza is accepted only from a domain that was authenticated as the policy requires.

use crate::{
    fixture::{self, Act, acts, domain, policy, proves},
    reader::Reader,
};
use bytes::BytesMut;
use std::sync::Arc;
use xmpp::{
    DomainPair,
    dialback::{Answer, Request},
    policy::{Hosted, MalformedStanza, Mechanism, Pattern, Policy, Rules, Tls},
    stanza::{Condition, Error, ErrorType},
    stream::{
        self, End, Secured,
        receiving::{Handshake, Open, Output, open},
    },
    xml::Element,
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

/// A stream: the handshake, or the open stream.
enum Stream {
    Handshake(Box<Handshake>),
    Open(Box<Open>),
}

impl Stream {
    fn receive(&mut self, bytes: BytesMut) {
        match self {
            Self::Handshake(handshake) => handshake.receive(bytes),
            Self::Open(open) => open.receive(bytes),
        }
    }

    fn secured(&mut self, secured: Secured) {
        if let Self::Handshake(handshake) = self {
            handshake.secured(secured);
        }
    }

    fn verified(&mut self, request: &Request, answer: Result<Answer, Error>) {
        match self {
            Self::Handshake(handshake) => handshake.verified(request, answer),
            Self::Open(open) => open.verified(request, answer),
        }
    }

    fn close(&mut self) {
        match self {
            Self::Handshake(handshake) => handshake.close(None),
            Self::Open(open) => open.close(None),
        }
    }
}

/// A stream, and a record of its events, from which the allowed outputs follow.
pub(crate) struct Session<'a> {
    policy: &'a Policy,
    stream: Stream,
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
            stream: Stream::Handshake(Box::new(Handshake::new(
                Arc::new(rules),
                direct_tls.clone(),
                fixture::ids(),
            ))),
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

    /// Applies an event, then does what the machine asks for. Returns the elements that it sent.
    pub(crate) fn act(&mut self, act: Act<'_>) -> Vec<Element> {
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
            Act::Close => self.stream.close(),
        }
        let mut sent = Vec::new();
        loop {
            let output = match &mut self.stream {
                Stream::Handshake(handshake) => {
                    handshake.poll().map(|output| self.shakes_hands(output, &mut sent))
                }
                Stream::Open(open) => open.poll().map(|output| self.is_open(output, &mut sent)),
            };
            if output.is_none() {
                return sent;
            }
        }
    }

    fn shakes_hands(&mut self, output: Output, sent: &mut Vec<Element>) {
        assert!(!self.over, "{output:?} after the end");
        match output {
            Output::Transmit(bytes) => sent.extend(self.reader.sent(&bytes)),
            Output::StartTls => {
                assert!(self.secured.is_none() && self.policy.tls != Tls::Disabled);
                self.tls_wanted = true;
            }
            Output::Verify(request) => self.verifies(request),
            Output::Refused { .. } => self.refuses(),
            Output::Opened { .. } => {}
            Output::Completed(open) => {
                assert_eq!(open.pairs().len(), 1);
                self.stream = Stream::Open(open);
            }
            Output::Ended(_) => self.over = true,
        }
    }

    fn is_open(&mut self, output: open::Output, sent: &mut Vec<Element>) {
        use open::Output;
        assert!(!self.over, "{output:?} after the end");
        match output {
            Output::Transmit(bytes) => sent.extend(self.reader.sent(&bytes)),
            Output::Verify(request) => self.verifies(request),
            Output::Authorized { pair, mechanism } => self.authorize(pair, mechanism),
            Output::Stanza(stanza) => {
                let pair =
                    DomainPair { local: stanza.to_domain().clone(), remote: stanza.from_domain().clone() };
                assert!(self.authorized.contains(&pair), "a stanza of {pair}");
            }
            Output::StanzaRefused(refused) => {
                let pair = DomainPair { local: refused.local.clone(), remote: refused.remote.clone() };
                let known = |pair: &DomainPair| pair.remote == refused.remote;
                assert!(self.authorized.iter().any(known), "{pair} was never proved");
                if let Some(answer) = &refused.answer {
                    assert_eq!(*answer.to_domain(), pair.remote, "an answer to another domain");
                    assert!(!answer.is_answerable(), "an answer that is no error");
                }
            }
            Output::Refused { .. } => self.refuses(),
            Output::AcksEnabled { .. } | Output::AckDue | Output::Resume { .. } => {}
            Output::Ended(end) => {
                self.over = true;
                if let End::ByUs(error) = end {
                    // The machine checks that nothing else ends an open stream; a header may follow.
                    let strict = self.policy.malformed_stanza == MalformedStanza::Close;
                    let costs_one_stanza = error.condition == stream::Condition::UnsupportedStanzaType;
                    assert!(strict || !costs_one_stanza, "ended for one stanza: {error}");
                }
            }
        }
    }

    fn verifies(&mut self, request: Request) {
        self.may_trust_dns();
        // A restart of the stream drops the requests of the machine, but not the verifications that they started.
        self.asked.push(request);
    }

    fn refuses(&mut self) {
        self.refusals += 1;
        assert!(self.refusals <= KINDS_OF_REFUSALS, "more than one report of a kind");
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
        assert!(
            self.secured.is_none() || self.policy.tls != Tls::Disabled,
            "TLS although the policy disables it"
        );
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

/// The kinds of refusals: TLS, EXTERNAL, dialback keys, dialback answers, acks.
const KINDS_OF_REFUSALS: usize = 5;
