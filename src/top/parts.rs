//! The parts of the view as tables: mailboxes, components, links, what waits, attempts that fail.

use mailbox::monitor::short;
use status::report::{ComponentState, Direction, QueueReport};

use super::now::{ComponentNow, LinkNow, MailboxNow, Now, Rate};
use crate::{
    control::tables::{next_attempt, none, wait},
    screen::Style,
    text::{
        size::Size,
        table::{Cell, Column, Table},
        time::Clock,
    },
};

/// A part of the view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Mailboxes,
    Components,
    Links,
    Waiting,
    Failing,
}

impl Part {
    /// In the order of the view, and of the keys.
    pub(super) const ALL: [Self; 5] =
        [Self::Mailboxes, Self::Components, Self::Links, Self::Waiting, Self::Failing];

    /// The name.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Mailboxes => "mailboxes",
            Self::Components => "components",
            Self::Links => "links",
            Self::Waiting => "waiting",
            Self::Failing => "failing",
        }
    }

    /// The table with a row for each entry, and the style of each row.
    pub(super) fn table(self, now: &Now) -> (Table, Vec<Style>) {
        match self {
            Self::Mailboxes => mailboxes(&now.mailboxes),
            Self::Components => components(now),
            Self::Links => links(&now.links),
            Self::Waiting => waiting(&now.queues),
            Self::Failing => failing(&now.failing),
        }
    }
}

fn mailboxes(kinds: &[MailboxNow]) -> (Table, Vec<Style>) {
    let mut table = Table::new([
        Column::new("ACTOR"),
        Column::new("INST").right().rank(6),
        Column::new("DEPTH").right().rank(3),
        Column::new("PEAK").right().rank(1),
        Column::new("CAPACITY").right().rank(4),
        Column::new("RATE").right().rank(2),
        Column::new("P50").right().rank(7),
        Column::new("P99").right().rank(3),
        Column::new("REFUSED").right().rank(2),
        Column::new("RESTARTS").right().rank(8),
        Column::new("DEEPEST").rank(9).middle(16),
    ]);
    for kind in kinds {
        let time = |time: Option<_>| time.map_or_else(none, |time| short(time).into());
        table.row([
            kind.actor.as_str().into(),
            kind.instances.to_string().into(),
            kind.depth.to_string().into(),
            kind.peak.to_string().into(),
            kind.capacity.to_string().into(),
            kind.rate.map_or_else(none, per_second),
            time(kind.wait_p50),
            time(kind.wait_p99),
            kind.refused.to_string().into(),
            kind.restarts.to_string().into(),
            kind.deepest
                .as_ref()
                .map_or_else(none, |deepest| format!("{} ({})", deepest.name, deepest.depth).into()),
        ]);
    }
    let style = |kind: &MailboxNow| match kind {
        kind if kind.is_full() => Style::Alarm,
        kind if kind.share() >= 0.5 => Style::Warning,
        _ => Style::Plain,
    };
    (table.one_line_each(), kinds.iter().map(style).collect())
}

fn components(now: &Now) -> (Table, Vec<Style>) {
    let clock = Clock::new(now.time);
    let mut table = Table::new([
        Column::new("COMPONENT").middle(20),
        Column::new("STATE").rank(1),
        Column::new("FOR").rank(3),
        Column::new("RECEIVED").or("RECV").right().rank(2),
        Column::new("SENT").right().rank(2),
        Column::new("WAITING").right().rank(2),
        Column::new("REFUSED").right().rank(4),
        Column::new("WRONG SECRET").or("WRONG").right().rank(5),
        Column::new("CONFLICT").right().rank(5),
        Column::new("DENIED").right().rank(5),
        Column::new("LAST END").rank(6).beginning(24),
    ]);
    for component in &now.components {
        let state = component.state.in_words(component.ping_unanswered.as_ref(), now.time);
        table.row([
            component.name.as_str().into(),
            Cell::with_short(state, component.state.in_short()),
            clock.age(component.since).to_string().into(),
            component.received.map_or_else(none, traffic),
            component.sent.map_or_else(none, traffic),
            component.waiting.stanzas.to_string().into(),
            component.refused.stanzas.to_string().into(),
            times(component.rejected),
            times(component.conflicts),
            times(component.denied),
            component
                .last_end
                .as_deref()
                .zip(component.last_end_at)
                .map_or_else(none, |(reason, at)| format!("{} ago: {reason}", clock.age(at)).into()),
        ]);
    }
    let style = |component: &ComponentNow| match component.state {
        ComponentState::NeverConnected | ComponentState::NotConnected => Style::Alarm,
        ComponentState::WaitsForCluster | ComponentState::PingUnanswered => Style::Warning,
        ComponentState::Connected => Style::Plain,
    };
    (table.one_line_each(), now.components.iter().map(style).collect())
}

