//! Tries every address of every target of a domain with the [`Attempt`] of the node. A node stops at the
//! first that works.

use std::{collections::HashSet, fmt::Write as _, net::SocketAddr, pin::pin, time::Duration};

use actors::dial::{
    attempt::{self, Arrival, Attempt, Session, Targets},
    failure::Failure,
};
use net::{
    dns::{self, Dns, Target},
    happy_eyeballs,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::mpsc,
};
use xmpp::{policy::Mechanism, stream::initiating::open::Output};

use super::{
    cause::{self, Cause},
    diagnosis::{self, Context},
    dns as records,
    observed::{Event, Observed},
    report::Report,
    step::{Kind, Location, Step},
    verdict::{Path, Untested},
};

/// The state while all targets are tried.
pub(crate) struct Walk<'a> {
    pub(super) report: &'a mut Report,
    /// The observed events of the attempt.
    pub(super) events: &'a mut mpsc::Receiver<Event>,
    /// For further queries after a failure.
    pub(super) dns: &'a Dns,
    pub(super) attempt: Attempt,
    /// The target and address that are being tried.
    pub(super) location: Location,
    /// Whether the target is from an SRV record.
    pub(super) from_srv: bool,
    /// The observations of the connection.
    pub(super) observed: Observed,
    /// DNS queries in the report. A repeated query is answered from the cache and not reported.
    pub(super) queries: HashSet<String>,
    /// Our own server, if it is the target.
    pub(super) own: OwnServer,
}

/// What the configuration says about our own server.
#[derive(Debug, Default)]
pub(crate) struct OwnServer {
    pub(crate) listeners: Vec<SocketAddr>,
    /// The fingerprint of its certificate.
    pub(crate) fingerprint: Option<String>,
    /// It accepts only connections with a valid certificate.
    pub(crate) requires_certificate: bool,
}

impl<'a> Walk<'a> {
    /// A walk to a remote server.
    pub(crate) fn to_remote(
        report: &'a mut Report,
        events: &'a mut mpsc::Receiver<Event>,
        dns: &'a Dns,
        attempt: Attempt,
    ) -> Self {
        Self {
            report,
            events,
            dns,
            attempt,
            location: Location::default(),
            from_srv: false,
            observed: Observed::default(),
            queries: HashSet::new(),
            own: OwnServer::default(),
        }
    }

    /// A walk to our own server, in the role of the remote server.
    pub(crate) fn to_own(
        report: &'a mut Report,
        events: &'a mut mpsc::Receiver<Event>,
        dns: &'a Dns,
        attempt: Attempt,
        own: OwnServer,
    ) -> Self {
        let location = Location { own: true, ..Location::default() };
        Self { location, own, ..Self::to_remote(report, events, dns, attempt) }
    }

    /// Tries every address of every target.
    pub(crate) async fn run(mut self) {
        let attempt = self.attempt.clone();
        let targets = match self.observe(attempt.targets()).await {
            Ok(targets) => targets,
            Err(failure) => {
                self.fail(&failure).await;
                return;
            }
        };
        self.report.add(records::order(&targets, attempt.remote.address.is_some(), &self.location));
        for target in targets.iter().filter(|target| target.from_srv) {
            if let Some(step) = records::wrong_target(target, &self.location) {
                self.report.add_once(&target.host, step);
            }
        }
        let mut targets = Targets::new(targets);
        while let Some(target) = targets.take_next() {
            self.from_srv = target.from_srv;
            self.location.target = Some(target.to_string());
            self.location.direct_tls = target.direct_tls;
            self.location.address = None;
            if let Some(redirect) = self.try_target(&target).await {
                targets.follow(&redirect, &target);
            }
        }
    }

    /// Tries every address of a target. Returns the failure that redirects us, if any.
    async fn try_target(&mut self, target: &Target) -> Option<Failure> {
        let attempt = self.attempt.clone();
        let addresses = match self.observe(attempt.locate(target)).await {
            Ok(addresses) => addresses,
            Err(failure) => {
                self.fail(&failure).await;
                return None;
            }
        };
        self.note_late_answers(target);
        let has_ipv4 = addresses.iter().any(SocketAddr::is_ipv4);
        let (mut redirect, mut ipv4_works, mut ipv6_failures) = (None, false, Vec::new());
        for address in &addresses {
            self.location.address = Some(*address);
            self.observed = Observed::default();
            let socket = match self.connect(*address).await {
                Ok(socket) => socket,
                // The cause depends on whether IPv4 works, so it is reported after all addresses.
                Err(Failure::Connect(failures)) if address.is_ipv6() && has_ipv4 && !self.location.own => {
                    ipv6_failures.push((*address, failures));
                    continue;
                }
                Err(failure) => {
                    self.fail(&failure).await;
                    continue;
                }
            };
            ipv4_works |= address.is_ipv4();
            // A new clone for each address, since an attempt remembers whether a peer had TLS.
            let attempt = self.attempt.clone();
            let arrival = self.observe(attempt.negotiate(socket, *address, target.direct_tls)).await;
            match arrival {
                Ok(Arrival::Session(session)) => self.add_session(*session, target).await,
                Ok(Arrival::Verified(answer)) => self.add_answer(answer),
                Err(failure) => match attempt::elsewhere(&failure, target) {
                    Some(_) => {
                        let text =
                            format!("{}: following the redirect", failure.sentence(&attempt.pair.remote));
                        self.report.add(Step::ok(Kind::Redirect, &self.location, &text));
                        redirect = Some(failure);
                    }
                    None if self.requires_certificate(&failure) => self.add_certificate_required(),
                    None => self.fail(&failure).await,
                },
            }
        }
        for (address, failures) in ipv6_failures {
            self.location.address = Some(address);
            self.observed = Observed::default();
            self.fail_over_ipv6(failures, ipv4_works).await;
        }
        redirect
    }

