//! Streams of either role through their whole life, as a driver holds them: a handshake first, then the open
//! stream.
use crate::{
    Domain, DomainPair, Stanza,
    certificate::Problem,
    dialback,
    policy::{Mechanism, Rules},
    stanza,
    stream::{
        End, Error, Secured, Stage,
        initiating::{self, Failure, Note, Plan, Session, Stray, Verification},
        receiving,
    },
};
use bytes::{Bytes, BytesMut};
use std::sync::Arc;

/// The stream of the opening side.
#[derive(Debug)]
pub(crate) enum Opening {
    Session(initiating::Handshake<Session>),
    Verification(initiating::Handshake<Verification>),
    Open(Box<initiating::Open>),
}

/// An output of the opening side.
#[derive(Debug)]
pub(crate) enum Opens {
    Transmit(Bytes),
    StartTls,
    CertificateVerified(Result<(), Problem>),
    Noted(Note),
    Unsolicited(String),
    Failed(Failure),
    Established { mechanism: Mechanism, secured: bool },
    Verified(dialback::Answer),
    Answer(Stanza),
    Stray(Stray),
    AcksOn(Option<initiating::Resumable>),
    AcksRefused(String),
    Acknowledged(u32),
    Ended(End),
}

impl Opening {
    pub(crate) fn session(plan: Plan) -> Self {
        Self::Session(initiating::Handshake::session(plan))
    }

    pub(crate) fn verification(plan: Plan, request: dialback::Request) -> Self {
        Self::Verification(initiating::Handshake::verification(plan, request))
    }

    pub(crate) fn receive(&mut self, bytes: BytesMut) {
        match self {
            Self::Session(handshake) => handshake.receive(bytes),
            Self::Verification(handshake) => handshake.receive(bytes),
            Self::Open(open) => open.receive(bytes),
        }
    }

    pub(crate) fn secured(&mut self, secured: Secured) {
        match self {
            Self::Session(handshake) => handshake.secured(secured),
            Self::Verification(handshake) => handshake.secured(secured),
            Self::Open(_) => {}
        }
    }

    pub(crate) fn close(&mut self, error: Option<Error>) {
        match self {
            Self::Session(handshake) => handshake.close(error),
            Self::Verification(handshake) => handshake.close(error),
            Self::Open(open) => open.close(error),
        }
    }

    pub(crate) fn conclude(&mut self) {
        match self {
            Self::Session(handshake) => handshake.conclude(),
            Self::Verification(handshake) => handshake.conclude(),
            Self::Open(_) => {}
        }
    }

    pub(crate) fn awaits_reason(&self) -> bool {
        match self {
            Self::Session(handshake) => handshake.awaits_reason(),
            Self::Verification(handshake) => handshake.awaits_reason(),
            Self::Open(_) => false,
        }
    }

    pub(crate) fn lost(&self) -> Option<Failure> {
        match self {
            Self::Session(handshake) => handshake.lost(),
            Self::Verification(handshake) => handshake.lost(),
            Self::Open(_) => None,
        }
    }

    pub(crate) fn stage(&self) -> Stage {
        match self {
            Self::Session(handshake) => handshake.stage(),
            Self::Verification(handshake) => handshake.stage(),
            Self::Open(open) => open.stage(),
        }
    }

    /// The open stream.
    pub(crate) fn opened(&mut self) -> &mut initiating::Open {
        match self {
            Self::Open(open) => open,
            Self::Session(_) | Self::Verification(_) => panic!("the stream is not open"),
        }
    }

    pub(crate) fn is_established(&self) -> bool {
        self.stage() == Stage::Open
    }

    pub(crate) fn poll(&mut self) -> Option<Opens> {
        use initiating::Output;
        let common = match self {
            Self::Open(open) => {
                return Some(match open.poll()? {
                    initiating::open::Output::Transmit(bytes) => Opens::Transmit(bytes),
                    initiating::open::Output::Answer(stanza) => Opens::Answer(stanza),
                    initiating::open::Output::Stray(stray) => Opens::Stray(stray),
                    initiating::open::Output::Unsolicited { element } => Opens::Unsolicited(element),
                    initiating::open::Output::AcksOn { resumable } => Opens::AcksOn(resumable),
                    initiating::open::Output::AcksRefused { reason } => Opens::AcksRefused(reason),
                    initiating::open::Output::Acknowledged { h } => Opens::Acknowledged(h),
                    initiating::open::Output::Ended(end) => Opens::Ended(end),
                });
            }
            Self::Session(handshake) => match handshake.poll()? {
                Output::Completed(open) => {
                    let (mechanism, secured) = (open.mechanism(), open.transport().is_some());
                    assert!(handshake.poll().is_none(), "the handshake is over");
                    *self = Self::Open(open);
                    return Some(Opens::Established { mechanism, secured });
                }
                other => in_common(other),
            },
            Self::Verification(handshake) => match handshake.poll()? {
                Output::Completed(answer) => return Some(Opens::Verified(answer)),
                other => in_common(other),
            },
        };
        Some(common)
    }
}

