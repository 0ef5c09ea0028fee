//! Walks to every address of every target of a domain with the walk of the node. A node stops at the first
//! success.

use std::{collections::HashSet, fmt::Write as _, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::mpsc,
};
use xmpp::{dialback::Answer, policy::Mechanism, stream::initiating::open::Output};

use super::{
    acks::Delivery,
    cause::{self, Cause},
    diagnosis::{self, Context},
    dns as records,
    observed::{Event, Observed},
    report::Report,
    step::{Kind, Location, Step},
    verdict::{Path, Untested},
};
use actors::attempt::{self, Attempt, AttemptError, Goal, OpenSession, Session, Strategy, VerifyKey, Visit};
use net::{
    dns::{self, Dns, Target},
    happy_eyeballs,
};

/// The state of a walk.
pub(crate) struct Walk<'a, G> {
    pub(super) report: &'a mut Report,
    /// The observed events of the attempt.
    pub(super) events: &'a mut mpsc::Receiver<Event>,
    /// For further queries after a failure.
    pub(super) dns: &'a Dns,
    pub(super) attempt: Attempt<G>,
    /// The target and address that are being tried.
    pub(super) location: Location,
    /// The same target.
    pub(super) target: Option<Target>,
    /// The target has an IPv4 address.
    pub(super) has_ipv4: bool,
    /// An IPv4 address of the target was connected to.
    pub(super) ipv4_works: bool,
    /// The IPv6 addresses of the target that could not be connected to.
    ipv6_failures: Vec<(SocketAddr, AttemptError)>,
    /// The observations of the connection.
    pub(super) observed: Observed,
    /// DNS queries in the report. A repeated query is answered from the cache and not reported.
    pub(super) queries: HashSet<String>,
    /// Our own server, if it is the target.
    pub(super) own: OwnServer,
}

/// Our own server, as the configuration describes it.
#[derive(Debug, Default)]
pub(crate) struct OwnServer {
    pub(crate) listeners: Vec<SocketAddr>,
    /// The fingerprint of its certificate.
    pub(crate) fingerprint: Option<String>,
    /// It accepts only connections with a valid certificate.
    pub(crate) requires_certificate: bool,
}

/// Adds the outcome of a visit to the report.
trait AddOutcome: Goal {
    async fn add(walk: &mut Walk<'_, Self>, outcome: Self::Outcome, target: &Target);
}

impl AddOutcome for OpenSession {
    async fn add(walk: &mut Walk<'_, Self>, session: Session, target: &Target) {
        walk.add_session(session, target).await;
    }
}

impl AddOutcome for VerifyKey {
    async fn add(walk: &mut Walk<'_, Self>, answer: Answer, _: &Target) {
        walk.add_answer(answer);
    }
}

impl<'a> Walk<'a, OpenSession> {
    /// Walks to a remote server, to open a session.
    pub(crate) async fn to_remote(
        report: &'a mut Report,
        events: &'a mut mpsc::Receiver<Event>,
        dns: &'a Dns,
        attempt: Attempt<OpenSession>,
    ) {
        Self::new(report, events, dns, attempt, Location::default(), OwnServer::default()).run().await;
    }
}

impl<'a> Walk<'a, VerifyKey> {
    /// Walks to our own server in the role of the remote server, to verify a dialback key.
    pub(crate) async fn to_own(
        report: &'a mut Report,
        events: &'a mut mpsc::Receiver<Event>,
        dns: &'a Dns,
        attempt: Attempt<VerifyKey>,
        own: OwnServer,
    ) {
        let location = Location { own: true, ..Location::default() };
        Self::new(report, events, dns, attempt, location, own).run().await;
    }
}

impl<'a, G: Goal> Walk<'a, G> {
    fn new(
        report: &'a mut Report,
        events: &'a mut mpsc::Receiver<Event>,
        dns: &'a Dns,
        attempt: Attempt<G>,
        location: Location,
        own: OwnServer,
    ) -> Self {
        Self {
            report,
            events,
            dns,
            attempt,
            location,
            target: None,
            has_ipv4: false,
            ipv4_works: false,
            ipv6_failures: Vec::new(),
            observed: Observed::default(),
            queries: HashSet::new(),
            own,
        }
    }

