//! Checks our own side: our certificate, and what the remote server finds when it connects to us.

use std::sync::Arc;

use actors::settings::Identity;
use net::certificate::{self, Flaw};
use openssl::rand;
use xmpp::{DomainPair, dialback, policy::Mechanism};

use super::{
    cause,
    certificate::own_file,
    report::Report,
    setup::Probe,
    step::{Finding, Kind, Location, Step},
    verdict::Untested,
    walk::{OwnServer, Walk},
};

/// Checks our certificate, then connects to our own listener as the remote server would, and sends a dialback
/// key to be verified: steps 2 and 3 of dialback (XEP-0220 section 2).
pub(crate) async fn run(probe: &mut Probe, report: &mut Report) {
    let location = Location { own: true, ..Location::default() };
    let fingerprint = check_certificate(probe, report, &location);
    let DomainPair { local, remote } = probe.pair.clone();
    let policy = &probe.dialer.policies.remote(&remote).policy;
    if policy.allows(Mechanism::Dialback) && !policy.secret.is_shared() {
        report.add_untested(Untested::DialbackSecret);
    }

    let id = stream_id();
    let key = dialback::key(&policy.secret, &remote, &local, &id);
    let pair = DomainPair { local: remote, remote: local };
    let request = dialback::Request { pair, id, key };
    let mut attempt = probe.verification(request);
    // A connection to our own listener is intended here, and not a loop. Its address must come from the DNS.
    attempt.dialer.bound = Arc::default();
    let socket = probe.settings.listen.control.as_ref().map(|control| control.path.clone());
    attempt.observer = Some(Arc::new(probe.sender.announcing(socket)));
    let remote = Arc::make_mut(&mut attempt.remote);
    remote.address = None;
    remote.policy.auth = vec![Mechanism::External, Mechanism::Dialback];
    remote.policy.strict_certificates = false;
    let own = OwnServer {
        listeners: probe.dialer.bound.to_vec(),
        fingerprint,
        requires_certificate: policy.strict_certificates || !policy.allows(Mechanism::Dialback),
    };
    Walk::to_own(report, &mut probe.events, &probe.dns, attempt, own).await;
    report.add_untested(Untested::Firewall);
}

/// Adds the steps about the file with our certificate. Returns the fingerprint of the certificate.
fn check_certificate(probe: &Probe, report: &mut Report, location: &Location) -> Option<String> {
    let local = &probe.pair.local;
    let Some(identity) = probe.identity() else {
        let text = format!("{local} has no certificate");
        report.add(Step::noted(Kind::Certificate, location, &cause::OWN_MISSING, text));
        return None;
    };
    let certificate = match certificate::preview(identity, &probe.settings.trust) {
        Ok(certificate) => certificate,
        Err(errors) => {
            report.add(Step::failed(Kind::Certificate, location, &cause::OWN_BAD, errors.to_string()));
            return None;
        }
    };
    let policy = &probe.dialer.policies.remote(&probe.pair.remote).policy;
    let mut step = own_file(&certificate, local, policy, location);
    if step.finding.is_none() {
        step.finding = expires_soon(identity, probe);
    }
    report.add(step);
    if identity.chain.first().is_some_and(|leaf| certificate::begins_soon(leaf)) {
        let text = format!("our own certificate becomes valid within hours, on {}", not_before(identity));
        report.add(Step::failed(Kind::Clock, location, &cause::CLOCK_SKEW, text));
    }
    Some(certificate.fingerprint)
}

fn expires_soon(identity: &Identity, probe: &Probe) -> Option<Finding> {
    let flaws = certificate::flaws(identity, &probe.pair.local);
    flaws.into_iter().find(|flaw| matches!(flaw, Flaw::ExpiresSoon { .. })).map(|flaw| Finding {
        cause: &cause::OWN_EXPIRES_SOON,
        text: format!("certificate of {} {flaw}", probe.pair.local),
        fatal: false,
        own: true,
    })
}

fn not_before(identity: &Identity) -> String {
    identity.chain.first().map(|leaf| leaf.not_before().to_string()).unwrap_or_default()
}

/// A stream id in the form of a remote server.
fn stream_id() -> String {
    let mut bytes = [0; 16];
    // The key is verified for any id, so a failure does not matter.
    let _ = rand::rand_bytes(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