fn in_common<T>(output: initiating::Output<T>) -> Opens {
    use initiating::Output;
    match output {
        Output::Transmit(bytes) => Opens::Transmit(bytes),
        Output::StartTls => Opens::StartTls,
        Output::CertificateVerified(verdict) => Opens::CertificateVerified(verdict),
        Output::Noted(note) => Opens::Noted(note),
        Output::Unsolicited { element } => Opens::Unsolicited(element),
        Output::Failed(failure) => Opens::Failed(failure),
        Output::Ended(end) => Opens::Ended(end),
        Output::Completed(_) => panic!("an outcome"),
    }
}

/// The stream of the accepting side.
#[derive(Debug)]
pub(crate) enum Accepting {
    Handshake(Box<receiving::Handshake>),
    Open(Box<receiving::Open>),
}

/// An output of the accepting side.
#[derive(Debug)]
pub(crate) enum Accepts {
    StartTls,
    Opened { from: Option<Domain>, to: Domain },
    Open(receiving::open::Output),
}

impl Accepting {
    pub(crate) fn new(
        rules: Arc<Rules>,
        direct_tls: Option<Secured>,
        ids: Box<dyn FnMut() -> String + Send>,
    ) -> Self {
        Self::Handshake(Box::new(receiving::Handshake::new(rules, direct_tls, ids)))
    }

    pub(crate) fn receive(&mut self, bytes: BytesMut) {
        match self {
            Self::Handshake(handshake) => handshake.receive(bytes),
            Self::Open(open) => open.receive(bytes),
        }
    }

    pub(crate) fn secured(&mut self, secured: Secured) {
        if let Self::Handshake(handshake) = self {
            handshake.secured(secured);
        }
    }

    pub(crate) fn verified(
        &mut self,
        request: &dialback::Request,
        answer: Result<dialback::Answer, stanza::Error>,
    ) {
        match self {
            Self::Handshake(handshake) => handshake.verified(request, answer),
            Self::Open(open) => open.verified(request, answer),
        }
    }

    pub(crate) fn close(&mut self, error: Option<Error>) {
        match self {
            Self::Handshake(handshake) => handshake.close(error),
            Self::Open(open) => open.close(error),
        }
    }

    pub(crate) fn adopt(&mut self, rules: Arc<Rules>) -> Option<Error> {
        match self {
            Self::Handshake(handshake) => handshake.adopt(rules),
            Self::Open(open) => open.adopt(rules),
        }
    }

    pub(crate) fn certificate_ended(&mut self) -> bool {
        match self {
            Self::Handshake(handshake) => {
                handshake.certificate_ended();
                false
            }
            Self::Open(open) => open.certificate_ended(),
        }
    }

    /// The open stream.
    pub(crate) fn opened(&mut self) -> &mut receiving::Open {
        match self {
            Self::Open(open) => open,
            Self::Handshake(_) => panic!("the stream is not open"),
        }
    }

    pub(crate) fn pairs(&self) -> &[DomainPair] {
        match self {
            Self::Handshake(_) => &[],
            Self::Open(open) => open.pairs(),
        }
    }

    pub(crate) fn status(&self) -> receiving::Status<'_> {
        match self {
            Self::Handshake(handshake) => handshake.status(),
            Self::Open(open) => open.status(),
        }
    }

    pub(crate) fn take_unproductive(&mut self) -> usize {
        match self {
            Self::Handshake(_) => 0,
            Self::Open(open) => open.take_unproductive(),
        }
    }

    pub(crate) fn stage(&self) -> Stage {
        match self {
            Self::Handshake(handshake) => handshake.stage(),
            Self::Open(open) => open.stage(),
        }
    }

    pub(crate) fn poll(&mut self) -> Option<Accepts> {
        use receiving::{Output, open};
        loop {
            let handshake = match self {
                Self::Open(open) => return open.poll().map(Accepts::Open),
                Self::Handshake(handshake) => handshake,
            };
            return Some(match handshake.poll()? {
                Output::Transmit(bytes) => Accepts::Open(open::Output::Transmit(bytes)),
                Output::StartTls => Accepts::StartTls,
                Output::Opened { from, to, .. } => Accepts::Opened { from, to },
                Output::Verify(request) => Accepts::Open(open::Output::Verify(request)),
                Output::Refused { remote, reason } => Accepts::Open(open::Output::Refused { remote, reason }),
                Output::Ended(end) => Accepts::Open(open::Output::Ended(end)),
                Output::Completed(open) => {
                    assert!(handshake.poll().is_none(), "the handshake is over");
                    *self = Self::Open(open);
                    continue;
                }
            });
        }
    }
}
