//! The line of a link in the log, written on SIGUSR1.

use status::report::{Authentication, Direction, LinkReport, Pair};

/// Logs the line of a link.
pub(super) fn log(link: &LinkReport) {
    let pairs: Vec<String> = link.pairs.iter().map(Pair::to_string).collect();
    let tls = link.tls.as_ref();
    log::info!(
        target: "nuncio::node",
        direction = link.direction.as_str(),
        state = link.state.as_str(),
        address:% = link.address.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string),
        pair = if pairs.is_empty() { "-".to_owned() } else { pairs.join(", ") }.as_str(),
        pairs_not_shown = Some(link.pairs_not_shown).filter(|pairs| *pairs > 0),
        mechanism = link.mechanism.map_or("-", Authentication::as_str),
        protocol = tls.map_or("-", |tls| tls.protocol.as_str()),
        // A component proves its name by a secret.
        certificate = tls.filter(|_| link.direction != Direction::Component).map_or("-", |tls| tls.verdict.as_str()),
        stanzas_in = link.received.stanzas,
        stanzas_out = link.sent.stanzas,
        waiting = link.waiting.stanzas,
        acks = link.acknowledgement.acks.as_str(),
        unacked = link.acknowledgement.open.stanzas,
        idle:% = link.idle;
        "session"
    );
}
