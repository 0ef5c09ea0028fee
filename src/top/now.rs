//! What the node does now: the difference between two readings. It is the JSON document of `nuncio top --json`, too.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use serde::Serialize;
use status::{
    amount::Amount,
    report::{
        ComponentReport, ComponentState, Deepest, Direction, LinkReport, LinkState, MailboxReport, Pair,
        QueueReport, Seconds, SinceEvent, Time, UnansweredPing,
    },
};

use super::reading::Reading;

/// The state of the node, and its rates since the reading before. A rate is absent in the first reading.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Now {
    pub(super) version: String,
    pub(super) time: Time,
    pub(super) started: Time,
    /// The time between the readings, in seconds.
    pub(super) interval: Option<Seconds>,
    pub(super) unanswered: Vec<String>,
    pub(super) mailboxes: Vec<MailboxNow>,
    pub(super) components: Vec<ComponentNow>,
    pub(super) links: Vec<LinkNow>,
    pub(super) links_total: usize,
    /// Queues in which a stanza waits.
    pub(super) queues: Vec<QueueReport>,
    /// Queues whose last attempt failed.
    pub(super) failing: Vec<QueueReport>,
    pub(super) queues_total: usize,
    pub(super) waiting: Amount,
}

/// The mailboxes of one kind of actor.
#[derive(Clone, Debug, Serialize)]
pub(super) struct MailboxNow {
    pub(super) actor: String,
    pub(super) instances: u64,
    pub(super) depth: u64,
    pub(super) deepest: Option<Deepest>,
    pub(super) peak: u64,
    pub(super) capacity: u64,
    /// Handled messages per second.
    pub(super) rate: Option<f64>,
    /// In seconds, since the reading before.
    #[serde(serialize_with = "in_seconds")]
    pub(super) wait_p50: Option<Duration>,
    #[serde(serialize_with = "in_seconds")]
    pub(super) wait_p99: Option<Duration>,
    pub(super) refused: u64,
    /// Since the reading before.
    pub(super) newly_refused: u64,
    pub(super) restarts: u64,
}

/// A configured component.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ComponentNow {
    pub(super) name: String,
    pub(super) connected: bool,
    pub(super) state: ComponentState,
    pub(super) since: Time,
    pub(super) since_event: SinceEvent,
    /// The ping that it has not answered.
    pub(super) ping_unanswered: Option<UnansweredPing>,
    /// From the component.
    pub(super) received: Option<Rate>,
    /// To the component.
    pub(super) sent: Option<Rate>,
    pub(super) waiting: Amount,
    pub(super) refused: Amount,
    /// Connections with a wrong secret.
    pub(super) rejected: u64,
    /// Connections that were refused because another one serves the name.
    pub(super) conflicts: u64,
    /// Stanzas that its rules do not permit.
    pub(super) denied: u64,
    /// The reason for which its last connection ended.
    pub(super) last_end: Option<String>,
    /// When that was.
    pub(super) last_end_at: Option<Time>,
}

/// A link.
#[derive(Clone, Debug, Serialize)]
pub(super) struct LinkNow {
    pub(super) direction: Direction,
    pub(super) state: LinkState,
    pub(super) pairs: Vec<Pair>,
    pub(super) pairs_not_shown: usize,
    pub(super) address: Option<String>,
    pub(super) since: Time,
    pub(super) received: Option<Rate>,
    pub(super) sent: Option<Rate>,
    /// All stanzas of the link, both ways.
    pub(super) carried: Amount,
    pub(super) waiting: Amount,
    pub(super) idle: Seconds,
}

/// Stanzas and bytes per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Rate {
    pub(super) stanzas: f64,
    pub(super) bytes: f64,
}

/// What comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sort {
    /// The highest rate.
    #[default]
    Busiest,
    /// The most that waits.
    Waiting,
    Name,
}

impl Now {
    /// The state at `reading`, with the rates since `before`, a reading of the same node.
    pub(super) fn between(before: Option<&Reading>, reading: &Reading) -> Self {
        // After a restart the counts begin again.
        let before = before.filter(|before| before.started == reading.started);
        Self {
            version: reading.version.clone(),
            time: reading.time,
            started: reading.started,
            interval: before.map(|before| Seconds(reading.mailboxes.at - before.mailboxes.at)),
            unanswered: reading.unanswered.clone(),
            mailboxes: mailboxes(before, reading),
            components: components(before, reading),
            links: links(before, reading),
            links_total: reading.links_total,
            queues: reading.queues.iter().filter(|queue| queue.waiting.stanzas > 0).cloned().collect(),
            failing: reading.queues.iter().filter(|queue| queue.trouble.is_some()).cloned().collect(),
            queues_total: reading.queues_total,
            waiting: reading.waiting,
        }
    }

