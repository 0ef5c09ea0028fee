//! One sentence about the state of a domain or component, or about the result of a command.

use crate::{
    amount::Amount,
    answer::{Closed, Related},
    event::{Event, EventKind},
    report::{
        Acknowledgement, Acks, Authentication, ComponentReport, Direction, FailureReport, LinkReport,
        LinkState, Pair, QueueReport, QueueState, Seconds, Time, Verdict,
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
    sentence
}

/// Describes the result of `retry`.
pub fn retried(domain: &str, begun: &[Pair], under_way: usize, links: usize, permitted: bool) -> String {
    if !permitted {
        return format!("{domain}: {NOT_ALLOWED}");
    }
    match (begun.len(), under_way) {
        (1.., _) => {
            let pairs: Vec<String> = begun.iter().map(ToString::to_string).collect();
            format!("{domain}: retrying now ({})", pairs.join(", "))
        }
        (0, 1..) => format!("{domain}: a connection attempt is already being made"),
        (0, 0) if links > 0 => format!("{domain}: nothing to retry, the link is open"),
        (0, 0) => {
            format!("{domain}: nothing is queued; the next stanza will start a connection attempt")
        }
    }
}

/// Describes the result of `close`.
pub fn closed(closed: &Closed) -> String {
    let Closed { domain, outgoing, incoming, down, .. } = closed;
    if outgoing + incoming == 0 {
        return format!("{domain}: no open link to close; {}", waits(closed.waiting));
    }
    let count = count(outgoing + incoming, "link", "links");
    let done = if *down { "closed" } else { "closed on our side; the other side has not answered yet" };
    format!("{domain}: {count} {done} ({outgoing} opened here, {incoming} there); {}", waits(closed.waiting))
}

/// Lists related domains: `chat.b.example (1 link, nothing waits)`.
pub fn related(related: &[Related]) -> String {
    let one = |related: &Related| {
        let links = count(related.links, "link", "links");
        format!("{} ({links}, {})", related.domain, waits(related.waiting))
    };
    related.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Describes the state of a component: `echo.example.org: component not connected for 3 min; its last
/// connection ended: …`.
pub fn component(component: &ComponentReport, now: Time) -> String {
    let ComponentReport {
        name, connected, since, last_end, refused, waiting, first_answered, rejected, ..
    } = component;
    let time = Seconds(since.before(now));
    let mut parts = vec![match connected {
        true => format!("component connected for {time}"),
        false => format!("component not connected for {time}"),
    }];
    if waiting.stanzas > 0 {
        let first = first_answered.map(|time| format!(", the first is answered with an error in {time}"));
        parts.push(format!("{}{}", waits(*waiting), first.unwrap_or_default()));
    }
    match last_end {
        Some(ending) => parts.push(format!("its last connection ended: {}", ending.reason)),
        None if !connected => parts.push("it has not connected since the start of the node".to_owned()),
        None => {}
    }
    if rejected.count > 0 {
        let attempts =
            count(usize::try_from(rejected.count).unwrap_or(usize::MAX), "connection", "connections");
        let from = rejected.address.map_or_else(String::new, |address| format!(", the last from {address}"));
        parts.push(format!("{attempts} with a wrong secret since the node started{from}"));
    }
    if refused.stanzas > 0 {
        parts
            .push(format!("{} stanzas answered with an error because it was not connected", refused.stanzas));
    }
    format!("{name}: {}", parts.join("; "))
}

/// The state of a domain that the policy forbids.
const NOT_ALLOWED: &str =
    "not allowed by s2s.allow and s2s.deny of this node; stanzas to it are answered with not-allowed";

impl Facts<'_> {
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
            return format!("a link is being made{}; {waits}{}", at(link), self.last_failure());
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
        let failed = paused.filter_map(|queue| Some((queue, queue.trouble.as_ref()?)));
        failed.max_by_key(|(queue, _)| (queue.waiting.stanzas, queue.failures))
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
        format!("no link{from}; {}; {}; {}, {next}", failure.reason, failure.remedy, self.waits())
    }

    fn first(&self, direction: Direction, states: &[LinkState]) -> Option<&LinkReport> {
        let wanted = |link: &&LinkReport| link.direction == direction && states.contains(&link.state);
        self.links.iter().find(wanted)
    }

    /// The stanzas in queues and on authenticated links.
    fn waiting(&self) -> Amount {
        // A link that is not authenticated shows the stanzas of its queue.
        let on_links = self.links.iter().filter(|link| link.state == LinkState::Authenticated);
        let amounts = self.queues.iter().map(|queue| queue.waiting).chain(on_links.map(|link| link.waiting));
        amounts.fold(Amount::default(), Amount::plus)
    }

    /// `12 stanzas wait (3 of them may have arrived)`
    fn waits(&self) -> String {
        let open: u64 = self.queues.iter().map(|queue| queue.open.stanzas).sum();
        let waiting = self.waiting();
        let waits = waits(waiting);
        let waits = match self.queues.iter().map(|queue| queue.kept).sum::<u64>() {
            0 => waits,
            kept if kept >= waiting.stanzas => format!("{waits}, all of them in the journal"),
            kept => format!("{waits}, {kept} of them in the journal"),
        };
        let waits = match self.queues.iter().map(|queue| queue.on_disk.stanzas).sum::<u64>() {
            0 => waits,
            on_disk => format!("{waits}, {on_disk} of them on the disk only, because the queue is full"),
        };
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
        format!(" for {}, {how} {over}{though}", Seconds(link.since.before(self.now)))
    }

    fn last_failure(&self) -> String {
        let failure = self.queues.iter().find_map(|queue| queue.trouble.as_ref());
        failure.map_or_else(String::new, |FailureReport { reason, remedy, .. }| {
            format!("; the last attempt failed: {reason}; {remedy}")
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
        format!("; last: {what} {age} ago{text}")
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
        refused.then(|| format!("its last incoming connection was refused {age} ago: {}", event.text))
    }
}

fn at(link: &LinkReport) -> String {
    match link.address {
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

/// `12 stanzas wait`
fn waits(amount: Amount) -> String {
    match amount.stanzas {
        0 => "nothing waits".to_owned(),
        1 => "1 stanza waits".to_owned(),
        many => format!("{many} stanzas wait"),
    }
}

fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::report::{Pair, Side, TlsReport};

    fn failure() -> FailureReport {
        FailureReport {
            reason: "certificate of b.example expired on 2026-11-01".to_owned(),
            definitive: true,
            cause: "certificate-expired".to_owned(),
            side: Side::Remote,
            remedy: "the operator of b.example must renew it".to_owned(),
        }
    }

    fn queue(state: QueueState, stanzas: u64, next: Option<u64>) -> QueueReport {
        QueueReport {
            local: "a.example".to_owned(),
            remote: "b.example".to_owned(),
            state,
            waiting: Amount { stanzas, bytes: 100 * stanzas },
            kept: 0,
            on_disk: Amount::default(),
            open: Amount::default(),
            oldest: None,
            next_attempt: next.map(|seconds| Seconds(Duration::from_secs(seconds))),
            failures: 1,
            trouble: Some(failure()),
        }
    }

    fn link(direction: Direction, state: LinkState) -> LinkReport {
        let tls = TlsReport {
            protocol: "TLSv1.3".to_owned(),
            cipher: "TLS_AES_256_GCM_SHA384".to_owned(),
            certificate: "good".to_owned(),
            verdict: Verdict::Good,
            expires: None,
            fingerprint: None,
        };
        LinkReport {
            direction,
            state,
            pairs: vec![Pair { local: "a.example".to_owned(), remote: Some("b.example".to_owned()) }],
            pairs_not_shown: 0,
            address: Some(([127, 0, 0, 1], 5269).into()),
            since: Time(Time::now().0 - Duration::from_secs(7_300)),
            mechanism: Some(Authentication::External),
            tls: Some(tls),
            received: Amount::default(),
            sent: Amount::default(),
            waiting: Amount::default(),
            acknowledgement: Acknowledgement::default(),
            idle: Seconds::default(),
        }
    }

    fn sentence(links: &[LinkReport], queues: &[QueueReport], events: &[Event]) -> String {
        let now = Time::now();
        state(&Facts { domain: "b.example", permitted: true, links, queues, events, now })
    }

    #[test]
    fn an_absent_component_comes_with_what_waits_for_it() {
        let now = Time::now();
        let absent = ComponentReport {
            name: "echo.example.org".to_owned(),
            connected: false,
            since: Time(now.0 - Duration::from_secs(12)),
            last_end: None,
            refused: Amount::default(),
            waiting: Amount { stanzas: 31, bytes: 3100 },
            first_answered: Some(Seconds(Duration::from_secs(288))),
            rejected: crate::report::Rejections::default(),
            link: None,
        };
        assert_eq!(
            component(&absent, now),
            "echo.example.org: component not connected for 12 s; 31 stanzas wait, the first is answered with an error in 4 min; \
             it has not connected since the start of the node"
        );
        let idle = ComponentReport { waiting: Amount::default(), ..absent };
        assert!(!component(&idle, now).contains("wait"), "{}", component(&idle, now));
    }

    #[test]
    fn a_missing_link_comes_with_reason_remedy_and_next_attempt() {
        assert_eq!(
            sentence(&[], &[queue(QueueState::Pause, 12, Some(34))], &[]),
            "b.example: no link; certificate of b.example expired on 2026-11-01; the operator of b.example must \
             renew it; 12 stanzas wait, next attempt in 34 s"
        );
        let nothing = sentence(&[], &[queue(QueueState::Pause, 0, Some(0))], &[]);
        assert!(nothing.ends_with("; nothing waits, next attempt with the next stanza"), "{nothing}");
    }

    #[test]
    fn a_link_of_another_local_domain_is_mentioned() {
        let other = link(Direction::Outgoing, LinkState::Authenticated);
        let sentence = sentence(&[other], &[queue(QueueState::Pause, 1, Some(3))], &[]);
        assert!(
            sentence.starts_with("b.example: no link from a.example; certificate of b.example"),
            "{sentence}"
        );
    }

    #[test]
    fn links_are_named_by_direction() {
        let outgoing = link(Direction::Outgoing, LinkState::Authenticated);
        let incoming = link(Direction::Incoming, LinkState::Authenticated);
        let both = sentence(&[outgoing.clone(), incoming.clone()], &[], &[]);
        assert_eq!(both, "b.example: linked both ways for 2 h, EXTERNAL over TLSv1.3; nothing waits");
        let here = sentence(&[outgoing], &[], &[]);
        assert!(here.starts_with("b.example: linked from here, not from there for 2 h"), "{here}");
        let there = sentence(&[incoming], &[], &[]);
        assert!(there.starts_with("b.example: linked from there, not from here"), "{there}");
    }

    #[test]
    fn a_link_tells_what_is_not_acknowledged() {
        let mut outgoing = link(Direction::Outgoing, LinkState::Authenticated);
        outgoing.acknowledgement.acks = Acks::Yes;
        let incoming = link(Direction::Incoming, LinkState::Authenticated);
        let all = sentence(&[outgoing.clone(), incoming], &[], &[]);
        assert!(all.ends_with("over TLSv1.3; nothing waits; all stanzas acknowledged"), "{all}");
        outgoing.acknowledgement.open.stanzas = 37;
        outgoing.acknowledgement.open_for = Some(Seconds(Duration::from_secs(4)));
        let some = sentence(std::slice::from_ref(&outgoing), &[], &[]);
        assert!(some.ends_with("; nothing waits; 37 stanzas sent, not acknowledged for 4 s"), "{some}");
        outgoing.acknowledgement = Acknowledgement {
            open: Amount { stanzas: 1, bytes: 9 },
            open_for: None,
            ..outgoing.acknowledgement
        };
        let one = sentence(&[outgoing], &[], &[]);
        assert!(one.ends_with("; 1 stanza sent, not acknowledged yet"), "{one}");
    }

    #[test]
    fn stanzas_of_a_lost_link_are_told_apart_from_those_that_were_never_sent() {
        let mut paused = queue(QueueState::Pause, 12, Some(34));
        paused.open.stanzas = 3;
        let lost = sentence(&[], &[paused], &[]);
        assert!(
            lost.ends_with("; 12 stanzas wait (3 of them may have arrived), next attempt in 34 s"),
            "{lost}"
        );
    }

    #[test]
    fn a_link_by_dialback_names_the_problem_of_its_certificate() {
        let mut outgoing = link(Direction::Outgoing, LinkState::Authenticated);
        outgoing.mechanism = Some(Authentication::Dialback);
        let good = sentence(std::slice::from_ref(&outgoing), &[], &[]);
        assert!(good.ends_with(", dialback over TLSv1.3; nothing waits"), "{good}");
        if let Some(tls) = &mut outgoing.tls {
            tls.certificate = "expired on 2026-11-01".to_owned();
            tls.verdict = Verdict::Expired;
        }
        let incoming = link(Direction::Incoming, LinkState::Authenticated);
        assert_eq!(
            sentence(&[outgoing, incoming], &[], &[]),
            "b.example: linked both ways for 2 h, dialback over TLSv1.3, though its certificate expired on \
             2026-11-01; nothing waits"
        );
    }

    #[test]
    fn an_attempt_under_way_comes_with_the_last_failure() {
        let attempt = link(Direction::Outgoing, LinkState::Negotiating);
        assert_eq!(
            sentence(&[attempt], &[queue(QueueState::Attempt, 1, None)], &[]),
            "b.example: a link is being made, negotiating with 127.0.0.1:5269; 1 stanza waits; the last attempt \
             failed: certificate of b.example expired on 2026-11-01; the operator of b.example must renew it"
        );
    }

    #[test]
    fn a_refused_incoming_stream_is_mentioned_until_one_is_admitted() {
        let refused = Event::now(EventKind::Refused).saying("its certificate is self-signed");
        let admitted = Event::now(EventKind::ConnectedToUs);
        let outgoing = link(Direction::Outgoing, LinkState::Authenticated);
        let one = sentence(std::slice::from_ref(&outgoing), &[], std::slice::from_ref(&refused));
        assert!(one.contains("; its last incoming connection was refused "), "{one}");
        assert!(one.ends_with(" ago: its certificate is self-signed"), "{one}");
        let both = sentence(&[outgoing], &[], &[refused, admitted]);
        assert!(!both.contains("refused"), "{both}");
    }

    #[test]
    fn a_forbidden_domain_names_the_setting() {
        let facts = Facts {
            domain: "b.example",
            permitted: false,
            links: &[],
            queues: &[],
            events: &[],
            now: Time::now(),
        };
        assert!(state(&facts).starts_with("b.example: not allowed by s2s.allow and s2s.deny"));
    }

    #[test]
    fn the_result_of_a_command_has_its_numbers() {
        let done = Closed {
            domain: "b.example".to_owned(),
            sentence: String::new(),
            outgoing: 1,
            incoming: 1,
            down: true,
            waiting: Amount { stanzas: 3, bytes: 300 },
        };
        assert_eq!(closed(&done), "b.example: 2 links closed (1 opened here, 1 there); 3 stanzas wait");
        assert_eq!(retried("b.example", &[], 0, 1, true), "b.example: nothing to retry, the link is open");
        let denied = retried("b.example", &[], 0, 0, false);
        assert!(denied.starts_with("b.example: not allowed by s2s.allow and s2s.deny"), "{denied}");
    }
}