    /// Adds the step for an IPv6 address of a target that has IPv4 addresses too.
    async fn fail_over_ipv6(
        &mut self,
        failures: Vec<(SocketAddr, happy_eyeballs::Failure)>,
        ipv4_works: bool,
    ) {
        let text = failures.first().map(|(address, failure)| failure.at(*address)).unwrap_or_default();
        let failure = Failure::Connect(failures);
        match self.diagnose(&failure).1 {
            cause if cause == &cause::NO_IPV6_HERE => {
                self.report.add(Step::noted(Kind::Tcp, &self.location, cause, text));
            }
            _ if ipv4_works => {
                self.report.add(Step::noted(Kind::Tcp, &self.location, &cause::DEAD_IPV6, text));
            }
            _ => self.fail(&failure).await,
        }
    }

    async fn connect(&mut self, address: SocketAddr) -> Result<TcpStream, Failure> {
        let began = clock::now();
        let connected = happy_eyeballs::connect(&[address], self.attempt.remote.connect_timeout).await;
        let socket = connected.map_err(Failure::Connect)?;
        let took = clock::since(began).as_millis();
        let listener = match (self.location.own, happy_eyeballs::is_own(address, &self.own.listeners)) {
            (false, _) => "",
            (true, true) => " to a listener of this configuration",
            (true, false) => {
                " to a server outside of this configuration: another machine, or a router in front"
            }
        };
        let step = Step::ok(Kind::Tcp, &self.location, &format!("connected in {took} ms{listener}"));
        self.report.add(step.fact("took_ms", u64::try_from(took).unwrap_or(u64::MAX)));
        Ok(socket)
    }

    /// Closes an authenticated stream. After EXTERNAL, tests dialback too.
    async fn add_session(&mut self, session: Session, target: &Target) {
        let mechanism = session.machine.mechanism();
        let address = session.address;
        close(session).await;
        self.add_authenticated(mechanism);
        let first = !self.report.has_path();
        self.report.add_path(Path { at: format!("{target} ({address})"), mechanism });
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

    /// Connects again with dialback as the only mechanism.
    async fn test_dialback(&mut self, target: &Target, address: SocketAddr) {
        let mut attempt = self.attempt.clone();
        attempt.remote.policy.auth = vec![Mechanism::Dialback];
        self.location.dialback_alone = true;
        self.observed = Observed::default();
        match happy_eyeballs::connect(&[address], attempt.remote.connect_timeout).await {
            Ok(socket) => match self.observe(attempt.negotiate(socket, address, target.direct_tls)).await {
                Ok(Arrival::Session(session)) => {
                    close(*session).await;
                    self.add_authenticated(Mechanism::Dialback);
                }
                Ok(Arrival::Verified(_)) => {}
                Err(failure) => self.fail(&failure).await,
            },
            Err(failures) => self.fail(&Failure::Connect(failures)).await,
        }
        self.location.dialback_alone = false;
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
    async fn fail(&mut self, failure: &Failure) {
        let (kind, mut cause) = self.diagnose(failure);
        if cause == &cause::DIALBACK_UNTESTABLE {
            let problem = match failure {
                Failure::Stream { distrusted, .. } => distrusted.as_deref().cloned(),
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
        if let Failure::Dns(dns::Failure::Refused { question, code }) = failure
            && code == "SERVFAIL"
            && let Some(bogus) = self.dns.second_look(question).await
        {
            cause = if self.location.own { &cause::OWN_BOGUS } else { &cause::BOGUS };
            text += &match bogus.reason {
                Some((code, words)) => {
                    format!("; the reason is error {code} of RFC 8914 {words}").trim_end().to_owned()
                }
                None => "; they answer without DNSSEC validation".to_owned(),
            };
        }
        if let Failure::Dns(dns::Failure::Silent { .. }) = failure {
            cause = match (self.dns.answers().await, self.location.own) {
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

    fn diagnose(&self, failure: &Failure) -> (Kind, &'static Cause) {
        if self.location.own {
            return diagnosis::of_own(failure);
        }
        let (policy, has_certificate) = (&self.attempt.remote.policy, self.attempt.certificate);
        diagnosis::of(failure, &Context { observed: &self.observed, policy, has_certificate })
    }

    /// Adds a note for each address query of a target that was not answered in time.
    fn note_late_answers(&mut self, target: &Target) {
        if target.host.parse::<std::net::IpAddr>().is_ok() {
            return;
        }
        for kind in ["AAAA", "A"] {
            let question = format!("{} {kind}", target.host);
            if self.queries.insert(question.clone()) {
                let text = format!("no answer to {question} in time; continuing without it");
                self.report.add(Step::noted(Kind::Dns, &self.location, &cause::DNS_LATE, text));
            }
        }
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