/// The links between servers. Those of components are among the components.
fn links(links: &[LinkNow]) -> (Table, Vec<Style>) {
    let links: Vec<&LinkNow> = links.iter().filter(|link| link.direction != Direction::Component).collect();
    let mut table = Table::new([
        Column::new("LINK").middle(LINK),
        Column::new("BY").rank(3),
        Column::new("STATE").rank(5),
        Column::new("RECEIVED").or("RECV").right().rank(1),
        Column::new("SENT").right().rank(1),
        Column::new("WAITING").right().rank(2),
        Column::new("IDLE").right().rank(4),
        Column::new("STANZAS").right().rank(6),
        Column::new("BYTES").right().rank(6),
        Column::new("ADDRESS").rank(7),
    ]);
    for link in &links {
        let more = link.pairs.len().saturating_sub(1) + link.pairs_not_shown;
        let first = link.pairs.first().map_or_else(|| "-".to_owned(), ToString::to_string);
        let by = if link.direction == Direction::Outgoing { "us" } else { "them" };
        table.row([
            if more > 0 { format!("{first} +{more}") } else { first }.into(),
            by.into(),
            link.state.as_str().into(),
            link.received.map_or_else(none, traffic),
            link.sent.map_or_else(none, traffic),
            link.waiting.stanzas.to_string().into(),
            link.idle.to_string().into(),
            link.carried.stanzas.to_string().into(),
            Size(link.carried.bytes).to_string().into(),
            link.address.as_deref().map_or_else(none, Cell::from),
        ]);
    }
    (table.one_line_each(), vec![Style::Plain; links.len()])
}

/// A number of refusals: `3x`.
fn times(number: u64) -> Cell {
    if number > 0 { format!("{number}x").into() } else { none() }
}

fn waiting(queues: &[QueueReport]) -> (Table, Vec<Style>) {
    let mut table = Table::new([
        Column::new("WAITING FOR").middle(PAIR),
        Column::new("STANZAS").right().rank(1),
        Column::new("BYTES").right().rank(3),
        Column::new("OLDEST").right().rank(2),
        Column::new("STATE").rank(1),
        Column::new("NEXT ATTEMPT").or("NEXT").rank(4),
    ]);
    for queue in queues {
        table.row([
            pair(queue),
            queue.waiting.stanzas.to_string().into(),
            Size(queue.waiting.bytes).to_string().into(),
            queue.oldest.map_or_else(none, |oldest| oldest.to_string().into()),
            wait(queue),
            next_attempt(queue),
        ]);
    }
    (table.one_line_each(), vec![Style::Plain; queues.len()])
}

fn failing(queues: &[QueueReport]) -> (Table, Vec<Style>) {
    let mut table = Table::new([
        Column::new("FAILING").middle(PAIR),
        Column::new("FAILED").right().rank(3),
        Column::new("WAITING").right().rank(4),
        Column::new("NEXT ATTEMPT").or("NEXT").rank(2),
        Column::new("LAST FAILURE").rank(1).beginning(34),
    ]);
    for queue in queues {
        let definitive = queue.trouble.as_ref().is_some_and(|failure| failure.definitive);
        table.row([
            pair(queue),
            format!("{}x", queue.failures).into(),
            queue.waiting.stanzas.to_string().into(),
            if definitive && queue.waiting.stanzas == 0 { none() } else { next_attempt(queue) },
            queue.trouble.as_ref().map_or_else(none, |failure| failure.reason.as_str().into()),
        ]);
    }
    (table.one_line_each(), vec![Style::Warning; queues.len()])
}

fn pair(queue: &QueueReport) -> Cell {
    format!("{} > {}", queue.local, queue.remote).into()
}

/// A rate: `0/s`, `1.5/s`, `1823/s`.
fn per_second(rate: f64) -> Cell {
    match rate {
        0.0 | 10.0.. => format!("{rate:.0}/s"),
        _ => format!("{rate:.1}/s"),
    }
    .into()
}

/// Stanzas and bytes per second: `12/s 3.4 KiB/s`. The short form has only the stanzas.
fn traffic(rate: Rate) -> Cell {
    let stanzas = match rate.stanzas {
        0.0 | 10.0.. => format!("{:.0}/s", rate.stanzas),
        stanzas => format!("{stanzas:.1}/s"),
    };
    match rate {
        Rate { bytes: 0.0, .. } => stanzas.into(),
        Rate { bytes, .. } => Cell::with_short(format!("{stanzas} {}/s", Size(bytes as u64)), stanzas),
    }
}

/// The least width of the domains of a link, in columns of the terminal.
const LINK: usize = 40;

/// The least width of those of a queue.
const PAIR: usize = 28;
