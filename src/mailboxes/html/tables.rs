//! The tables of the page: what the charts show, for screen readers, for print and without JavaScript.

use std::collections::HashMap;

use super::{
    collect::{Collected, Highest},
    periods::Periods,
    points::{Balance, LinkEvents},
    runs::Runs,
    text::{Table, escape, time},
};
use crate::mailboxes::{record::NodeEvent, stats::Position};

/// All tables.
pub(super) fn html(collected: &Collected) -> String {
    let periods = Periods::of(collected.whole_span());
    [
        kinds(collected),
        full(collected),
        runs(collected),
        deepest(collected),
        peaks(collected, &periods),
        traffic(collected, &periods),
    ]
    .concat()
}

/// Sentences about the whole log.
pub(super) fn summary(collected: &Collected) -> String {
    let mut facts: Vec<(bool, String)> = Vec::new();
    let (incidents, dropped) = collected.stats.incidents();
    let times = incidents.len() as u64 + dropped;
    facts.push(match times {
        0 => (false, "No mailbox was full.".to_owned()),
        1 => (true, "A mailbox was full once.".to_owned()),
        _ => (true, format!("Mailboxes were full {times} times.")),
    });
    let sum = |figure: fn(&super::collect::Kind) -> u64| collected.kinds.iter().map(figure).sum::<u64>();
    let (refused, restarts) = (sum(|kind| kind.refused), sum(|kind| kind.restarts));
    if refused > 0 {
        facts.push((true, format!("{refused} messages were refused.")));
    }
    if restarts > 0 {
        facts.push((true, format!("{restarts} actors ended by a panic.")));
    }
    let fullest = collected.kinds.iter().max_by(|one, other| one.share().total_cmp(&other.share()));
    if let Some(kind) = fullest.filter(|kind| kind.peak.value > 0.0) {
        let Highest { value, time: at, .. } = &kind.peak;
        facts.push((
            false,
            format!("Fullest: {}, {value} of {} at {}.", kind.actor, kind.capacity, time(*at)),
        ));
    }
    let slowest =
        collected.kinds.iter().max_by(|one, other| one.wait_p99.value.total_cmp(&other.wait_p99.value));
    if let Some(kind) = slowest.filter(|kind| kind.wait_p99.value > 0.0) {
        let Highest { time: at, note, .. } = &kind.wait_p99;
        facts.push((false, format!("Longest wait (p99): {note} in {} at {}.", kind.actor, time(*at))));
    }
    let difference = collected.account.points().map(|(_, balance)| balance.difference).max();
    if let Some(difference) = difference {
        facts.push((difference > 0, format!("Difference of the account: {difference}.")));
    }
    if let Some(fact) = restarts_in_words(&collected.runs) {
        facts.push(fact);
    }
    if let Some((from, to)) = collected.silences.first() {
        let more = match collected.silences.len() - 1 {
            0 => String::new(),
            more => format!(" and {more} more times"),
        };
        let (from, to) = (time(*from), time(*to));
        facts.push((
            true,
            format!("No lines from {from} to {to}{more}: they are not in this log, or the node did not run."),
        ));
    }
    let item = |(is_bad, fact): (bool, String)| {
        let class = if is_bad { " class=\"bad\"" } else { "" };
        format!("<li{class}>{}</li>\n", escape(&fact))
    };
    facts.into_iter().map(item).collect()
}

/// The times at which the node did not run, and whether one of them is bad news: the node wrote nothing when it ended.
fn restarts_in_words(runs: &Runs) -> Option<(bool, String)> {
    let last = runs.gaps().last()?;
    let count = runs.gaps().len();
    let times = if count == 1 { "once".to_owned() } else { format!("{count} times") };
    let killed = runs.gaps().iter().filter(|gap| !gap.is_told).count();
    let killed_in_words = match killed {
        0 => String::new(),
        killed => {
            format!("; before {killed} of these it wrote no line about its stop: it was killed, or it failed")
        }
    };
    let (from, to) = (time(last.from), time(last.to));
    Some((
        killed > 0,
        format!("The node was restarted {times}{killed_in_words}. It last did not run from {from} to {to}."),
    ))
}

