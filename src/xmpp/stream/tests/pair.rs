//! A stream of each role with a wire between them, which can split the bytes in several ways.
use super::{
    fixture::{domain, ids, initiating_event, receiving_event, rules, secured},
    machine::{Accepting, Accepts, Opening, Opens},
};
use crate::{
    DomainPair,
    acks::Options,
    certificate::Certificate,
    dialback::{self, Answer, Secret},
    policy::{Bounds, Mechanism, Policy, Rules},
    stanza,
    stream::{initiating::Plan, receiving::open::Output},
};
use bytes::{Bytes, BytesMut};
use std::sync::Arc;

/// The certificate that a side shows for a name.
pub(super) type Shown = Box<dyn Fn(&str) -> Option<Certificate>>;

/// One server: its policy for the other and its certificate.
pub(super) struct Side {
    pub(super) policy: Policy,
    pub(super) certificate: Shown,
}

/// The split of the bytes on the wire.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cut {
    Nowhere,
    /// At this byte of each direction, and each [`STRIDE`] bytes from there.
    From(usize),
    Everywhere,
}

/// `a.example` opens a stream to `b.example`.
pub(super) struct Pair {
    initiating: Opening,
    receiving: Accepting,
    /// The certificates that the sides show each other.
    certificates: (Option<Certificate>, Option<Certificate>),
    /// The policy of the right side for the left one.
    terms: Policy,
    /// The authoritative server of `a.example`.
    authority: Arc<Rules>,
    tls: (bool, bool),
    cut: Cut,
    /// Bytes that went to the right and to the left.
    carried: (usize, usize),
    log: Vec<String>,
    established: Option<(Mechanism, bool)>,
    authorized: Vec<(String, Mechanism)>,
    failure: Option<String>,
}

impl Pair {
    pub(super) fn new(ours: &Side, theirs: &Side) -> Self {
        Self::make(ours, theirs, false)
    }

    /// With TLS under it from the start.
    pub(super) fn direct(ours: &Side, theirs: &Side) -> Self {
        Self::make(ours, theirs, true)
    }

    fn make(ours: &Side, theirs: &Side, direct: bool) -> Self {
        let certificates = ((ours.certificate)("a.example"), (theirs.certificate)("b.example"));
        let authority = rules(&["a.example"], ours.policy.clone(), certificates.0.is_some());
        let receiving_rules =
            rules(&["b.example", "also.example"], theirs.policy.clone(), certificates.1.is_some());
        let plan = Plan {
            pair: DomainPair { local: domain("a.example"), remote: domain("b.example") },
            policy: authority.default_policy().clone(),
            bounds: Bounds::default(),
            direct_tls: direct.then(|| secured(certificates.1.clone())),
            certificate: certificates.0.is_some(),
            acks: Options::default(),
        };
        let shown = direct.then(|| secured(certificates.0.clone()));
        Self {
            initiating: Opening::session(plan),
            receiving: Accepting::new(receiving_rules, shown, ids()),
            certificates,
            terms: theirs.policy.clone(),
            authority,
            tls: (false, false),
            cut: Cut::Nowhere,
            carried: (0, 0),
            log: Vec::new(),
            established: None,
            authorized: Vec::new(),
            failure: None,
        }
    }

    pub(super) fn cut(mut self, cut: Cut) -> Self {
        self.cut = cut;
        self
    }

    /// Gives the authoritative server another secret than the one that our key was made from.
    pub(super) fn with_forged_key(mut self) -> Self {
        self.authority = rules(&["a.example", "x"], self.authority.default_policy().clone(), true);
        let pair = [(domain("a.example"), crate::policy::Hosted { certificate: true })];
        let secret = Secret::new("another");
        let policy = Policy { secret, ..self.authority.default_policy().clone() };
        let allow = vec![crate::policy::Pattern::Any];
        self.authority = Arc::new(Rules::new(pair, policy, Vec::new(), allow, Vec::new()));
        self
    }

    /// Carries bytes until both are silent.
    pub(super) fn drive(&mut self) {
        loop {
            let (mut silent, mut cause) = (true, 0);
            while let Some(output) = self.initiating.poll() {
                silent = false;
                cause += 1;
                assert!(cause < 100, "the initiating side never rests");
                self.left(output);
            }
            while let Some(output) = self.receiving.poll() {
                silent = false;
                self.right(output);
            }
            if self.tls == (true, true) {
                self.tls = (false, false);
                self.initiating.secured(secured(self.certificates.1.clone()));
                self.receiving.secured(secured(self.certificates.0.clone()));
                silent = false;
            }
            if silent {
                return;
            }
        }
    }

    fn left(&mut self, output: Opens) {
        self.log.push(format!("a: {}", initiating_event(&output)));
        match output {
            Opens::Transmit(bytes) => {
                for part in self.cut.parts(&bytes, &mut self.carried.0) {
                    self.receiving.receive(part);
                    // A driver polls after each read.
                    while let Some(output) = self.receiving.poll() {
                        self.right(output);
                    }
                }
            }
            Opens::StartTls => self.tls.0 = true,
            Opens::Established { mechanism, secured } => {
                self.established = Some((mechanism, secured));
            }
            Opens::Failed(failure) => self.failure = Some(failure.to_string()),
            _ => {}
        }
    }

