//! The way to a domain, gone by the node's own [`Attempt`]. A node stops at the first target that works; the probe goes
//! on and shows all of them.

use std::{
    collections::{HashSet, VecDeque},
    fmt::Write as _,
    net::SocketAddr,
    pin::pin,
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::mpsc,
};
use xmpp::{policy::Mechanism, stream::initiating::open::Output};

use super::{
    cause::{self, Cause},
    diagnosis::{self, Circumstances},
    names,
    report::{Report, Way},
    sight::{Event, Sight},
    step::{Place, Step},
};
use actors::dial::{
    attempt::{self, Arrival, Attempt, Session},
    failure::Failure,
};
use net::{
    dns::{self, Dns, Target},
    happy_eyeballs,
};

/// A walk under way.
pub(crate) struct Walk<'a> {
    /// Who reads of it.
    pub(super) report: &'a mut Report,
    /// What is seen on it.
    pub(super) events: &'a mut mpsc::Receiver<Event>,
    /// For a second look.
    pub(super) dns: &'a Dns,
    /// The node's way.
    pub(super) attempt: Attempt,
    /// Where it is now.
    pub(super) place: Place,
    /// Whether that target stands in an SRV record.
    pub(super) from_srv: bool,
    /// What was seen of the connection.
    pub(super) sight: Sight,
    /// Questions that were told already; the second time they come from the cache.
    pub(super) asked: HashSet<String>,
    /// On the way to ourselves: our listeners, the fingerprint of our certificate, and whether nobody is listened to
    /// there without one.
    pub(super) listeners: Vec<SocketAddr>,
    pub(super) expected: Option<String>,
    pub(super) demanding: bool,
}

impl<'a> Walk<'a> {
    /// One at its beginning.
    pub(crate) fn new(
        report: &'a mut Report,
        events: &'a mut mpsc::Receiver<Event>,
        dns: &'a Dns,
        attempt: Attempt,
        own: bool,
    ) -> Self {
        Self {
            report,
            events,
            dns,
            attempt,
            place: Place { own, ..Place::default() },
            from_srv: false,
            sight: Sight::default(),
            asked: HashSet::new(),
            listeners: Vec::new(),
            expected: None,
            demanding: false,
        }
    }

    /// Goes to every address of every target.
    pub(crate) async fn go(mut self) {
        let attempt = self.attempt.clone();
        let targets = match self.observe(attempt.targets()).await {
            Ok(targets) => targets,
            Err(failure) => {
                self.fail(&failure).await;
                return;
            }
        };
        self.report.tell(names::order(&targets, attempt.remote.address.is_some(), &self.place));
        for target in targets.iter().filter(|target| target.from_srv) {
            if let Some(step) = names::odd_target(target, &self.place) {
                self.report.tell_once(&target.host, step);
            }
        }
        let (mut redirects, mut targets) = (0, VecDeque::from(targets));
        while let Some(target) = targets.pop_front() {
            self.from_srv = target.from_srv;
            self.place.target = Some(target.to_string());
            self.place.direct_tls = target.direct_tls;
            self.place.address = None;
            if let Some(other) = self.go_to(&target).await.filter(|_| redirects < attempt::REDIRECTS) {
                redirects += 1;
                targets.push_front(other);
            }
        }
    }

    /// Goes to every address of a target; gives another target if it sends us there.
    async fn go_to(&mut self, target: &Target) -> Option<Target> {
        let attempt = self.attempt.clone();
        let addresses = match self.observe(attempt.locate(target)).await {
            Ok(addresses) => addresses,
            Err(failure) => {
                self.fail(&failure).await;
                return None;
            }
        };
        self.miss_late_answers(target);
        let has_ipv4 = addresses.iter().any(SocketAddr::is_ipv4);
        let (mut elsewhere, mut ipv4_works, mut ipv6_fails) = (None, false, Vec::new());
        for address in &addresses {
            self.place.address = Some(*address);
            self.sight = Sight::default();
            let socket = match self.connect(*address).await {
                Ok(socket) => socket,
                // What that means is seen when all have been tried.
                Err(Failure::Connect(failures)) if address.is_ipv6() && has_ipv4 && !self.place.own => {
                    ipv6_fails.push((*address, failures));
                    continue;
                }
                Err(failure) => {
                    self.fail(&failure).await;
                    continue;
                }
            };
            ipv4_works |= address.is_ipv4();
            // Each place for itself: what was seen of TLS at another does not count.
            let attempt = self.attempt.clone();
            let arrival = self.observe(attempt.negotiate(socket, *address, target.direct_tls)).await;
            match arrival {
                Ok(Arrival::Session(session)) => self.arrive(*session, target).await,
                Ok(Arrival::Verified(answer)) => self.tell_answer(answer),
                Err(failure) => match attempt::elsewhere(&failure, target) {
                    Some(other) => {
                        let words = format!("{}: the node follows", failure.sentence(&attempt.pair.remote));
                        self.report.tell(Step::good("redirect", &self.place, words));
                        elsewhere = Some(other);
                    }
                    None if self.wants_certificate(&failure) => self.tell_unshown(),
                    None => self.fail(&failure).await,
                },
            }
        }
        for (address, failures) in ipv6_fails {
            self.place.address = Some(address);
            self.sight = Sight::default();
            self.fail_over_ipv6(failures, ipv4_works).await;
        }
        elsewhere
    }

