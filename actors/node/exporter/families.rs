//! All figures of a node, with their names, help texts and labels.

use std::time::UNIX_EPOCH;

use super::{
    cluster::cluster,
    components::components,
    exposition::{Exposition, Format, Kind},
    gather::Snapshot,
};
use crate::{
    flow::{
        account::{Outcome, Totals},
        journal::{COMMIT_BOUNDS, Shown},
    },
    observe::{
        ack_times::ACK_BOUNDS,
        metrics::{PHASE_BOUNDS, Resumption, Role},
    },
};
use mailbox::monitor::{self, WAIT_BOUNDS};
use status::report::Account;

/// Writes all figures.
pub(super) fn write(snapshot: &Snapshot, format: Format) -> String {
    let mut out = Exposition::new(format);
    out.family("nuncio_build_info", Kind::Gauge, "Always 1; the label has the version of the node.")
        .figure(&[("version", env!("CARGO_PKG_VERSION"))], 1);
    let started = snapshot.started.duration_since(UNIX_EPOCH).unwrap_or_default();
    out.family("nuncio_start_time_seconds", Kind::Gauge, "Start time of the node since 1970-01-01.")
        .figure(&[], started.as_secs_f64());
    mailboxes(&mut out, &snapshot.mailboxes);
    account(&mut out, snapshot);
    acknowledgements(&mut out, snapshot);
    if let Some(figures) = &snapshot.journal {
        journal(&mut out, figures, &snapshot.router.account);
    }
    links(&mut out, snapshot);
    if let Some(figures) = &snapshot.cluster {
        cluster(&mut out, figures, &snapshot.router.account);
    }
    out.end()
}

fn mailboxes(out: &mut Exposition, kinds: &[monitor::KindStats]) {
    let mut each = |name, kind, help, figure: fn(&monitor::KindStats) -> u64| {
        let mut family = out.family(name, kind, help);
        for figures in kinds {
            family.figure(&[("actor", figures.actor)], figure(figures));
        }
    };
    each("nuncio_mailbox_instances", Kind::Gauge, "Actors of this kind.", |of| of.instances);
    each("nuncio_mailbox_depth", Kind::Gauge, "Messages that wait in all mailboxes of this kind.", |of| {
        of.depth
    });
    each(
        "nuncio_mailbox_deepest",
        Kind::Gauge,
        "Messages that wait in the fullest mailbox of this kind.",
        |of| of.deepest,
    );
    each(
        "nuncio_mailbox_peak",
        Kind::Gauge,
        "Most messages that waited in one mailbox since the last scrape.",
        |of| of.peak,
    );
    each("nuncio_mailbox_capacity", Kind::Gauge, "Messages above which a mailbox refuses.", |of| of.capacity);
    each("nuncio_mailbox_handled", Kind::Counter, "Messages handled.", |of| of.handled);
    each("nuncio_mailbox_refused", Kind::Counter, "Messages that a full mailbox refused.", |of| of.refused);
    each("nuncio_mailbox_restarts", Kind::Counter, "Actors that ended by a panic.", |of| of.restarts);
    let mut waits = out.family(
        "nuncio_mailbox_wait_seconds",
        Kind::Histogram,
        "Time from sent to handled, at most 25 % too high.",
    );
    for figures in kinds {
        waits.histogram(&[("actor", figures.actor)], &WAIT_BOUNDS, &figures.waits, figures.waited_seconds);
    }
}

