//! The certificate of the peer: when it expires, and whether it is valid for the domain that the peer claims.

use std::time::SystemTime;

use xmpp::{
    Domain,
    certificate::Problem,
    policy::Refusal,
    stream::{End, Error},
};

use super::{Incoming, LOG, name};
use crate::{
    flow::batch::ReadPermit,
    observe::{fingerprints, metrics::Count},
};
use net::tls;
use status::{
    display,
    event::{Event, EventKind},
    report::{Direction, Verdict},
};

/// The certificate of the peer.
#[derive(Default)]
pub(super) struct PeerCertificate {
    pub(super) expires: Option<SystemTime>,
    /// The certificates of the peer, to verify them again under a new configuration.
    pub(super) peer_chain: Option<tls::PeerChain>,
    /// Whether it is valid for the domain that the peer claims; `None` before the peer claims one over TLS.
    pub(super) verdict: Option<Result<(), Problem>>,
}

impl PeerCertificate {
    /// The certificate of a TLS session, whose chain moves here.
    pub(super) fn of(session: &mut tls::Session) -> Self {
        Self { expires: session.expires, peer_chain: session.peer_chain.take(), verdict: None }
    }
}

impl Incoming {
    /// TLS is up.
    pub(super) fn secured(&mut self, mut session: tls::Session, context: &mut actix::Context<Self>) {
        self.environment.tls.update(&mut session);
        let verdict = self.certificate.verdict.take();
        self.certificate = PeerCertificate { verdict, ..PeerCertificate::of(&mut session) };
        if self.environment.log_limits.secured.count_line() {
            let claimed = self.machine.status().claimed;
            let certificate = match (&session.certificate, claimed) {
                (None, _) => "none shown".to_owned(),
                (Some(_), None) => "shown".to_owned(),
                (Some(certificate), Some(remote)) => display::certificate(
                    &certificate.proves(remote, self.environment.policies.remote(remote).policy.trust),
                ),
            };
            log::info!(
                target: LOG, address:% = self.connection.address, from:% = name(claimed),
                to:% = name(self.to.as_ref()),
                protocol = session.protocol.as_str(), cipher = session.cipher.as_str(),
                sni = session.sni.as_deref().unwrap_or("-"), certificate = certificate.as_str();
                "secured"
            );
        }
        self.environment.count_secured(&session);
        self.machine.secured(crate::dial::attempt::secured(session));
        self.drive(&ReadPermit::free(), context);
    }

    /// Keeps the verdict, and counts it once a stream.
    pub(super) fn set_verdict(&mut self, verdict: Result<(), Problem>) {
        if self.certificate.verdict.is_none() {
            let (direction, verdict) = (Direction::Incoming, Verdict::of(&verdict));
            let count = Count::CertificateVerified { direction, verdict };
            self.environment.metrics.count(count);
        }
        self.certificate.verdict = Some(verdict);
    }

    /// Verifies the certificate of a peer whose stream header was refused: the stream ends before it is open, and no
    /// other verification follows.
    pub(super) fn verify_unopened(&mut self, end: &End) {
        let status = self.machine.status();
        let (Some(remote), Some(secured)) = (status.claimed.cloned(), status.transport) else { return };
        let verdict = secured.proves(&remote, &self.environment.policies.remote(&remote).policy);
        if let (End::ByUs(Error { refusal: Some(refusal), .. }), None) = (end, &self.certificate.verdict)
            && matches!(**refusal, Refusal::Certificate(_))
        {
            self.record_refusal(&remote, refusal.explain(&remote));
        }
        self.set_verdict(verdict);
    }

    /// Has the fingerprint of the remote's certificate remembered.
    pub(super) fn record_fingerprint(&self, remote: &Domain) {
        let transport = self.machine.status().transport;
        if let Some(certificate) = transport.and_then(|secured| secured.certificate.as_ref()) {
            let (remote, fingerprint) = (remote.clone(), certificate.fingerprint.clone());
            // If the mailbox is full, the fingerprint from before stays.
            let _ = self.environment.fingerprints.tell(fingerprints::Record {
                remote,
                direction: Direction::Incoming,
                fingerprint,
            });
        }
    }

    /// Records the end of a stream that never authenticated, if the certificate explains it. A peer that left
    /// because it was not offered EXTERNAL has made no request that could be refused.
    pub(super) fn record_unauthenticated_end(&self, reason: &str) {
        if let (Some(Err(problem)), Some(remote)) = (&self.certificate.verdict, self.machine.status().claimed)
        {
            let explanation = Refusal::Certificate(problem.clone()).explain(remote);
            let event = Event::now(EventKind::Disconnected)
                .at(self.connection.address)
                .saying(format!("{reason}; not authenticated; {explanation}"));
            self.environment.recorder.note_claim(remote, event);
        }
    }
}
