//! The opening side of a stream: our stanzas are sent only to a domain that was authenticated as the policy requires.

use crate::{
    fixture::{self, Act, acts, domain, policy, proves},
    reader::Reader,
};
use bytes::{Bytes, BytesMut};
use xmpp::{
    DomainPair,
    acks::Options,
    dialback::{Answer, Request},
    policy::{Bounds, Mechanism, Policy, Tls},
    stream::{
        Secured, Stage,
        initiating::{self, Handshake, Open, Output, Plan, Verification},
    },
    xml::Element,
};

pub(crate) fn run(input: &[u8]) {
    let Some((&choice, input)) = input.split_first() else { return };
    let policy = policy(choice);
    let direct_tls = (choice & 32 != 0).then(|| fixture::secured(&["b.example"]));
    let request = (choice & 64 != 0).then(request);
    let mut session = Session::new(&policy, request, direct_tls, choice & 128 == 0);
    for act in acts(input) {
        session.act(act);
    }
}

/// A dialback key of another server, to be verified.
pub(crate) fn request() -> Request {
    Request {
        pair: DomainPair { local: domain("a.example"), remote: domain("b.example") },
        id: "id1".to_owned(),
        key: "0123456789abcdef".to_owned(),
    }
}

/// A stream: the handshake of one of the goals, or the open stream.
enum Stream {
    Session(Handshake<initiating::Session>),
    Verification(Handshake<Verification>),
    Open(Box<Open>),
}

impl Stream {
    fn receive(&mut self, bytes: BytesMut) {
        match self {
            Self::Session(handshake) => handshake.receive(bytes),
            Self::Verification(handshake) => handshake.receive(bytes),
            Self::Open(open) => open.receive(bytes),
        }
    }

    fn secured(&mut self, secured: Secured) {
        match self {
            Self::Session(handshake) => handshake.secured(secured),
            Self::Verification(handshake) => handshake.secured(secured),
            Self::Open(_) => {}
        }
    }

    fn close(&mut self) {
        match self {
            Self::Session(handshake) => handshake.close(None),
            Self::Verification(handshake) => handshake.close(None),
            Self::Open(open) => open.close(None),
        }
    }
}

/// The outcome of a handshake.
trait Outcome: std::fmt::Debug {
    /// The open stream; `None` after a verification.
    fn open(self) -> Option<Box<Open>>;
}

impl Outcome for Box<Open> {
    fn open(self) -> Option<Box<Open>> {
        Some(self)
    }
}

impl Outcome for Answer {
    fn open(self) -> Option<Box<Open>> {
        None
    }
}

/// A stream, and a record of its events, from which the allowed outputs follow.
pub(crate) struct Session<'a> {
    policy: &'a Policy,
    verifies: bool,
    certificate: bool,
    stream: Stream,
    reader: Reader,
    secured: Option<Secured>,
    tls_wanted: bool,
    /// The handshake is complete: the stream is open, or the verdict is here.
    pub(crate) settled: bool,
    unsolicited: bool,
    over: bool,
}

impl<'a> Session<'a> {
    pub(crate) fn new(
        policy: &'a Policy,
        request: Option<Request>,
        direct_tls: Option<Secured>,
        certificate: bool,
    ) -> Self {
        let verifies = request.is_some();
        let plan = Plan {
            pair: DomainPair { local: domain("a.example"), remote: domain("b.example") },
            policy: policy.clone(),
            bounds: Bounds::default(),
            direct_tls: direct_tls.clone(),
            certificate,
            acks: Options::default(),
        };
        let stream = match request {
            None => Stream::Session(Handshake::session(plan)),
            Some(request) => Stream::Verification(Handshake::verification(plan, request)),
        };
        Self {
            policy,
            verifies,
            certificate,
            stream,
            reader: Reader::new(),
            secured: direct_tls,
            tls_wanted: false,
            settled: false,
            unsolicited: false,
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
            Act::Secured(names) => {
                if std::mem::take(&mut self.tls_wanted) {
                    self.secured = Some(fixture::secured(names));
                }
                self.stream.secured(fixture::secured(names));
            }
            Act::Close => self.stream.close(),
            Act::Decided(_) | Act::Undecided => {}
        }
        let mut sent = Vec::new();
        loop {
            let output = match &mut self.stream {
                Stream::Session(handshake) => {
                    handshake.poll().map(|output| self.shakes_hands(output, &mut sent))
                }
                Stream::Verification(handshake) => {
                    handshake.poll().map(|output| self.shakes_hands(output, &mut sent))
                }
                Stream::Open(open) => open.poll().map(|output| self.is_open(output, &mut sent)),
            };
            if output.is_none() {
                break;
            }
        }
        sent
    }