    fn right(&mut self, output: Accepts) {
        self.log.push(format!("b: {}", receiving_event(&output)));
        match output {
            Accepts::Open(Output::Transmit(bytes)) => {
                for part in self.cut.parts(&bytes, &mut self.carried.1) {
                    self.initiating.receive(part);
                    while let Some(output) = self.initiating.poll() {
                        self.left(output);
                    }
                }
            }
            Accepts::StartTls => self.tls.1 = true,
            Accepts::Open(Output::Authorized { pair, mechanism }) => {
                self.authorized.push((pair.local.to_string(), mechanism));
            }
            Accepts::Open(Output::Verify(request)) => {
                let answer = self.ask_the_authority(&request);
                self.receiving.verified(&request, answer);
            }
            _ => {}
        }
    }

    /// The driver of the right side opens a stream to the authoritative server, under its own policy.
    fn ask_the_authority(&self, request: &dialback::Request) -> Result<Answer, stanza::Error> {
        ask(&self.authority, &self.terms, self.certificates.0.as_ref(), request).0
    }

    pub(super) fn established(&self) -> Option<(Mechanism, bool)> {
        self.established
    }

    pub(super) fn authorized(&self) -> &[(String, Mechanism)] {
        &self.authorized
    }

    pub(super) fn failure(&self) -> Option<String> {
        self.failure.clone()
    }

    pub(super) fn log(&self) -> String {
        self.log.join("\n")
    }

    pub(super) fn delivers_a_stanza(&mut self) {
        let stanza = "<message from='u@a.example' to='v@b.example'><body>hello</body></message>";
        for part in self.cut.parts(&Bytes::from(stanza), &mut self.carried.0) {
            self.receiving.receive(part);
            self.drive();
        }
        assert!(self.log().ends_with(&format!("b: [stanza {stanza}]")), "{}", self.log());
    }

    /// Closes from the left.
    pub(super) fn closes(&mut self) {
        self.initiating.close(None);
        self.drive();
        let log = self.log();
        assert!(log.contains("a: </stream:stream>\nb: </stream:stream>\na: [closed]"), "{log}");
        assert!(log.contains("b: [closed]"), "{log}");
    }
}

impl Cut {
    fn parts(self, bytes: &Bytes, carried: &mut usize) -> Vec<BytesMut> {
        let start = *carried;
        *carried += bytes.len();
        match self {
            Self::Everywhere => bytes.chunks(1).map(BytesMut::from).collect(),
            Self::Nowhere => vec![BytesMut::from(&bytes[..])],
            Self::From(first) => {
                let places = (first..*carried).step_by(STRIDE).filter(|place| *place > start);
                let ends: Vec<_> = places.map(|place| place - start).chain([bytes.len()]).collect();
                let begins = [0].into_iter().chain(ends.iter().copied());
                begins.zip(&ends).map(|(begin, end)| BytesMut::from(&bytes[begin..*end])).collect()
            }
        }
    }
}

/// Asks the authoritative server of `b.example`, as `a.example`, about a key that is right or wrong. Gives
/// the log.
pub(super) fn verify(authority: &Arc<Rules>, policy: &Policy, shown: &Shown, right: bool) -> String {
    let pair = DomainPair { local: domain("a.example"), remote: domain("b.example") };
    let key = match right {
        true => dialback::key(&authority.default_policy().secret, &pair.local, &pair.remote, "id7"),
        false => "0".repeat(64),
    };
    let request = dialback::Request { pair, id: "id7".to_owned(), key };
    let log = ask(authority, policy, shown("b.example").as_ref(), &request).1;
    log.trim_end_matches(']').to_owned()
}

fn ask(
    authority: &Arc<Rules>,
    policy: &Policy,
    certificate: Option<&Certificate>,
    request: &dialback::Request,
) -> (Result<Answer, stanza::Error>, String) {
    let plan = Plan {
        pair: request.pair.clone(),
        policy: policy.clone(),
        bounds: Bounds::default(),
        direct_tls: None,
        certificate: false,
        acks: Options::default(),
    };
    let mut initiating = Opening::verification(plan, request.clone());
    let mut receiving = Accepting::new(authority.clone(), None, ids());
    let (mut outcome, mut log, mut tls) = (None, Vec::new(), (false, false));
    loop {
        let before = log.len();
        while let Some(output) = initiating.poll() {
            log.push(initiating_event(&output));
            match output {
                Opens::Transmit(bytes) => receiving.receive(BytesMut::from(&bytes[..])),
                Opens::StartTls => tls.0 = true,
                Opens::Verified(verdict) => outcome = Some(Ok(verdict)),
                Opens::Failed(failure) => outcome = Some(Err(failure.stanza_error())),
                _ => {}
            }
        }
        while let Some(output) = receiving.poll() {
            match output {
                Accepts::Open(Output::Transmit(bytes)) => initiating.receive(BytesMut::from(&bytes[..])),
                Accepts::StartTls => tls.1 = true,
                _ => {}
            }
        }
        if tls == (true, true) {
            tls = (false, false);
            initiating.secured(secured(certificate.cloned()));
            receiving.secured(secured(None));
        } else if log.len() == before {
            return (outcome.unwrap(), log.join("\n"));
        }
    }
}

/// Bytes between two cuts: longer than most elements, so that one is cut once.
pub(super) const STRIDE: usize = 127;