    /// Sorts all lists.
    pub(super) fn sort(&mut self, sort: Sort) {
        let rate = |rate: Option<f64>| Reverse((rate.unwrap_or(0.0) * 1_000.0) as u64);
        let bytes = |received: Option<Rate>, sent: Option<Rate>| {
            rate(Some([received, sent].iter().flatten().map(|rate| rate.bytes).sum()))
        };
        match sort {
            Sort::Busiest => {
                self.mailboxes.sort_by_key(|kind| rate(kind.rate));
                self.components.sort_by_key(|component| bytes(component.received, component.sent));
                self.links.sort_by_key(|link| (bytes(link.received, link.sent), link.idle));
                self.queues.sort_by_key(|queue| Reverse(queue.waiting.stanzas));
                self.failing.sort_by_key(|queue| (Reverse(queue.waiting.stanzas), Reverse(queue.failures)));
            }
            Sort::Waiting => {
                self.mailboxes.sort_by(|one, other| other.fullness().total_cmp(&one.fullness()));
                self.components.sort_by_key(|component| Reverse(component.waiting.stanzas));
                self.links.sort_by_key(|link| Reverse(link.waiting.stanzas));
                self.queues.sort_by_key(|queue| Reverse(queue.oldest));
                self.failing.sort_by_key(|queue| queue.next_attempt.unwrap_or_default());
            }
            Sort::Name => {
                let pair = |queue: &QueueReport| (queue.remote.clone(), queue.local.clone());
                self.mailboxes.sort_by(|one, other| one.actor.cmp(&other.actor));
                self.components.sort_by(|one, other| one.name.cmp(&other.name));
                self.links.sort_by(|one, other| (one.name(), &one.pairs).cmp(&(other.name(), &other.pairs)));
                self.queues.sort_by_key(pair);
                self.failing.sort_by_key(pair);
            }
        }
    }
}

impl Sort {
    /// The next order, for a key that changes it.
    pub(super) fn next(self) -> Self {
        match self {
            Self::Busiest => Self::Waiting,
            Self::Waiting => Self::Name,
            Self::Name => Self::Busiest,
        }
    }

    /// The name of the order.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Busiest => "traffic",
            Self::Waiting => "waiting",
            Self::Name => "name",
        }
    }
}

impl MailboxNow {
    /// The peak as a share of the capacity.
    pub(super) fn share(&self) -> f64 {
        self.peak as f64 / self.capacity.max(1) as f64
    }

    /// Whether a mailbox was full.
    pub(super) fn is_full(&self) -> bool {
        self.newly_refused > 0 || self.peak >= self.capacity
    }

    fn fullness(&self) -> f64 {
        self.share().max(
            self.deepest.as_ref().map_or(0, |deepest| deepest.depth) as f64 / self.capacity.max(1) as f64,
        )
    }
}

impl LinkNow {
    /// The domain by which links are sorted.
    fn name(&self) -> &str {
        self.pairs.first().map_or("", |pair| pair.remote.as_deref().unwrap_or(&pair.local))
    }
}

fn mailboxes(before: Option<&Reading>, reading: &Reading) -> Vec<MailboxNow> {
    let elapsed = before.map(|before| reading.mailboxes.at - before.mailboxes.at);
    let earlier: HashMap<&str, &MailboxReport> = before
        .into_iter()
        .flat_map(|before| &before.mailboxes.found)
        .map(|kind| (kind.actor.as_str(), kind))
        .collect();
    let kinds = reading.mailboxes.found.iter().map(|kind| {
        let earlier = earlier.get(kind.actor.as_str()).copied();
        let handled = kind.handled.saturating_sub(earlier.map_or(0, |kind| kind.handled));
        let waited = |percent| before.and_then(|_| kind.waited(earlier, percent));
        MailboxNow {
            actor: kind.actor.clone(),
            instances: kind.instances,
            depth: kind.depth,
            deepest: kind.deepest.clone(),
            peak: kind.peak,
            capacity: kind.capacity,
            rate: elapsed.map(|elapsed| per_second(handled, elapsed)),
            wait_p50: waited(50),
            wait_p99: waited(99),
            refused: kind.refused,
            newly_refused: earlier.map_or(0, |earlier| kind.refused.saturating_sub(earlier.refused)),
            restarts: kind.restarts,
        }
    });
    kinds.collect()
}