    /// Tells how an IPv6 address failed that has IPv4 ones beside it.
    async fn fail_over_ipv6(
        &mut self,
        failures: Vec<(SocketAddr, happy_eyeballs::Failure)>,
        ipv4_works: bool,
    ) {
        let happened = failures.first().map(|(address, failure)| failure.at(*address)).unwrap_or_default();
        let failure = Failure::Connect(failures);
        match self.diagnose(&failure).1 {
            cause if cause == &cause::NO_IPV6_HERE => {
                self.report.tell(Step::odd("tcp", &self.place, cause, happened));
            }
            _ if ipv4_works => {
                self.report.tell(Step::odd("tcp", &self.place, &cause::DEAD_IPV6, happened));
            }
            _ => self.fail(&failure).await,
        }
    }

    async fn connect(&mut self, address: SocketAddr) -> Result<TcpStream, Failure> {
        if happy_eyeballs::is_own(address, &self.attempt.bound) {
            return Err(Failure::Loop(address));
        }
        let began = clock::now();
        let connected = happy_eyeballs::connect(&[address], self.attempt.remote.connect_timeout).await;
        let socket = connected.map_err(Failure::Connect)?;
        let took = clock::since(began).as_millis();
        let whose = match (self.place.own, happy_eyeballs::is_own(address, &self.listeners)) {
            (false, _) => "",
            (true, true) => " to a listener of this configuration",
            (true, false) => {
                "; not a listener of this configuration: another machine, or a router in front of it"
            }
        };
        let step = Step::good("tcp", &self.place, format!("connected in {took} ms{whose}"));
        self.report.tell(step.fact("took_ms", u64::try_from(took).unwrap_or(u64::MAX)));
        Ok(socket)
    }

    /// Ends a stream that came about, and tries dialback by itself where a certificate has worked.
    async fn arrive(&mut self, session: Session, target: &Target) {
        let mechanism = session.machine.mechanism();
        let address = session.address;
        part(session).await;
        self.tell_authenticated(mechanism);
        if self.place.dialback_alone {
            return;
        }
        let first = !self.report.is_good();
        self.report.works(Way { at: format!("{target} ({address})"), mechanism });
        let policy = &self.attempt.remote.policy;
        if mechanism == Mechanism::External && first {
            if !policy.allows(Mechanism::Dialback) {
                self.report.untested("Dialback: s2s.auth does not have it.");
            } else if !policy.secret.is_shared() {
                self.report.untested(SECRET_MADE_UP);
            } else if !self.sight.offered.as_ref().is_some_and(|offered| offered.dialback) {
                self.report.untested(format!("Dialback: {} does not offer it.", self.attempt.pair.remote));
            } else {
                self.dial_back_alone(target, address).await;
            }
        }
    }

    /// Goes the same way with dialback as the only means.
    async fn dial_back_alone(&mut self, target: &Target, address: SocketAddr) {
        let mut attempt = self.attempt.clone();
        attempt.remote.policy.auth = vec![Mechanism::Dialback];
        self.place.dialback_alone = true;
        self.sight = Sight::default();
        match happy_eyeballs::connect(&[address], attempt.remote.connect_timeout).await {
            Ok(socket) => match self.observe(attempt.negotiate(socket, address, target.direct_tls)).await {
                Ok(Arrival::Session(session)) => {
                    part(*session).await;
                    self.tell_authenticated(Mechanism::Dialback);
                }
                Ok(Arrival::Verified(_)) => {}
                Err(failure) => self.fail(&failure).await,
            },
            Err(failures) => self.fail(&Failure::Connect(failures)).await,
        }
        self.place.dialback_alone = false;
    }

