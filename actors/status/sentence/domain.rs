//! The sentence about a remote domain: its links, the stanzas that wait for it, and the last failure.

use super::{
    NOT_ALLOWED,
    below::{below, position},
    count,
    nodes::{by, waits_on},
    with_journal,
};
use crate::{
    amount::Amount,
    event::{Event, EventKind},
    report::{
        Acknowledgement, Acks, Authentication, Direction, FailureReport, LinkReport, LinkState, QueueReport,
        QueueState, Seconds, Time, Verdict,
    },
};

/// The facts about a domain, from which its sentence is made.
pub struct Facts<'a> {
    /// The remote domain.
    pub domain: &'a str,
    /// Whether the policy allows it.
    pub permitted: bool,
    /// The links with the domain.
    pub links: &'a [LinkReport],
    /// The queues for the domain.
    pub queues: &'a [QueueReport],
    /// The events of the domain, the oldest first.
    pub events: &'a [Event],
    /// The domain of the node above it, if no component serves it.
    pub above: Option<&'a str>,
    /// The node that was asked, if all of this is of the nodes of a cluster.
    pub here: Option<&'a str>,
    /// The time of the answer.
    pub now: Time,
}

/// Describes the state of a domain: `b.example: no link; certificate of b.example expired on 2026-11-01; …`.
pub fn state(facts: &Facts<'_>) -> String {
    let mut sentence = format!("{}: {}", facts.domain, facts.state());
    if let Some(refused) = facts.refused() {
        sentence.push_str("; ");
        sentence.push_str(&refused);
    }
    if let Some(above) = facts.above {
        sentence.push_str("; ");
        sentence.push_str(&facts.place(above));
    }
    sentence
}