fn account(out: &mut Exposition, snapshot: &Snapshot) {
    let sheet = &snapshot.router.account;
    let settled = |outcome| sheet.settled(outcome).stanzas;
    out.family("nuncio_stanzas_taken", Kind::Counter, "Stanzas that the node accepted.")
        .figure(&[], sheet.taken().stanzas);
    out.family("nuncio_stanzas_taken_bytes", Kind::Counter, "Bytes of the stanzas that the node accepted.")
        .figure(&[], sheet.taken().bytes);
    let uncertain = settled(Outcome::Uncertain);
    let written = snapshot.highest.written(settled(Outcome::Written) + uncertain);
    out.family("nuncio_stanzas_settled", Kind::Counter, "Stanzas by outcome; written includes uncertain.")
        .figure(&[("outcome", "written")], written)
        .figure(&[("outcome", "answered")], settled(Outcome::Answered))
        .figure(&[("outcome", "expired")], settled(Outcome::Expired))
        .figure(&[("outcome", "dropped")], settled(Outcome::Dropped))
        .figure(&[("outcome", "kept")], settled(Outcome::Kept))
        .figure(&[("outcome", "relayed")], settled(Outcome::Relayed));
    out.family(
        "nuncio_stanzas_uncertain",
        Kind::Counter,
        "Stanzas on links that were lost: they may not have arrived.",
    )
    .figure(&[], snapshot.highest.uncertain(uncertain));
    out.family("nuncio_stanzas_waiting", Kind::Gauge, "Stanzas that the node holds.")
        .figure(&[], sheet.waiting().stanzas);
    out.family("nuncio_stanzas_waiting_bytes", Kind::Gauge, "Bytes of the stanzas that the node holds.")
        .figure(&[], sheet.waiting().bytes);
    out.family(
        "nuncio_account_difference",
        Kind::Gauge,
        "Stanzas without an outcome that the node does not hold. A value that stays above 0 is a bug.",
    )
    .figure(&[], sheet.difference().stanzas);
    let mut waiting = out.family(
        "nuncio_domain_stanzas_waiting",
        Kind::Gauge,
        "Stanzas that wait, for the domains with the most and for all others together.",
    );
    let mut rest = sheet.waiting().stanzas;
    for (domain, amount) in &snapshot.router.busiest {
        waiting.figure(&[("domain", domain.as_str())], amount.stanzas);
        rest = rest.saturating_sub(amount.stanzas);
    }
    waiting.figure(&[("domain", OTHERS)], rest);
    let mut refused = out.family(
        "nuncio_stanzas_refused",
        Kind::Counter,
        "Stanzas that could not be accepted, by reason: answered with an error, or dropped if no answer is allowed.",
    );
    for (reason, stanzas) in sheet.refused() {
        refused.figure(&[("reason", reason.as_str())], stanzas);
    }
    let mut bounces =
        out.family("nuncio_bounces", Kind::Counter, "Stanzas answered with an error, by condition.");
    for (condition, stanzas) in sheet.bounces() {
        bounces.figure(&[("reason", condition)], stanzas);
    }
}

/// The figures of the journal.
fn journal(out: &mut Exposition, figures: &Shown, account: &Totals) {
    out.family("nuncio_journal_up", Kind::Gauge, "1 if the file of the journal can be written.")
        .figure(&[], u64::from(figures.up));
    out.family("nuncio_journal_records", Kind::Gauge, "Stanzas in the file.").figure(&[], figures.records);
    out.family("nuncio_journal_bytes", Kind::Gauge, "Bytes of the records in the file.")
        .figure(&[], figures.bytes);
    out.family("nuncio_journal_not_kept", Kind::Gauge, "Stanzas that should be in the file and are not.")
        .figure(&[], figures.not_kept);
    out.family("nuncio_journal_written", Kind::Counter, "Stanzas that were written to the file.")
        .figure(&[], figures.written);
    out.family(
        "nuncio_journal_acknowledged_early",
        Kind::Counter,
        "Stanzas that were acknowledged before the slow journal had written them.",
    )
    .figure(&[], figures.acknowledged_early);
    out.family(
        "nuncio_journal_overflow_stanzas",
        Kind::Gauge,
        "Stanzas in the file only: their queues are full.",
    )
    .figure(&[], figures.overflow_stanzas);
    out.family("nuncio_journal_overflow_bytes", Kind::Gauge, "Bytes of these stanzas.")
        .figure(&[], figures.overflow_bytes);
    out.family("nuncio_journal_restored", Kind::Counter, "Stanzas that were in the file at the start.")
        .figure(&[], account.restored().stanzas);
    out.family("nuncio_journal_commit_seconds", Kind::Histogram, "Times of the commits.").histogram(
        &[],
        &COMMIT_BOUNDS,
        &figures.commits,
        figures.commit_seconds,
    );
}

