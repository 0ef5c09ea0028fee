//! The data of the page's charts, as JSON inside of HTML.

use serde::Serialize;

use super::{
    collect::{Collected, Kind},
    points::{Balance, LinkEvents},
    runs::{Gap, Mark},
    series::Series,
};
use crate::mailboxes::stats::{Incident, Position};

/// Times are in milliseconds since 1970, except where their name says otherwise.
#[derive(Serialize)]
struct Data<'a> {
    from: u64,
    to: u64,
    /// The interval between two lines of a kind.
    interval: u64,
    /// The names of instances; others refer to them by number.
    names: &'a [String],
    kinds: Vec<KindData<'a>>,
    full: Vec<Full<'a>>,
    silences: &'a [(u64, u64)],
    marks: &'a [Mark],
    gaps: &'a [Gap],
    links: LinkData,
    account: AccountData,
}

/// One column for each figure, with one value for each point.
#[derive(Serialize)]
struct KindData<'a> {
    actor: &'a str,
    capacity: u64,
    unit: u64,
    steps: Vec<u64>,
    instances: Vec<u64>,
    depth: Vec<u64>,
    peak: Vec<u64>,
    rate: Vec<u64>,
    /// In tenths of a microsecond.
    p50: Vec<Option<u64>>,
    p99: Vec<Option<u64>>,
    refused: Vec<u64>,
    restarts: Vec<u64>,
    /// The number of the point, of the name, and of the messages that wait there.
    deepest: Vec<(usize, usize, u64)>,
}

/// A period in which a mailbox was full.
#[derive(Serialize)]
struct Full<'a> {
    actor: &'a str,
    from: u64,
    to: u64,
}

#[derive(Serialize)]
struct LinkData {
    unit: u64,
    steps: Vec<u64>,
    opened: [Vec<u64>; 3],
    closed: [Vec<u64>; 3],
    failed: Vec<u64>,
}

#[derive(Serialize)]
struct AccountData {
    unit: u64,
    steps: Vec<u64>,
    taken: Vec<u64>,
    written: Vec<u64>,
    answered: Vec<u64>,
    dropped: Vec<u64>,
    waiting: Vec<u64>,
    difference: Vec<u64>,
}

/// The JSON document, of limited size. It can stand in an element `script`.
pub(super) fn json(collected: &mut Collected) -> String {
    json_within(collected, MOST)
}

/// The same with at most so many bytes.
fn json_within(collected: &mut Collected, most: usize) -> String {
    loop {
        let document = document(collected);
        if document.len() <= most || collected.is_coarsest() {
            return document;
        }
        collected.coarsen();
    }
}

fn document(collected: &Collected) -> String {
    let (from, to) = collected.whole_span();
    let incidents = collected.stats.incidents().0;
    let data = Data {
        from,
        to,
        interval: u64::try_from(collected.interval.get().as_millis()).unwrap_or(u64::MAX),
        names: collected.names.all(),
        kinds: collected.kinds.iter().map(|kind| kind_data(kind, from)).collect(),
        full: incidents.into_iter().filter_map(full).collect(),
        silences: &collected.silences,
        marks: collected.runs.marks(),
        gaps: collected.runs.gaps(),
        links: link_data(&collected.links, from),
        account: account_data(&collected.account, from),
    };
    // Numbers and strings are always valid JSON.
    let document = serde_json::to_string(&data).unwrap_or_default();
    for_script(&document)
}

fn kind_data(kind: &Kind, from: u64) -> KindData<'_> {
    let points = &kind.points;
    let tenths = |time: Option<f32>| time.map(|time| (f64::from(time) * 10.0).round() as u64);
    let deepest = points.points().zip(0..).filter_map(|((_, figures), at)| {
        let (name, depth) = figures.deepest?;
        Some((at, name, depth))
    });
    KindData {
        actor: &kind.actor,
        capacity: kind.capacity,
        unit: points.unit(),
        steps: points.steps(from),
        instances: points.column(|figures| figures.instances),
        depth: points.column(|figures| figures.depth),
        peak: points.column(|figures| figures.peak),
        rate: points.column(|figures| figures.rate),
        p50: points.column(|figures| tenths(figures.wait_p50)),
        p99: points.column(|figures| tenths(figures.wait_p99)),
        refused: points.column(|figures| figures.refused),
        restarts: points.column(|figures| figures.restarts),
        deepest: deepest.collect(),
    }
}

fn link_data(links: &Series<LinkEvents>, from: u64) -> LinkData {
    LinkData {
        unit: links.unit(),
        steps: links.steps(from),
        opened: [0, 1, 2].map(|direction| links.column(|events| events.opened[direction])),
        closed: [0, 1, 2].map(|direction| links.column(|events| events.closed[direction])),
        failed: links.column(|events| events.failed),
    }
}

fn account_data(account: &Series<Balance>, from: u64) -> AccountData {
    AccountData {
        unit: account.unit(),
        steps: account.steps(from),
        taken: account.column(|balance| balance.taken),
        written: account.column(|balance| balance.written),
        answered: account.column(|balance| balance.answered),
        dropped: account.column(|balance| balance.dropped),
        waiting: account.column(|balance| balance.waiting),
        difference: account.column(|balance| balance.difference),
    }
}

fn full(incident: &Incident) -> Option<Full<'_>> {
    let time = |position: Position| position.time.map(super::collect::milliseconds);
    Some(Full { actor: &incident.actor, from: time(incident.from)?, to: time(incident.to)? })
}

/// Escapes what HTML would read as a tag, as the end of the script, or as a line end: outside of strings, JSON has no such
/// characters.
fn for_script(document: &str) -> String {
    let mut safe = String::with_capacity(document.len());
    for c in document.chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => safe.push_str(&format!("\\u{:04x}", u32::from(c))),
            _ => safe.push(c),
        }
    }
    safe
}

/// Maximum number of bytes of the document: a day of a busy node with 15 kinds of actors has about three million.
const MOST: usize = 4_500_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_a_log_cannot_end_the_script() {
        let document = serde_json::to_string("</script><!--&\u{2028}").unwrap();
        let safe = for_script(&document);
        assert!(!safe.contains(['<', '>', '&', '\u{2028}']), "{safe}");
        assert_eq!(serde_json::from_str::<String>(&safe).unwrap(), "</script><!--&\u{2028}");
    }

    #[test]
    fn the_document_of_an_endless_log_has_a_limited_size() {
        let mut collected = Collected::default();
        for number in 0..500_u64 {
            let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(10 * number);
            let time = humantime::format_rfc3339_millis(time);
            for kind in 0..5 {
                let line = format!(
                    "{time} INFO  nuncio::mailbox mailbox actor=kind{kind} instances=18446744073709551615 \
                     depth=18446744073709551615 deepest=name{number}:18446744073709551615 \
                     peak=18446744073709551615 capacity=18446744073709551615 handled=1 \
                     rate=18446744073709551615/s wait_p50=123.4s wait_p99=123.4s refused=0 restarts=0"
                );
                collected.add_line(line.as_bytes());
            }
        }
        let whole = json(&mut collected).len();
        for most in [whole, whole / 2, whole / 20] {
            let document = json_within(&mut collected, most);
            assert!((most / 8..=most).contains(&document.len()), "{} of {most}", document.len());
        }
        // Names have a limit of their own, and stay.
        collected.coarsen();
        assert!(json_within(&mut collected, 10).len() < whole / 20);
    }
}