    fn shakes_hands<T: Outcome>(&mut self, output: Output<T>, sent: &mut Vec<Element>) {
        assert!(!self.over, "{output:?} after the end");
        match output {
            Output::Transmit(bytes) => self.transmits(&bytes, sent),
            Output::StartTls => {
                assert!(self.secured.is_none() && self.policy.tls != Tls::Disabled);
                self.tls_wanted = true;
            }
            Output::CertificateVerified(verdict) => {
                assert_eq!(verdict.is_ok(), proves(self.secured.as_ref(), &domain("b.example")));
            }
            Output::Noted(_) => {}
            Output::Unsolicited { .. } => self.is_unsolicited(),
            Output::Completed(outcome) => {
                assert!(!self.settled, "completed twice");
                self.settled = true;
                match outcome.open() {
                    Some(open) => self.opens(open),
                    None => {
                        assert!(self.verifies);
                        self.over = true;
                    }
                }
            }
            Output::Failed(_) => {
                assert!(!self.settled, "established, then failed");
                self.over = true;
            }
            Output::Ended(_) => self.over = true,
        }
    }

    fn opens(&mut self, open: Box<Open>) {
        assert!(!self.verifies && self.may_speak());
        assert_eq!(open.stage(), Stage::Open);
        let secured = open.transport().is_some();
        assert!(self.policy.allows(open.mechanism()));
        assert_eq!(secured, self.secured.is_some());
        assert!(!secured || self.policy.tls != Tls::Disabled, "TLS although the policy disables it");
        if open.mechanism() == Mechanism::External {
            assert!(self.certificate && secured, "EXTERNAL without TLS");
        }
        self.stream = Stream::Open(open);
    }

    fn is_open(&mut self, output: initiating::open::Output, sent: &mut Vec<Element>) {
        use initiating::open::Output;
        assert!(!self.over, "{output:?} after the end");
        match output {
            Output::Transmit(bytes) => self.transmits(&bytes, sent),
            Output::Unsolicited { .. } => self.is_unsolicited(),
            Output::Answer(stanza) => {
                assert!(stanza.type_().is_some());
                assert_eq!(*stanza.from_domain(), domain("b.example"));
                assert_eq!(*stanza.to_domain(), domain("a.example"));
            }
            Output::Stray(_)
            | Output::AcksOn { .. }
            | Output::AcksRefused { .. }
            | Output::Acknowledged { .. } => {}
            Output::Ended(_) => self.over = true,
        }
    }

    fn transmits(&mut self, bytes: &Bytes, sent: &mut Vec<Element>) {
        let elements = self.reader.sent(bytes);
        assert!(self.may_speak() || elements.iter().all(|element| element.name != "result"));
        sent.extend(elements);
    }

    fn is_unsolicited(&mut self) {
        assert!(!std::mem::replace(&mut self.unsolicited, true), "reported twice");
    }

    /// Whether the policy allows dialback keys and stanzas to be sent to this peer.
    fn may_speak(&self) -> bool {
        let proved = proves(self.secured.as_ref(), &domain("b.example"));
        match self.secured {
            None => self.policy.tls != Tls::Required,
            Some(_) => proved || !self.policy.strict_certificates && self.policy.allows(Mechanism::Dialback),
        }
    }
}
