//! Turns observed events into steps of the report.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use xmpp::{
    DomainPair,
    dialback::Answer,
    policy::Mechanism,
    stream::{
        Condition, Header,
        features::{Features, Necessity},
        initiating::{self, Note},
    },
};

use super::{
    cause, certificate, dns,
    observed::{Event, Observed, Presented},
    step::{Finding, Kind, Step},
    verdict::Untested,
    walk::Walk,
};
use actors::attempt::{AttemptError, Goal};
use net::{
    address,
    dns::{Exchange, Target},
};

impl<G: Goal> Walk<'_, G> {
    /// Adds the steps of an event.
    pub(super) fn add_event(&mut self, event: Event) {
        match event {
            Event::Asked(asked) => self.add_query(&asked),
            Event::Entered(target) => self.enter(target),
            Event::Located(addresses) => {
                self.has_ipv4 = addresses.iter().any(SocketAddr::is_ipv4);
                self.add_late_answers();
            }
            Event::Visiting(address) => {
                self.location.address = Some(address);
                self.observed = Observed::default();
            }
            Event::Connected(took) => self.add_connected(took),
            Event::Secured(presented) => self.add_tls(*presented),
            Event::Received(bytes) => self.observed.receive(&bytes),
            Event::Noted(Note::Greeted(header)) => self.add_header(header),
            Event::Noted(Note::Offered(features)) => self.add_features(features),
            Event::Noted(Note::Tried(mechanism)) => self.add_tried(mechanism),
            Event::Noted(Note::ExternalRefused(failure)) => self.observed.external_refused = Some(failure),
        }
    }

    fn add_query(&mut self, asked: &Exchange) {
        if !self.queries.insert(asked.question.to_string()) {
            return;
        }
        self.report.add(dns::query(asked, &self.location));
        let from_srv = self.target.as_ref().is_some_and(|target| target.from_srv);
        if let Some((name, step)) = dns::alias(asked, &self.location, from_srv) {
            self.report.add_once(&name, step);
        }
    }

    fn enter(&mut self, target: Target) {
        self.location.target = Some(target.to_string());
        self.location.direct_tls = target.direct_tls;
        self.location.address = None;
        self.ipv4_works = false;
        self.target = Some(target);
    }

    /// Adds a note for each address query of the target that was not answered in time.
    fn add_late_answers(&mut self) {
        let Some(host) = self.target.as_ref().map(|target| target.host.clone()) else { return };
        if host.parse::<IpAddr>().is_ok() {
            return;
        }
        for kind in ["AAAA", "A"] {
            let question = format!("{host} {kind}");
            if self.queries.insert(question.clone()) {
                let text = format!("no answer to {question} in time; continuing without it");
                self.report.add(Step::noted(Kind::Dns, &self.location, &cause::DNS_LATE, text));
            }
        }
    }

    fn add_connected(&mut self, took: Duration) {
        let Some(address) = self.location.address else { return };
        self.ipv4_works |= address.is_ipv4();
        let took = took.as_millis();
        let listener = match (self.location.own, address::is_own(address, &self.own.listeners)) {
            (false, _) => "",
            (true, true) => " to a listener of this configuration",
            (true, false) => {
                " to a server outside of this configuration: another machine, or a router in front"
            }
        };
        let step = Step::ok(Kind::Tcp, &self.location, &format!("connected in {took} ms{listener}"));
        self.report.add(step.fact("took_ms", u64::try_from(took).unwrap_or(u64::MAX)));
    }

    fn add_tls(&mut self, presented: Presented) {
        let session = &presented.session;
        let alpn = session.alpn.as_deref();
        let text = format!(
            "{}, {}{}",
            session.protocol,
            session.cipher,
            alpn.map_or_else(String::new, |alpn| format!(", ALPN {alpn}"))
        );
        let step = Step::ok(Kind::Tls, &self.location, &text)
            .fact("protocol", session.protocol.as_str())
            .fact("cipher", session.cipher.as_str())
            .fact("alpn", alpn);
        self.report.add(step);
        let (remote, policy) = (&self.attempt.pair.remote, &self.attempt.remote.policy);
        let step = certificate::presented(&presented, remote, policy, &self.location);
        self.observed.certificate_reported = step.finding.as_ref().is_some_and(|finding| finding.fatal);
        self.report.add(step);
        let fingerprint = presented.session.certificate.as_ref().map(|presented| &presented.fingerprint);
        let expected = self.own.fingerprint.as_ref();
        if self.location.own && fingerprint.is_some() && expected.is_some() && fingerprint != expected {
            let text = "the listener presents a certificate that is not the one in the configuration";
            self.report.add(Step::noted(Kind::Certificate, &self.location, &cause::OWN_NOT_LOADED, text));
        }
        self.observed.presented = Some(presented);
    }

    fn add_header(&mut self, header: Header) {
        let remote = &self.attempt.pair.remote;
        let from =
            header.from.as_ref().map_or_else(|| "without domain".to_owned(), |from| format!("from {from}"));
        let version = match header.version {
            Some((major, minor)) => format!("version {major}.{minor}"),
            None => "no version (older than XMPP 1.0)".to_owned(),
        };
        let other = header.from.as_ref().filter(|from| *from != remote).map(|from| Finding {
            cause: if self.location.own { &cause::OWN_IS_ANOTHER } else { &cause::WRONG_FROM },
            text: format!("the server answers as {from}, not as {remote}"),
            fatal: false,
            own: self.location.own,
        });
        let step = Step::ok(Kind::Stream, &self.location, &format!("header {from}, {version}"))
            .fact("from", header.from.as_ref().map(|from| from.as_str()))
            .fact("id", header.id.as_deref())
            .with_finding(other);
        self.report.add(step);
        self.observed.header = Some(header);
    }

    fn add_features(&mut self, features: Features) {
        let mut offers = Vec::new();
        match features.starttls {
            Some(Necessity::Required) => offers.push("STARTTLS (required)".to_owned()),
            Some(Necessity::Voluntary) => offers.push("STARTTLS".to_owned()),
            None => {}
        }
        if features.external {
            offers.push("EXTERNAL".to_owned());
        }
        if features.dialback {
            offers.push("dialback".to_owned());
        }
        if features.acks {
            offers.push("acks".to_owned());
        }
        if let Some(bytes) = features.limits.max_bytes {
            offers.push(format!("at most {bytes} bytes per stanza"));
        }
        if let Some(seconds) = features.limits.idle_seconds {
            offers.push(format!("idle timeout {seconds} s"));
        }
        if let Some(name) = &features.unknown {
            offers.push(format!("{name} (required, and unknown to this node)"));
        }
        let text = if offers.is_empty() { "none".to_owned() } else { offers.join(", ") };
        let finding = self.lacks_external(&features).then(|| Finding {
            cause: &cause::EXTERNAL_NOT_OFFERED,
            text: format!("{} does not offer SASL EXTERNAL for our certificate", self.attempt.pair.remote),
            fatal: false,
            own: false,
        });
        let step = Step::ok(Kind::Features, &self.location, &text)
            .fact("starttls", features.starttls.is_some())
            .fact("external", features.external)
            .fact("dialback", features.dialback)
            .fact("acks_offered", features.acks)
            .with_finding(finding);
        self.report.add(step);
        if self.observed.tried.is_empty() {
            self.observed.offered = Some(features);
        }
    }

    /// Whether a remote server with a valid certificate does not offer EXTERNAL, and dialback has to be used
    /// instead.
    fn lacks_external(&self, features: &Features) -> bool {
        let policy = &self.attempt.remote.policy;
        let is_proved = self.observed.presented.as_ref().is_some_and(|presented| {
            let certificate = presented.session.certificate.as_ref();
            certificate.is_some_and(|own| own.proves(&self.attempt.pair.remote, policy.trust).is_ok())
        });
        // Without dialback the attempt fails, and the failure is reported.
        let has_other = policy.allows(Mechanism::Dialback);
        let wanted = policy.allows(Mechanism::External) && self.attempt.certificate && has_other;
        !self.location.own && !features.external && wanted && is_proved && self.observed.tried.is_empty()
    }

    fn add_tried(&mut self, mechanism: Mechanism) {
        self.observed.tried.push(mechanism);
        let (local, remote) = (&self.attempt.pair.local, &self.attempt.pair.remote);
        if let Some(failure) = self.observed.external_refused.take() {
            let text = format!("{remote} refused our certificate ({failure}); trying dialback");
            self.report.add(Step::noted(Kind::External, &self.location, &cause::EXTERNAL_REFUSED, text));
        }
        let (kind, text) = match mechanism {
            Mechanism::External => (Kind::External, format!("presenting the certificate of {local}")),
            Mechanism::Dialback => (Kind::Dialback, format!("1 of 4: sent {remote} a key for this stream")),
        };
        self.report.add(Step::ok(kind, &self.location, &text));
    }

    /// Whether our own server, which its certificate identifies, closed the stream because it requires the
    /// certificate of the remote server.
    pub(super) fn requires_certificate(&self, failure: &AttemptError) -> bool {
        let AttemptError::Stream { failure, .. } = failure else { return false };
        let initiating::Cause::Stream(error) = &failure.cause else { return false };
        let presented = self.observed.presented.as_ref();
        let certificate = presented.and_then(|presented| presented.session.certificate.as_ref());
        let is_ours = certificate
            .is_some_and(|certificate| Some(&certificate.fingerprint) == self.own.fingerprint.as_ref());
        self.own.requires_certificate && is_ours && error.condition == Condition::PolicyViolation
    }

    /// Adds the step in which our own server refuses a connection without the certificate of the remote
    /// server.
    pub(super) fn add_certificate_required(&mut self) {
        // On a connection to our own server, we act as the remote server.
        let DomainPair { local: remote, remote: local } = &self.attempt.pair;
        let text = format!("serves {local} and requires the certificate of {remote}, as configured");
        self.report.add(Step::ok(Kind::Stream, &self.location, &text));
        self.report.add_untested(Untested::OwnDialback);
    }

    /// Adds the answer of our own server to a dialback key.
    pub(super) fn add_answer(&mut self, answer: Answer) {
        let query = "dialback query to our own address";
        self.report.add(match answer {
            Answer::Valid => {
                let text = format!("{query}: the node confirmed our key");
                Step::ok(Kind::Dialback, &self.location, &text)
            }
            Answer::Invalid if !self.attempt.remote.policy.secret.is_shared() => {
                let text =
                    format!("{query}: the node answered, but cannot confirm the key of the probe (expected)");
                Step::noted(Kind::Dialback, &self.location, &cause::DIALBACK_UNTESTABLE, text)
            }
            Answer::Invalid => {
                let text = format!("{query}: the node answered that our key is invalid");
                Step::failed(Kind::Dialback, &self.location, &cause::OWN_SECRET_DIFFERS, text)
            }
            Answer::Error(error) => {
                let text = format!("{query}: the node cannot verify the key ({error})");
                Step::failed(Kind::Dialback, &self.location, &cause::OWN_IS_ANOTHER, text)
            }
        });
    }

    /// Adds the step in which the remote server authenticated us.
    pub(super) fn add_authenticated(&mut self, mechanism: Mechanism) {
        let (local, remote) = (&self.attempt.pair.local, &self.attempt.pair.remote);
        let (kind, text) = match mechanism {
            Mechanism::External => {
                (Kind::External, format!("{remote} authenticated us: stanzas can be sent"))
            }
            Mechanism::Dialback => (
                Kind::Dialback,
                format!(
                    "2 of 4: {remote} asks the server of {local} that it finds in the DNS (not visible here)\n\
                     3 of 4: that server confirms the key (not visible here)\n\
                     4 of 4: {remote} authenticated us: stanzas can be sent"
                ),
            ),
        };
        self.report.add(Step::ok(kind, &self.location, &text).fact("authenticated", true));
    }
}