fn components(before: Option<&Reading>, reading: &Reading) -> Vec<ComponentNow> {
    let elapsed = before.map(|before| reading.components.at - before.components.at);
    let earlier: HashMap<&str, &ComponentReport> = before
        .into_iter()
        .flat_map(|before| &before.components.found)
        .map(|component| (component.name.as_str(), component))
        .collect();
    let rates = |component: &ComponentReport| {
        let link = component.link.as_ref();
        let earlier = earlier.get(component.name.as_str()).and_then(|component| component.link.as_ref());
        // A new connection counts from 0.
        let earlier = earlier.filter(|earlier| link.is_some_and(|link| link.since == earlier.since));
        traffic(link, earlier, elapsed)
    };
    let components = reading.components.found.iter().map(|component| {
        let (received, sent) = rates(component).unzip();
        let on_link = component.link.as_ref().map_or_else(Amount::default, |link| link.waiting);
        ComponentNow {
            name: component.name.clone(),
            connected: component.connected,
            state: component.state,
            since: component.since,
            since_event: component.since_event,
            ping_unanswered: component.ping_unanswered,
            received,
            sent,
            waiting: component.waiting.plus(on_link),
            refused: component.refused,
            rejected: component.rejected.count,
            conflicts: component.conflicts.count,
            denied: component.denied.count(),
            last_end: component.last_end.as_ref().map(|ending| ending.reason.clone()),
            last_end_at: component.last_end.as_ref().map(|ending| ending.at),
        }
    });
    components.collect()
}

fn links(before: Option<&Reading>, reading: &Reading) -> Vec<LinkNow> {
    let elapsed = before.map(|before| reading.links.at - before.links.at);
    let earlier: BTreeMap<Identity<'_>, &LinkReport> = before
        .into_iter()
        .flat_map(|before| &before.links.found)
        .map(|link| (identity(link), link))
        .collect();
    let rates = |link: &LinkReport| {
        let earlier = earlier.get(&identity(link)).copied();
        // A link of before that the last reading did not have, because others had a stanza later: its rate is unknown.
        let is_new = elapsed.is_some_and(|elapsed| link.since.before(reading.time) <= elapsed);
        traffic(Some(link), earlier, elapsed.filter(|_| earlier.is_some() || is_new))
    };
    let links = reading.links.found.iter().map(|link| {
        let (received, sent) = rates(link).unzip();
        LinkNow {
            direction: link.direction,
            state: link.state,
            pairs: link.pairs.clone(),
            pairs_not_shown: link.pairs_not_shown,
            address: link.address.as_ref().map(ToString::to_string),
            since: link.since,
            received,
            sent,
            carried: link.received.plus(link.sent),
            waiting: link.waiting,
            idle: link.idle,
        }
    });
    links.collect()
}

/// What tells a link from all others: its direction, its address, its beginning, and its first pair.
type Identity<'a> = (Direction, Option<String>, Duration, Option<&'a Pair>);

fn identity(link: &LinkReport) -> Identity<'_> {
    let since = link.since.0.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    (link.direction, link.address.as_ref().map(ToString::to_string), since, link.pairs.first())
}

/// The rates of a link, received and sent. Without a link they are 0.
fn traffic(
    link: Option<&LinkReport>,
    earlier: Option<&LinkReport>,
    elapsed: Option<Duration>,
) -> Option<(Rate, Rate)> {
    let elapsed = elapsed?;
    let Some(link) = link else { return Some((Rate::default(), Rate::default())) };
    let earlier = earlier.map_or_else(Default::default, |link| (link.received, link.sent));
    Some((Rate::of(link.received.minus(earlier.0), elapsed), Rate::of(link.sent.minus(earlier.1), elapsed)))
}

impl Rate {
    fn of(amount: Amount, elapsed: Duration) -> Self {
        Self { stanzas: per_second(amount.stanzas, elapsed), bytes: per_second(amount.bytes, elapsed) }
    }
}

/// With three decimals.
fn per_second(count: u64, elapsed: Duration) -> f64 {
    (count as f64 / elapsed.as_secs_f64().max(0.001) * 1_000.0).round() / 1_000.0
}

fn in_seconds<S: serde::Serializer>(time: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(|time| time.as_secs_f64()).serialize(serializer)
}

#[cfg(test)]
pub(super) mod tests;