/// Starts and stops of the node.
fn runs(collected: &Collected) -> String {
    let caption = "Starts and stops of the node; between a stop and the next start it did not run";
    let mut table = Table::new(caption, &["Time", "Event", "@Did not run since", "Remark"]);
    for mark in collected.runs.marks() {
        let gap = collected.runs.gap_before(mark.time).filter(|_| mark.event == NodeEvent::Started);
        let remark = match gap {
            Some(gap) if !gap.is_told => "the time of its last line: no line says that it stopped",
            _ => "-",
        };
        let event = match mark.event {
            NodeEvent::Started => "node started",
            NodeEvent::Stopped => "node stopped",
        };
        let since = gap.map_or_else(|| "-".to_owned(), |gap| time(gap.from));
        table.row([time(mark.time), event.to_owned(), since, remark.to_owned()]);
    }
    let dropped = match collected.runs.dropped() {
        0 => String::new(),
        dropped => format!("<p>{dropped} later ones are not shown.</p>\n"),
    };
    if table.is_empty() {
        "<p>The node was neither started nor stopped.</p>\n".to_owned()
    } else {
        table.html() + &dropped
    }
}

fn kinds(collected: &Collected) -> String {
    let heads = [
        "Actor",
        "#Highest peak",
        "#Capacity",
        "@at",
        "#Highest depth",
        "Deepest",
        "#Longest p99",
        "@at",
        "#Highest rate",
        "#Refused",
        "#Restarts",
        "#Lines",
    ];
    let mut table = Table::new("Mailboxes: the highest values of the log", &heads);
    for kind in &collected.kinds {
        let at = |time_of: u64, value: f64| if value > 0.0 { time(time_of) } else { "-".to_owned() };
        let deepest = match kind.deepest.value {
            0.0 => "-".to_owned(),
            _ => collected.names.name(kind.deepest.note).to_owned(),
        };
        let wait = if kind.wait_p99.note.is_empty() { "-".to_owned() } else { kind.wait_p99.note.clone() };
        table.row([
            kind.actor.clone(),
            kind.peak.value.to_string(),
            kind.capacity.to_string(),
            at(kind.peak.time, kind.peak.value),
            kind.deepest.value.to_string(),
            deepest,
            wait,
            at(kind.wait_p99.time, kind.wait_p99.value),
            format!("{}/s", kind.rate.value),
            kind.refused.to_string(),
            kind.restarts.to_string(),
            kind.lines.to_string(),
        ]);
    }
    let known = |actor: &str| collected.kinds.iter().any(|kind| kind.actor == actor);
    for kind in collected.stats.kinds().iter().filter(|kind| !known(&kind.last.actor)) {
        let idle = std::iter::repeat_n("-".to_owned(), heads.len() - 2);
        table.row([kind.last.actor.clone()].into_iter().chain(idle).chain(["0".to_owned()]));
    }
    table.html()
}

fn full(collected: &Collected) -> String {
    let (incidents, dropped) = collected.stats.incidents();
    let caption = "Times when a mailbox was full: the peak reached the capacity, or messages were refused";
    let mut table =
        Table::new(caption, &["From", "@To", "Actor", "#Peak", "#Capacity", "#Refused", "Deepest", "#Depth"]);
    let at = |position: Position| match position.time {
        Some(at) => time(super::collect::milliseconds(at)),
        None => format!("line {}", position.line),
    };
    for incident in incidents {
        let (deepest, depth) = match &incident.deepest {
            Some((name, depth)) => (name.clone(), depth.to_string()),
            None => ("-".to_owned(), "-".to_owned()),
        };
        table.row([
            at(incident.from),
            at(incident.to),
            incident.actor.clone(),
            incident.peak.to_string(),
            incident.capacity.to_string(),
            incident.refused.to_string(),
            deepest,
            depth,
        ]);
    }
    let dropped = match dropped {
        0 => String::new(),
        dropped => format!("<p>{dropped} earlier ones are not shown.</p>\n"),
    };
    if table.is_empty() { "<p>No mailbox was full.</p>\n".to_owned() } else { table.html() + &dropped }
}

