//! The opening side of a stream: no remote gets our stanzas that did not prove itself as the terms want it.

use crate::{
    fixture::{self, Act, acts, domain, policy, proves},
    reader::Reader,
};
use xmpp::{
    DomainPair,
    dialback::Request,
    policy::{Bounds, Mechanism, Policy, Tls},
    stream::{
        Initiating, Secured,
        initiating::{Output, Plan, Purpose},
    },
};

pub(crate) fn run(input: &[u8]) {
    let Some((&choice, input)) = input.split_first() else { return };
    let policy = policy(choice);
    let direct_tls = (choice & 32 != 0).then(|| fixture::secured(&["b.example"]));
    let purpose = match choice & 64 {
        0 => Purpose::Session,
        _ => Purpose::Verify(request()),
    };
    let mut session = Session::new(&policy, purpose, direct_tls, choice & 128 == 0);
    for act in acts(input) {
        session.act(act);
    }
}

/// A key that somebody showed.
pub(crate) fn request() -> Request {
    Request {
        pair: DomainPair { local: domain("a.example"), remote: domain("b.example") },
        id: "id1".to_owned(),
        key: "0123456789abcdef".to_owned(),
    }
}

/// A stream and what may be concluded from what happened on it.
pub(crate) struct Session<'a> {
    policy: &'a Policy,
    verifies: bool,
    certificate: bool,
    stream: Initiating,
    reader: Reader,
    secured: Option<Secured>,
    tls_wanted: bool,
    /// Stanzas may be written, or a verdict came.
    pub(crate) settled: bool,
    unasked: bool,
    over: bool,
}

impl<'a> Session<'a> {
    pub(crate) fn new(
        policy: &'a Policy,
        purpose: Purpose,
        direct_tls: Option<Secured>,
        certificate: bool,
    ) -> Self {
        let verifies = purpose != Purpose::Session;
        let stream = Initiating::new(Plan {
            pair: DomainPair { local: domain("a.example"), remote: domain("b.example") },
            purpose,
            policy: policy.clone(),
            bounds: Bounds::default(),
            direct_tls: direct_tls.clone(),
            certificate,
        });
        Self {
            policy,
            verifies,
            certificate,
            stream,
            reader: Reader::new(),
            secured: direct_tls,
            tls_wanted: false,
            settled: false,
            unasked: false,
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
            Act::Secured(names) => {
                if std::mem::take(&mut self.tls_wanted) {
                    self.secured = Some(fixture::secured(names));
                }
                self.stream.secured(fixture::secured(names));
            }
            Act::Close => self.stream.close(None),
            Act::Decided(_) | Act::Undecided => {}
        }
        let mut sent = Vec::new();
        while let Some(output) = self.stream.poll() {
            assert!(!self.over, "{output:?} after the end");
            match output {
                Output::Transmit(bytes) => {
                    let elements = self.reader.sent(&bytes);
                    assert!(self.may_speak() || elements.iter().all(|element| element.name != "result"));
                    sent.extend(elements);
                }
                Output::StartTls => {
                    assert!(self.secured.is_none() && self.policy.tls != Tls::Disabled);
                    self.tls_wanted = true;
                }
                Output::Judged(verdict) => {
                    assert_eq!(verdict.is_ok(), proves(self.secured.as_ref(), &domain("b.example")));
                }
                Output::Noted(_) => {}
                Output::Established(established) => {
                    assert!(!self.verifies && !self.settled && self.may_speak());
                    assert!(self.policy.allows(established.mechanism));
                    assert_eq!(established.secured, self.secured.is_some());
                    assert!(
                        !established.secured || self.policy.tls != Tls::Disabled,
                        "TLS where it is never"
                    );
                    if established.mechanism == Mechanism::External {
                        assert!(self.certificate && established.secured, "EXTERNAL without TLS");
                    }
                    self.settled = true;
                }
                Output::Verified(_) => {
                    assert!(self.verifies && !self.settled);
                    self.settled = true;
                }
                Output::Unasked { .. } => {
                    assert!(!std::mem::replace(&mut self.unasked, true), "told twice");
                }
                Output::Answer(stanza) => {
                    assert!(self.settled && !self.verifies && stanza.type_().is_some());
                    assert_eq!(*stanza.from_domain(), domain("b.example"));
                    assert_eq!(*stanza.to_domain(), domain("a.example"));
                }
                Output::Stray(_) => assert!(self.settled),
                Output::Failed(_) => {
                    assert!(!self.settled, "established, then failed");
                    self.over = true;
                }
                Output::Ended(_) => self.over = true,
            }
        }
        assert!(!self.stream.is_established() || self.settled);
        sent
    }

    /// Whether the terms let anything be told to this peer.
    fn may_speak(&self) -> bool {
        let proved = proves(self.secured.as_ref(), &domain("b.example"));
        match self.secured {
            None => self.policy.tls != Tls::Required,
            Some(_) => proved || !self.policy.strict_certificates && self.policy.allows(Mechanism::Dialback),
        }
    }
}