    /// Visits every address of every target.
    async fn run(mut self)
    where
        G: AddOutcome,
    {
        let attempt = self.attempt.clone();
        let mut walk = match self.observe(attempt::Walk::begin(&attempt, Strategy::EveryAddress)).await {
            Ok(walk) => walk,
            Err(error) => return self.fail(&error).await,
        };
        let targets: Vec<Target> = walk.targets().cloned().collect();
        self.report.add(records::order(&targets, attempt.remote.address.is_some(), &self.location));
        for target in targets.iter().filter(|target| target.from_srv) {
            if let Some(step) = records::wrong_target(target, &self.location) {
                self.report.add_once(&target.host, step);
            }
        }
        while let Some(Visit { target, address, outcome, is_last }) = self.observe(walk.next()).await {
            match outcome {
                Ok(outcome) => G::add(&mut self, outcome, &target).await,
                Err(error) => self.add_error(error, address, &target).await,
            }
            if is_last {
                self.add_ipv6_failures().await;
            }
        }
    }

    /// Adds the error of a visit.
    async fn add_error(&mut self, error: AttemptError, address: Option<SocketAddr>, target: &Target) {
        match (&error, address) {
            // The cause depends on whether IPv4 works, so it is reported after all addresses.
            (AttemptError::Connect(_), Some(address))
                if address.is_ipv6() && self.has_ipv4 && !self.location.own =>
            {
                self.ipv6_failures.push((address, error));
            }
            _ if attempt::redirect(&error, target).is_some() => {
                let text = format!("{}: following the redirect", error.sentence(&self.attempt.pair.remote));
                self.report.add(Step::ok(Kind::Redirect, &self.location, &text));
            }
            _ if self.requires_certificate(&error) => self.add_certificate_required(),
            _ => self.fail(&error).await,
        }
    }

    /// Adds the steps for the IPv6 addresses of a target that has IPv4 addresses too.
    async fn add_ipv6_failures(&mut self) {
        for (address, error) in std::mem::take(&mut self.ipv6_failures) {
            self.location.address = Some(address);
            self.observed = Observed::default();
            match self.diagnose(&error).1 {
                cause if cause == &cause::NO_IPV6_HERE => {
                    self.report.add(Step::noted(Kind::Tcp, &self.location, cause, error.to_string()));
                }
                _ if self.ipv4_works => {
                    let text = error.to_string();
                    self.report.add(Step::noted(Kind::Tcp, &self.location, &cause::DEAD_IPV6, text));
                }
                _ => self.fail(&error).await,
            }
        }
    }

    /// Runs `work`, and adds the steps of its events meanwhile.
    async fn observe<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                Some(event) = self.events.recv() => self.add_event(event),
                outcome = &mut work => {
                    while let Ok(event) = self.events.try_recv() {
                        self.add_event(event);
                    }
                    return outcome;
                }
            }
        }
    }

    /// Adds the step for a failure.
    async fn fail(&mut self, failure: &AttemptError) {
        let (kind, mut cause) = self.diagnose(failure);
        if cause == &cause::DIALBACK_UNTESTABLE {
            let problem = match failure {
                AttemptError::Stream { at, .. } => at.distrusted.as_deref().cloned(),
                _ => None,
            };
            self.report.add_only_dialback(problem);
            let text = "not tested: the probe and the running node have different secrets";
            self.report.add(Step::noted(Kind::Dialback, &self.location, cause, text));
            return;
        }
        let mut text = failure.sentence(&self.attempt.pair.remote);
        if cause == &cause::SILENT
            && let Some(answer) = self.send_http_request().await
        {
            self.observed.received = answer;
            text += "; it answers an HTTP request";
            cause = self.diagnose(failure).1;
        }
        if let AttemptError::Dns(dns::LookupError::Refused { question, code: dns::Rcode::ServerFailure }) =
            failure
            && let Some(bogus) = self.dns.dnssec_failure(question).await
        {
            cause = if self.location.own { &cause::OWN_BOGUS } else { &cause::BOGUS };
            text += &match bogus.reason {
                Some((code, words)) => {
                    format!("; the reason is error {code} of RFC 8914 {words}").trim_end().to_owned()
                }
                None => "; they answer without DNSSEC validation".to_owned(),
            };
        }
        if let AttemptError::Dns(dns::LookupError::Silent { .. }) = failure {
            cause = match (self.dns.is_answering().await, self.location.own) {
                (false, _) => &cause::DNS_DEAD,
                (true, true) => &cause::OWN_DNS_FAILS,
                (true, false) => &cause::DNS_TIMEOUT,
            };
        }
        if [&cause::HTTP, &cause::NOT_XMPP].contains(&cause) {
            let received = String::from_utf8_lossy(&self.observed.received);
            let _ = write!(text, ", it sent “{}”", received.lines().next().unwrap_or_default().trim());
        }
        // The step with the certificate contains the finding already.
        if kind == Kind::Certificate && self.observed.certificate_reported {
            return;
        }
        let step = match self.location.dialback_alone {
            true => Step::noted(kind, &self.location, cause, text),
            false => Step::failed(kind, &self.location, cause, text),
        };
        let step = if kind == Kind::Dialback { step.with_prefix("4 of 4: ") } else { step };
        self.report.add(step.fact("definitive", failure.is_definitive()));
    }

    /// Sends an HTTP request to a server that did not answer a stream header, as HTTP servers wait for the
    /// end of the request. Returns the beginning of its answer if that is HTTP.
    async fn send_http_request(&self) -> Option<Vec<u8>> {
        let address = self.location.address.filter(|_| !self.location.direct_tls && !self.location.own)?;
        let request = async {
            let mut socket = TcpStream::connect(address).await.ok()?;
            socket.write_all(b"HEAD / HTTP/1.0\r\n\r\n").await.ok()?;
            let mut answer = vec![0; MAX_STATUS_LINE];
            let length = socket.read(&mut answer).await.ok()?;
            answer.truncate(length);
            Some(answer)
        };
        let answer = tokio::time::timeout(HTTP_TIMEOUT, request).await.ok()??;
        answer.starts_with(b"HTTP/").then_some(answer)
    }

    fn diagnose(&self, failure: &AttemptError) -> (Kind, &'static Cause) {
        if self.location.own {
            return diagnosis::of_own(failure);
        }
        let (policy, has_certificate) = (&self.attempt.remote.policy, self.attempt.certificate);
        diagnosis::of(failure, &Context { observed: &self.observed, policy, has_certificate })
    }
}