/// The instances in which the most messages waited.
fn deepest(collected: &Collected) -> String {
    let mut found: HashMap<(usize, usize), (u64, u64, u64)> = HashMap::new();
    for (number, kind) in collected.kinds.iter().enumerate() {
        for (at, figures) in kind.points.points() {
            let Some((name, depth)) = figures.deepest else { continue };
            let (highest, time, times) = found.entry((number, name)).or_default();
            *times += 1;
            if depth > *highest {
                (*highest, *time) = (depth, at);
            }
        }
    }
    let mut found: Vec<_> = found.into_iter().collect();
    found.sort_by_key(|((kind, name), (depth, ..))| (std::cmp::Reverse(*depth), *kind, *name));
    let heads = ["Instance", "Actor", "#Highest depth", "@at", "#Lines in which it was the deepest"];
    let mut table = Table::new("Deepest instances: remote servers, components, actors", &heads);
    for ((kind, name), (depth, at, times)) in found.into_iter().take(DEEPEST) {
        let actor = collected.kinds[kind].actor.clone();
        let name = collected.names.name(name).to_owned();
        table.row([name, actor, depth.to_string(), time(at), times.to_string()]);
    }
    if table.is_empty() {
        "<p>No messages waited when a line was written.</p>\n".to_owned()
    } else {
        table.html()
    }
}

fn peaks(collected: &Collected, periods: &Periods) -> String {
    if collected.kinds.is_empty() {
        return String::new();
    }
    let heads: Vec<String> = collected.kinds.iter().map(|kind| format!("#{}", kind.actor)).collect();
    let heads: Vec<&str> = std::iter::once("From").chain(heads.iter().map(String::as_str)).collect();
    let caption = format!(
        "Highest peak in each {}; no figure where a kind of actor was idle, or the node did not run",
        periods.length_in_words()
    );
    let mut table = Table::new(&caption, &heads);
    let columns: Vec<Vec<Option<u64>>> = collected
        .kinds
        .iter()
        .map(|kind| periods.sum(kind.points.points(), |figures| figures.peak, u64::max))
        .collect();
    for (number, from) in periods.starts().enumerate() {
        let cell = |column: &Vec<Option<u64>>| match column.get(number) {
            Some(Some(peak)) => peak.to_string(),
            _ => "-".to_owned(),
        };
        table.row(std::iter::once(time(from)).chain(columns.iter().map(cell)));
    }
    table.html()
}

fn traffic(collected: &Collected, periods: &Periods) -> String {
    let heads = [
        "From",
        "#Opened: outgoing",
        "incoming",
        "component",
        "#Closed: outgoing",
        "incoming",
        "component",
        "#No link",
        "#Stanzas taken",
        "#Written",
        "#Answered or expired",
        "#Dropped",
        "#Most waiting",
    ];
    let heads = heads.map(|head| match head {
        "incoming" => "#incoming",
        "component" => "#component",
        other => other,
    });
    let caption = format!("Links and the account in each {}", periods.length_in_words());
    let mut table = Table::new(&caption, &heads);
    let links = |figure: &dyn Fn(&LinkEvents) -> u64| {
        periods.sum(collected.links.points(), figure, u64::saturating_add)
    };
    let account = |figure: &dyn Fn(&Balance) -> u64| {
        periods.sum(collected.account.points(), figure, u64::saturating_add)
    };
    let mut columns = Vec::new();
    for direction in 0..3 {
        columns.push(links(&|events| events.opened[direction]));
    }
    for direction in 0..3 {
        columns.push(links(&|events| events.closed[direction]));
    }
    columns.push(links(&|events| events.failed));
    columns.push(account(&|balance| balance.taken));
    columns.push(account(&|balance| balance.written));
    columns.push(account(&|balance| balance.answered));
    columns.push(account(&|balance| balance.dropped));
    columns.push(periods.sum(collected.account.points(), |balance| balance.waiting, u64::max));
    for (number, from) in periods.starts().enumerate() {
        let cell = |column: &Vec<Option<u64>>| column.get(number).copied().flatten().unwrap_or(0).to_string();
        table.row(std::iter::once(time(from)).chain(columns.iter().map(cell)));
    }
    table.html()
}

/// Instances in the table.
const DEEPEST: usize = 20;