    /// Lets work go on, and tells what is seen meanwhile.
    async fn observe<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                Some(event) = self.events.recv() => self.show(event),
                outcome = &mut work => {
                    while let Ok(event) = self.events.try_recv() {
                        self.show(event);
                    }
                    return outcome;
                }
            }
        }
    }

    /// Tells how the way ended here.
    async fn fail(&mut self, failure: &Failure) {
        let (name, mut cause) = self.diagnose(failure);
        let mut happened = failure.sentence(&self.attempt.pair.remote);
        if cause == &cause::SILENT
            && let Some(answer) = self.ask_as_browser().await
        {
            self.sight.heard = answer;
            happened += "; asked as a web server is asked";
            cause = self.diagnose(failure).1;
        }
        if let Failure::Dns(dns::Failure::Refused { question, code: dns::Rcode::ServFail }) = failure
            && let Some(bogus) = self.dns.second_look(question).await
        {
            cause = if self.place.own { &cause::OWN_BOGUS } else { &cause::BOGUS };
            happened += &match bogus.reason {
                Some((code, words)) => {
                    format!("; they explain: error {code} of RFC 8914 {words}").trim_end().to_owned()
                }
                None => "; they answer when DNSSEC validation is switched off".to_owned(),
            };
        }
        if let Failure::Dns(dns::Failure::Silent { .. }) = failure {
            cause = match (self.dns.answers().await, self.place.own) {
                (false, _) => &cause::DNS_DEAD,
                (true, true) => &cause::OWN_DNS_FAILS,
                (true, false) => &cause::DNS_TIMEOUT,
            };
        }
        if [&cause::HTTP, &cause::NOT_XMPP].contains(&cause) {
            let said = String::from_utf8_lossy(&self.sight.heard);
            let _ = write!(happened, ", it says “{}”", said.lines().next().unwrap_or_default().trim());
        }
        // The certificate was told with all that it says.
        if name == "certificate" && self.sight.condemned {
            return;
        }
        let step = match self.place.dialback_alone {
            true => Step::odd(name, &self.place, cause, happened),
            false => Step::failed(name, &self.place, cause, happened),
        };
        let leg = if name == "dialback" { "4 of 4: " } else { "" };
        self.report.tell(step.prefix(leg).fact("definitive", failure.is_definitive()));
    }

    /// Asks a silent host in HTTP: servers of it wait for the end of a request, which no stream header has. Gives the
    /// beginning of the answer, if that is one of HTTP.
    async fn ask_as_browser(&self) -> Option<Vec<u8>> {
        let address = self.place.address.filter(|_| !self.place.direct_tls && !self.place.own)?;
        let asked = async {
            let mut socket = TcpStream::connect(address).await.ok()?;
            socket.write_all(b"HEAD / HTTP/1.0\r\n\r\n").await.ok()?;
            let mut answer = vec![0; LINE];
            let length = socket.read(&mut answer).await.ok()?;
            answer.truncate(length);
            Some(answer)
        };
        let answer = tokio::time::timeout(PATIENCE, asked).await.ok()??;
        answer.starts_with(b"HTTP/").then_some(answer)
    }

    fn diagnose(&self, failure: &Failure) -> (&'static str, &'static Cause) {
        if self.place.own {
            return diagnosis::of_own(failure);
        }
        let (policy, certificate) = (&self.attempt.remote.policy, self.attempt.certificate);
        diagnosis::of(failure, &Circumstances { sight: &self.sight, policy, certificate })
    }

    /// RecorderHandle a kind of address that was asked for and not waited for.
    fn miss_late_answers(&mut self, target: &Target) {
        if target.host.parse::<std::net::IpAddr>().is_ok() {
            return;
        }
        for kind in ["AAAA", "A"] {
            let question = format!("{} {kind}", target.host);
            if self.asked.insert(question.clone()) {
                let happened = format!("no answer in time to {question}; the node goes on without");
                self.report.tell(Step::odd("dns", &self.place, &cause::DNS_LATE, happened));
            }
        }
    }
}

/// Closes a stream as the node does, without waiting long.
async fn part(mut session: Session) {
    session.machine.close(None);
    let goodbye = async {
        while let Some(output) = session.machine.poll() {
            if let Output::Transmit(bytes) = output
                && session.stream.write_all(&bytes).await.is_err()
            {
                return;
            }
        }
        // Whatever the peer does now changes nothing.
        let _ = session.stream.shutdown().await;
    };
    let _ = tokio::time::timeout(GOODBYE, goodbye).await;
}

/// What to say of dialback with a secret that only this process knows.
pub(crate) const SECRET_MADE_UP: &str = "Dialback: s2s.dialback_secret is not set, so the running node has a secret of \
     its own and would answer `invalid` for the key of this probe. Set it (or dialback_secret_file), restart the node, probe again.";

const GOODBYE: Duration = Duration::from_secs(1);

/// How long a web server has for its first line.
const PATIENCE: Duration = Duration::from_secs(2);

/// Bytes that hold such a line.
const LINE: usize = 256;
