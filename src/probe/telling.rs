//! What is seen on the way, put into steps.

use std::fmt::Write as _;

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
    cause, judgement, names,
    sight::{Event, Shown},
    step::{Finding, Step},
    walk::Walk,
};
use actors::dial::failure::Failure;
use net::dns::Asked;

impl Walk<'_> {
    /// Tells what was seen.
    pub(super) fn show(&mut self, event: Event) {
        match event {
            Event::Asked(asked) => self.tell_asked(&asked),
            Event::Secured(shown) => self.tell_secured(*shown),
            Event::Received(bytes) => self.sight.hear(&bytes),
            Event::Noted(Note::Greeted(header)) => self.tell_greeting(header),
            Event::Noted(Note::Offered(features)) => self.tell_features(features),
            Event::Noted(Note::Tried(mechanism)) => self.tell_tried(mechanism),
            Event::Noted(Note::ExternalRefused(failure)) => self.sight.external_refused = Some(failure),
        }
    }

    fn tell_asked(&mut self, asked: &Asked) {
        if !self.asked.insert(asked.question.to_string()) {
            return;
        }
        self.report.tell(names::asked(asked, &self.place));
        if let Some((about, step)) = names::odd(asked, &self.place, self.from_srv) {
            self.report.tell_once(&about, step);
        }
    }

    fn tell_secured(&mut self, shown: Shown) {
        let session = &shown.session;
        let alpn = session.alpn.as_deref();
        let words = format!(
            "{}, {}{}",
            session.protocol,
            session.cipher,
            alpn.map_or_else(String::new, |alpn| format!(", ALPN {alpn}"))
        );
        let step = Step::good("tls", &self.place, words)
            .fact("protocol", session.protocol.as_str())
            .fact("cipher", session.cipher.as_str())
            .fact("alpn", alpn);
        self.report.tell(step);
        let (remote, policy) = (&self.attempt.pair.remote, &self.attempt.remote.policy);
        let step = judgement::step(&shown, remote, policy, &self.place);
        self.sight.condemned = step.finding.as_ref().is_some_and(|finding| finding.grave);
        self.report.tell(step);
        let fingerprint = shown.session.certificate.as_ref().map(|shown| shown.fingerprint.clone());
        if self.place.own && fingerprint.is_some() && self.expected.is_some() && fingerprint != self.expected
        {
            let happened = "the listener shows another certificate than the one in the configuration";
            self.report.tell(Step::odd("certificate", &self.place, &cause::OWN_NOT_LOADED, happened));
        }
        self.sight.shown = Some(shown);
    }

    fn tell_greeting(&mut self, header: Header) {
        let remote = &self.attempt.pair.remote;
        let from = header.from.as_ref().map_or_else(|| "nobody".to_owned(), ToString::to_string);
        let version = match header.version {
            Some((major, minor)) => format!("version {major}.{minor}"),
            None => "no version, so from before XMPP 1.0".to_owned(),
        };
        let mut step = Step::good("stream", &self.place, format!("header from {from}, {version}"))
            .fact("from", header.from.as_ref().map(|from| from.as_str()))
            .fact("id", header.id.as_deref());
        if header.from.as_ref().is_some_and(|from| from != remote) {
            let happened = format!("the server answers as {from}, not as {remote}");
            let cause = if self.place.own { &cause::OWN_IS_ANOTHER } else { &cause::WRONG_FROM };
            step = step.finding(Some(Finding { cause, happened, grave: false, own: self.place.own }));
        }
        self.report.tell(step);
        self.sight.greeting = Some(header);
    }

    fn tell_features(&mut self, features: Features) {
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
        if let Some(bytes) = features.limits.max_bytes {
            offers.push(format!("at most {bytes} bytes a stanza"));
        }
        if let Some(seconds) = features.limits.idle_seconds {
            offers.push(format!("closes after {seconds} s of silence"));
        }
        if let Some(name) = &features.unknown {
            offers.push(format!("{name} (required, and not known here)"));
        }
        let words = if offers.is_empty() { "offers nothing".to_owned() } else { offers.join(", ") };
        let finding = self.lacks_external(&features).then(|| Finding {
            cause: &cause::EXTERNAL_NOT_OFFERED,
            happened: format!(
                "{} does not offer to take our certificate (EXTERNAL)",
                self.attempt.pair.remote
            ),
            grave: false,
            own: false,
        });
        let step = Step::good("features", &self.place, words)
            .fact("starttls", features.starttls.is_some())
            .fact("external", features.external)
            .fact("dialback", features.dialback)
            .finding(finding);
        self.report.tell(step);
        if self.sight.tried.is_empty() {
            self.sight.offered = Some(features);
        }
    }

    /// Whether a remote over TLS could take our certificate and does not want to.
    fn lacks_external(&self, features: &Features) -> bool {
        let policy = &self.attempt.remote.policy;
        let remote_is_proved = self.sight.shown.as_ref().is_some_and(|shown| {
            let certificate = shown.session.certificate.as_ref();
            certificate.is_some_and(|shown| shown.proves(&self.attempt.pair.remote, policy.trust).is_ok())
        });
        // Where nothing but EXTERNAL is allowed the end says it.
        let has_other = policy.allows(Mechanism::Dialback);
        let wanted = policy.allows(Mechanism::External) && self.attempt.certificate && has_other;
        !self.place.own && !features.external && wanted && remote_is_proved && self.sight.tried.is_empty()
    }

    fn tell_tried(&mut self, mechanism: Mechanism) {
        self.sight.tried.push(mechanism);
        let (local, remote) = (&self.attempt.pair.local, &self.attempt.pair.remote);
        if let Some(failure) = self.sight.external_refused.take() {
            let happened =
                format!("{remote} refused our certificate ({failure}); the node goes on with dialback");
            self.report.tell(Step::odd("external", &self.place, &cause::EXTERNAL_REFUSED, happened));
        }
        let (name, words) = match mechanism {
            Mechanism::External => ("external", format!("we present the certificate of {local}")),
            Mechanism::Dialback => ("dialback", format!("1 of 4: we show {remote} a key for this stream")),
        };
        self.report.tell(Step::good(name, &self.place, words));
    }

    /// Whether it is our own server that ended the stream, since it wants a certificate that only the remote has. That
    /// it is ours its own certificate says.
    pub(super) fn wants_certificate(&self, failure: &Failure) -> bool {
        let Failure::Stream { failure, .. } = failure else { return false };
        let initiating::Cause::Stream(error) = &failure.cause else { return false };
        let shown = self.sight.shown.as_ref().and_then(|shown| shown.session.certificate.as_ref());
        let is_ours = shown.is_some_and(|shown| Some(&shown.fingerprint) == self.expected.as_ref());
        self.demanding && is_ours && error.condition == Condition::PolicyViolation
    }

    /// Tells that our own server goes no further without the remote's certificate.
    pub(super) fn tell_unshown(&mut self) {
        // On this way the pair is turned around.
        let DomainPair { local: remote, remote: local } = &self.attempt.pair;
        let words = format!("answers for {local} and wants the certificate of {remote}, as it is configured");
        self.report.tell(Step::good("stream", &self.place, words));
        self.report.untested(format!(
            "2 and 3 of dialback at our own listener: it answers nobody who does not show the certificate of {remote}."
        ));
    }

    /// Tells what our own server says of a key of ours.
    pub(super) fn tell_answer(&mut self, answer: Answer) {
        let asked = "dialback check at our own address";
        self.report.tell(match answer {
            Answer::Valid => {
                Step::good("dialback", &self.place, format!("{asked}: the node confirms our key"))
            }
            Answer::Invalid if !self.attempt.remote.policy.secret.is_shared() => {
                let happened =
                    format!("{asked}: the node answers; it cannot confirm the probe's key (expected)");
                Step::odd("dialback", &self.place, &cause::DIALBACK_UNTESTABLE, happened)
            }
            Answer::Invalid => {
                let happened = format!("{asked}: the node answers that our key is wrong");
                Step::failed("dialback", &self.place, &cause::OWN_SECRET_DIFFERS, happened)
            }
            Answer::Error(error) => {
                let happened = format!("{asked}: the node cannot check the key ({error})");
                Step::failed("dialback", &self.place, &cause::OWN_IS_ANOTHER, happened)
            }
        });
    }

    /// Tells that the remote took us.
    pub(super) fn tell_authenticated(&mut self, mechanism: Mechanism) {
        let (local, remote) = (&self.attempt.pair.local, &self.attempt.pair.remote);
        let (name, mut words) = match mechanism {
            Mechanism::External => ("external", format!("{remote} accepted: stanzas can be sent")),
            Mechanism::Dialback => ("dialback", String::new()),
        };
        if mechanism == Mechanism::Dialback {
            let _ = write!(
                words,
                "2 of 4: {remote} asks the server of {local} that it finds in the DNS (not seen from here)\n\
                 3 of 4: that server says that the key is right (not seen from here)\n\
                 4 of 4: {remote} confirms it: stanzas can be sent"
            );
        }
        self.report.tell(Step::good(name, &self.place, words).fact("authenticated", true));
    }
}
