//! Our own side: what the remote finds when it looks for us.

use std::sync::Arc;

use openssl::rand;
use xmpp::{DomainPair, dialback, policy::Mechanism};

use super::{
    Probe, cause, judgement,
    report::Report,
    step::{Finding, Place, Step},
    walk::{SECRET_MADE_UP, Walk},
};
use actors::{dial::attempt::Purpose, settings::Identity};
use net::certificate::{self, Flaw};

/// Looks at our certificate, then goes to our own listener the way that the remote would, and asks there about a key: the
/// second and third leg of dialback.
pub(crate) async fn look(probe: &mut Probe, report: &mut Report) {
    let place = Place { own: true, ..Place::default() };
    let fingerprint = look_at_certificate(probe, report, &place);
    let DomainPair { local, remote } = probe.pair.clone();
    let policy = &probe.means.terms.remote(&remote).policy;
    if policy.allows(Mechanism::Dialback) && !policy.secret.is_shared() {
        report.untested(SECRET_MADE_UP);
    }

    let id = stream_id();
    let key = dialback::key(&policy.secret, &remote, &local, &id);
    let pair = DomainPair { local: remote, remote: local };
    let request = dialback::Request { pair: pair.clone(), id, key };
    let mut attempt = probe.attempt(pair, Purpose::Verify(request));
    // That the way leads to our own listener is what we want to see; and it has to lead there by the DNS.
    attempt.bound.clear();
    let socket = probe.settings.listen.control.as_ref().map(|control| control.path.clone());
    attempt.watch = Some(Arc::new(probe.spectator.announcing(socket)));
    attempt.remote.address = None;
    attempt.remote.policy.auth = vec![Mechanism::External, Mechanism::Dialback];
    attempt.remote.policy.strict_certificates = false;
    let demanding = policy.strict_certificates || !policy.allows(Mechanism::Dialback);
    let mut walk = Walk::new(report, &mut probe.events, &probe.dns, attempt, true);
    walk.demanding = demanding;
    walk.expected = fingerprint;
    walk.listeners.clone_from(&probe.means.bound);
    walk.go().await;
    report.untested(format!(
        "Whether a firewall lets {} in: this machine has only called itself.",
        probe.pair.remote
    ));
}

/// Tells what others will make of our certificate as it lies on the disk; gives its fingerprint.
fn look_at_certificate(probe: &Probe, report: &mut Report, place: &Place) -> Option<String> {
    let local = &probe.pair.local;
    let Some(identity) = probe.identity() else {
        report.tell(Step::odd(
            "certificate",
            place,
            &cause::OWN_MISSING,
            format!("{local} has no certificate"),
        ));
        return None;
    };
    let judged = match certificate::preview(identity, &probe.settings.trust) {
        Ok(judged) => judged,
        Err(errors) => {
            report.tell(Step::failed("certificate", place, &cause::OWN_BAD, errors.to_string()));
            return None;
        }
    };
    let policy = &probe.means.terms.remote(&probe.pair.remote).policy;
    let mut step = judgement::own_file(&judged, local, policy, place);
    if step.finding.is_none() {
        step.finding = expires_soon(identity, probe);
    }
    report.tell(step);
    if identity.chain.first().is_some_and(|leaf| certificate::begins_soon(leaf)) {
        let happened = format!("our own certificate begins within hours, on {}", day(identity));
        report.tell(Step::failed("clock", place, &cause::CLOCK_SKEW, happened));
    }
    Some(judged.fingerprint)
}

fn expires_soon(identity: &Identity, probe: &Probe) -> Option<Finding> {
    let flaws = certificate::flaws(identity, &probe.pair.local);
    flaws.into_iter().find(|flaw| matches!(flaw, Flaw::ExpiresSoon { .. })).map(|flaw| Finding {
        cause: &cause::OWN_EXPIRES_SOON,
        happened: format!("certificate of {} {flaw}", probe.pair.local),
        grave: false,
        own: true,
    })
}

fn day(identity: &Identity) -> String {
    identity.chain.first().map(|leaf| leaf.not_before().to_string()).unwrap_or_default()
}

/// An id such as a remote would give to a stream.
fn stream_id() -> String {
    let mut bytes = [0; 16];
    // Without randomness the question is no worse.
    let _ = rand::rand_bytes(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