impl Facts<'_> {
    /// Its place below a domain of the node. One that is linked is on another server, and needs no advice.
    fn place(&self, above: &str) -> String {
        match self.links.iter().any(|link| link.state == LinkState::Authenticated) {
            true => position(above),
            false => below(self.domain, above),
        }
    }

    fn state(&self) -> String {
        if !self.permitted {
            return NOT_ALLOWED.to_owned();
        }
        if let Some((queue, failure)) = self.failed_queue() {
            return self.no_link(queue, failure);
        }
        let waits = self.waits();
        if let Some(link) = self.first(Direction::Outgoing, &[LinkState::Connecting, LinkState::Negotiating])
        {
            let by = by(link.node.as_deref(), self.here);
            return format!("a link is being made{by}{}; {waits}{}", at(link), self.last_failure());
        }
        let standing = [LinkState::Authenticated];
        let theirs = self.first(Direction::Incoming, &standing);
        match (self.first(Direction::Outgoing, &standing), theirs) {
            (Some(link), Some(_)) => {
                format!("linked both ways{}; {waits}{}", self.particulars(link), acknowledged(link))
            }
            (Some(link), None) => format!(
                "linked from here, not from there{}; {waits}{}",
                self.particulars(link),
                acknowledged(link)
            ),
            (None, _) if !self.queues.is_empty() => format!("no link yet; {waits}{}", self.last_failure()),
            (None, Some(link)) => {
                format!("linked from there, not from here{}; {waits}", self.particulars(link))
            }
            (None, None) => format!("no link; {waits}{}", self.last_event()),
        }
    }

    /// The paused queue with the most waiting stanzas, or else with the most failures.
    fn failed_queue(&self) -> Option<(&QueueReport, &FailureReport)> {
        let paused = self.queues.iter().filter(|queue| queue.state == QueueState::Pause);
        // A node may have failed to learn which other node has the link of the pair.
        let paused =
            paused.filter(|queue| self.here.is_none() || queue.waiting.stanzas > 0 || !self.is_linked(queue));
        let failed = paused.filter_map(|queue| Some((queue, queue.trouble.as_ref()?)));
        failed.max_by_key(|(queue, _)| (queue.waiting.stanzas, queue.failures))
    }

    /// Whether a node of the cluster has a link for the pair of a queue.
    fn is_linked(&self, queue: &QueueReport) -> bool {
        let is_for = |link: &LinkReport| {
            let mut pairs = link.pairs.iter();
            pairs.any(|pair| pair.local == queue.local && pair.remote.as_ref() == Some(&queue.remote))
        };
        let links = self.links.iter().filter(|link| link.direction == Direction::Outgoing);
        links.filter(|link| link.state == LinkState::Authenticated).any(is_for)
    }

    fn no_link(&self, queue: &QueueReport, failure: &FailureReport) -> String {
        let elsewhere = self.first(Direction::Outgoing, &[LinkState::Authenticated]).is_some();
        let from = if elsewhere { format!(" from {}", queue.local) } else { String::new() };
        let waiting = self.waiting();
        let wait = queue.next_attempt.unwrap_or_default();
        let next = match (waiting.stanzas, wait.0.is_zero()) {
            (1.., false) => format!("next attempt in {wait}"),
            (1.., true) => "next attempt now".to_owned(),
            (0, false) => format!("next attempt with the next stanza, in {wait} at the earliest"),
            (0, true) => "next attempt with the next stanza".to_owned(),
        };
        let by = by(queue.node.as_deref(), self.here);
        format!("no link{from}; {}; {}; {}, {next}{by}", failure.reason, failure.remedy, self.waits())
    }

    fn first(&self, direction: Direction, states: &[LinkState]) -> Option<&LinkReport> {
        let wanted = |link: &&LinkReport| link.direction == direction && states.contains(&link.state);
        self.links.iter().find(wanted)
    }

    /// The stanzas in queues and on authenticated links, with their nodes.
    fn amounts(&self) -> impl Iterator<Item = (Option<&str>, Amount)> {
        // A link that is not authenticated shows the stanzas of its queue.
        let on_links = self.links.iter().filter(|link| link.state == LinkState::Authenticated);
        let in_queues = self.queues.iter().map(|queue| (queue.node.as_deref(), queue.waiting));
        in_queues.chain(on_links.map(|link| (link.node.as_deref(), link.waiting)))
    }

    fn waiting(&self) -> Amount {
        self.amounts().map(|(_, amount)| amount).fold(Amount::default(), Amount::plus)
    }

    /// `12 stanzas wait (3 of them may have arrived)`
    fn waits(&self) -> String {
        let open: u64 = self.queues.iter().map(|queue| queue.open.stanzas).sum();
        let kept = self.queues.iter().map(|queue| queue.kept).sum();
        let on_disk = self.queues.iter().map(|queue| queue.on_disk.stanzas).sum();
        let waits = with_journal(waits_on(self.amounts(), self.here), self.waiting(), kept, on_disk);
        match open {
            0 => waits,
            some => format!("{waits} ({some} of them may have arrived)"),
        }
    }

    /// ` for 2 h, dialback over TLSv1.3, though its certificate expired on 2026-11-01`
    fn particulars(&self, link: &LinkReport) -> String {
        let how = link.mechanism.map_or("unknown", Authentication::as_str);
        let tls = link.tls.as_ref();
        let over = tls.map_or_else(|| "in clear text".to_owned(), |tls| format!("over {}", tls.protocol));
        // EXTERNAL requires a good certificate.
        let bad = tls
            .filter(|tls| tls.verdict != Verdict::Good && link.mechanism == Some(Authentication::Dialback));
        let though =
            bad.map_or_else(String::new, |tls| format!(", though its certificate {}", tls.certificate));
        let by = by(link.node.as_deref(), self.here);
        format!(" for {}{by}, {how} {over}{though}", Seconds(link.since.before(self.now)))
    }

    fn last_failure(&self) -> String {
        let failure = self.queues.iter().find_map(|queue| Some((queue, queue.trouble.as_ref()?)));
        failure.map_or_else(String::new, |(queue, FailureReport { reason, remedy, .. })| {
            let by = by(queue.node.as_deref(), self.here);
            format!("; the last attempt{by} failed: {reason}; {remedy}")
        })
    }

    fn last_event(&self) -> String {
        let Some(event) = self.events.last() else { return String::new() };
        let age = Seconds(event.last.before(self.now));
        let what = match event.what {
            EventKind::Disconnected => "its stream ended",
            other => other.as_str(),
        };
        let text = if event.text.is_empty() { String::new() } else { format!(" ({})", event.text) };
        format!("; last: {what} {age} ago{}{text}", by(event.node.as_deref(), self.here))
    }

    /// The refusal of its last incoming connection.
    fn refused(&self) -> Option<String> {
        let about_incoming = |event: &&Event| {
            matches!(
                event.what,
                EventKind::ConnectedToUs | EventKind::Refused | EventKind::Verified | EventKind::Disconnected
            )
        };
        let event = self.events.iter().rev().find(about_incoming)?;
        let standing = self.first(Direction::Incoming, &[LinkState::Authenticated]).is_some();
        let refused = matches!(event.what, EventKind::Refused | EventKind::Verified) && !standing;
        let age = Seconds(event.last.before(self.now));
        let by = by(event.node.as_deref(), self.here);
        refused.then(|| format!("its last incoming connection was refused {age} ago{by}: {}", event.text))
    }
}

fn at(link: &LinkReport) -> String {
    match &link.address {
        Some(address) => format!(", negotiating with {address}"),
        None => String::new(),
    }
}

/// `; 37 stanzas sent, not acknowledged for 4 s`; nothing for a link that is not acknowledged.
fn acknowledged(link: &LinkReport) -> String {
    let Acknowledgement { acks, open, open_for, .. } = link.acknowledgement;
    match (acks, open.stanzas) {
        (Acks::No, _) => String::new(),
        (_, 0) => "; all stanzas acknowledged".to_owned(),
        (_, stanzas) => {
            let count = count(usize::try_from(stanzas).unwrap_or(usize::MAX), "stanza", "stanzas");
            let age = open_for.map_or_else(|| "yet".to_owned(), |age| format!("for {age}"));
            format!("; {count} sent, not acknowledged {age}")
        }
    }
}