/// The figures of acknowledged streams (XEP-0198).
fn acknowledgements(out: &mut Exposition, snapshot: &Snapshot) {
    let Account { acknowledged, unacked, repeated, .. } = Account::from(&*snapshot.router.account);
    out.family(
        "nuncio_stanzas_acknowledged",
        Kind::Counter,
        "Written stanzas that the remote server acknowledged.",
    )
    .figure(&[], acknowledged.stanzas);
    out.family("nuncio_stanzas_open", Kind::Gauge, "Written stanzas that are still to be acknowledged.")
        .figure(&[], unacked.stanzas);
    out.family(
        "nuncio_stanzas_repeated",
        Kind::Counter,
        "Stanzas that were sent again although they may have arrived.",
    )
    .figure(&[], repeated.stanzas);
    let mut resumptions = out.family(
        "nuncio_resumptions",
        Kind::Counter,
        "Requests to resume a lost stream, by the part of this node in the stream, and by answer.",
    );
    for role in [Role::Sender, Role::Receiver] {
        for result in [Resumption::Resumed, Resumption::Counted, Resumption::Unknown, Resumption::Refused] {
            let number = snapshot.counts.resumptions.get(&(role, result)).copied().unwrap_or_default();
            resumptions.figure(&[("role", role.as_str()), ("result", result.as_str())], number);
        }
    }
    let acks = &snapshot.counts.acks;
    out.family(
        "nuncio_ack_seconds",
        Kind::Histogram,
        "Time from a request for acknowledgement to its answer.",
    )
    .histogram(&[], &ACK_BOUNDS, &acks.buckets, acks.sum);
}

fn links(out: &mut Exposition, snapshot: &Snapshot) {
    let Snapshot { promise, router, counts, mailboxes, .. } = snapshot;
    let living = |actor| {
        mailboxes.iter().find(|figures| figures.actor == actor).map_or(0, |figures| figures.instances)
    };
    let admitted = counts.admitted as u64;
    let connected = router.components.iter().filter(|component| component.is_connected).count();
    let missing = router.components.len() - connected;
    let mut sessions =
        out.family("nuncio_sessions", Kind::Gauge, "Streams, and domain pairs that wait for a stream.");
    let states = [
        ("outgoing", "established", router.sessions as u64),
        ("outgoing", "handing-over", promise.handing_over),
        ("outgoing", "slow", promise.slow),
        ("outgoing", "claiming", promise.claiming),
        ("outgoing", "relayed", router.relays as u64),
        ("outgoing", "connecting", promise.attempting),
        ("outgoing", "queued", promise.awaiting_slot),
        ("outgoing", "closing", promise.awaiting_return),
        ("outgoing", "backing-off", promise.pausing),
        ("incoming", "authenticated", admitted),
        ("incoming", "unauthenticated", living("incoming").saturating_sub(admitted)),
        ("component", "connected", connected as u64),
        ("component", "missing", missing as u64),
    ];
    for (direction, state, number) in states {
        sessions.figure(&[("direction", direction), ("state", state)], number);
    }
    components(out, snapshot);
    out.family("nuncio_backoff_seconds", Kind::Gauge, "Longest time until the next attempt to a domain.")
        .figure(&[], promise.longest_pause.as_secs_f64());
    let mut phases = out.family(
        "nuncio_setup_seconds",
        Kind::Histogram,
        "Duration of the phases of a connection attempt.",
    );
    for (phase, histogram) in &counts.phases {
        phases.histogram(&[("phase", phase.as_str())], &PHASE_BOUNDS, &histogram.buckets, histogram.sum);
    }
    let mut attempts = out.family("nuncio_attempts", Kind::Counter, "Connection attempts, by result.");
    for ((purpose, result), number) in &counts.attempts {
        attempts.figure(&[("purpose", purpose.as_str()), ("result", result.as_str())], number);
    }
    let mut secured =
        out.family("nuncio_tls_handshakes", Kind::Counter, "TLS handshakes that succeeded, by version.");
    for ((direction, version), number) in &counts.secured {
        secured.figure(&[("direction", direction), ("version", version)], number);
    }
    let mut ciphers =
        out.family("nuncio_tls_ciphers", Kind::Counter, "TLS handshakes that succeeded, by cipher.");
    for ((direction, cipher), number) in &counts.ciphers {
        ciphers.figure(&[("direction", direction), ("cipher", cipher)], number);
    }
    let mut failed =
        out.family("nuncio_tls_handshakes_failed", Kind::Counter, "TLS handshakes that failed, by reason.");
    for ((direction, reason), number) in &counts.tls_failed {
        failed.figure(&[("direction", direction), ("reason", reason)], number);
    }
    let mut verdicts = out.family(
        "nuncio_certificate_verdicts",
        Kind::Counter,
        "Certificates of peers by verdict: good, or the reason why a certificate does not prove the domain.",
    );
    for ((direction, verdict), number) in &counts.verdicts {
        verdicts.figure(&[("direction", direction), ("verdict", verdict.as_str())], number);
    }
}

/// With a space, which no domain has.
const OTHERS: &str = "all others";