impl Walk<'_, OpenSession> {
    /// Closes an authenticated stream. After EXTERNAL, tests dialback too.
    async fn add_session(&mut self, session: Session, target: &Target) {
        let mechanism = session.machine.mechanism();
        let address = session.address;
        self.add_authenticated(mechanism);
        let delivery = self.add_acks(session).await;
        let first = !self.report.has_path();
        let repeat = self.attempt.remote.repeat;
        let consequence = delivery.consequence(repeat);
        self.report.add_path(Path {
            at: format!("{target} ({address})"),
            mechanism,
            acks: delivery.as_str(),
            consequence,
        });
        let policy = &self.attempt.remote.policy;
        if mechanism == Mechanism::External && first {
            if !policy.allows(Mechanism::Dialback) {
                self.report.add_untested(Untested::DialbackNotConfigured);
            } else if !policy.secret.is_shared() {
                self.report.add_untested(Untested::DialbackSecret);
            } else if !self.observed.offered.as_ref().is_some_and(|offered| offered.dialback) {
                self.report.add_untested(Untested::DialbackNotOffered);
            } else {
                self.test_dialback(target, address).await;
            }
        }
    }

    /// Adds the step about acknowledgements, and closes the stream.
    async fn add_acks(&mut self, mut session: Session) -> Delivery {
        let remote = &self.attempt.remote;
        let (enabled, repeat) = (remote.acks, remote.repeat);
        let delivery = Delivery::of(&mut session, enabled).await;
        self.report.add(delivery.step(&self.location, repeat));
        close(session).await;
        delivery
    }

    /// Connects again with dialback as the only mechanism.
    async fn test_dialback(&mut self, target: &Target, address: SocketAddr) {
        let mut attempt = self.attempt.clone();
        Arc::make_mut(&mut attempt.remote).policy.auth = vec![Mechanism::Dialback];
        self.location.dialback_alone = true;
        self.observed = Observed::default();
        match happy_eyeballs::connect(&attempt.dialer.network, &[address], attempt.remote.connect_timeout)
            .await
        {
            Ok(socket) => {
                match self.observe(attempt.negotiate_on(socket, address, target.direct_tls)).await {
                    Ok(session) => {
                        self.add_authenticated(Mechanism::Dialback);
                        self.add_acks(session).await;
                    }
                    Err(error) => self.fail(&error).await,
                }
            }
            Err(failures) => self.fail(&AttemptError::Connect(failures)).await,
        }
        self.location.dialback_alone = false;
    }
}

/// Closes a stream, without waiting for the closing tag of the peer.
async fn close(mut session: Session) {
    session.machine.close(None);
    let closing = async {
        while let Some(output) = session.machine.poll() {
            if let Output::Transmit(bytes) = output
                && session.stream.write_all(&bytes).await.is_err()
            {
                return;
            }
        }
        // An error does not matter, since the result of the probe is known.
        let _ = session.stream.shutdown().await;
    };
    let _ = tokio::time::timeout(CLOSE_TIMEOUT, closing).await;
}

const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Time for an HTTP server to answer.
const HTTP_TIMEOUT: Duration = Duration::from_secs(2);

/// Bytes that are read of an HTTP answer, enough for its status line.
const MAX_STATUS_LINE: usize = 256;
