//! How things stand with a domain, and what was done about it, in one sentence.

use crate::{
    amount::Amount,
    answer::{Closed, Related},
    event::{Event, What},
    report::{Component, Direction, Link, Pair, Queue, Seconds, State, Time, Trouble, Wait},
};

/// What a sentence is made of.
pub struct Facts<'a> {
    /// The remote domain.
    pub domain: &'a str,
    /// Whether the policy allows it.
    pub permitted: bool,
    /// Its links.
    pub links: &'a [Link],
    /// Its queues.
    pub queues: &'a [Queue],
    /// Its events, the oldest first.
    pub events: &'a [Event],
    /// The time of the answer.
    pub now: Time,
}

/// The state of a domain and why: `b.example: no link; its certificate expired on 2026-11-01; …`.
pub fn state(facts: &Facts<'_>) -> String {
    let mut sentence = format!("{}: {}", facts.domain, facts.state());
    if let Some(refused) = facts.refused() {
        sentence.push_str("; ");
        sentence.push_str(&refused);
    }
    sentence
}

/// What `retry` did.
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

/// What `close` did.
pub fn closed(closed: &Closed) -> String {
    let Closed { domain, outgoing, incoming, down, .. } = closed;
    if outgoing + incoming == 0 {
        return format!("{domain}: no open link to close; {}", waits(closed.waiting));
    }
    let count = count(outgoing + incoming, "link", "links");
    let done = if *down { "closed" } else { "closed on our side; the other side has not answered yet" };
    format!("{domain}: {count} {done} ({outgoing} opened here, {incoming} there); {}", waits(closed.waiting))
}

/// Related domains: `chat.b.example (1 link, nothing waits)`.
pub fn related(related: &[Related]) -> String {
    let one = |related: &Related| {
        let links = count(related.links, "link", "links");
        format!("{} ({links}, {})", related.domain, waits(related.waiting))
    };
    related.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// The state of a component: `echo.example.org: component not connected for 3 min; its last connection ended: …`.
pub fn component(component: &Component, now: Time) -> String {
    let Component { name, connected, since, last_end, refused, rejected, .. } = component;
    let time = Seconds(since.before(now));
    let mut parts = vec![match connected {
        true => format!("component connected for {time}"),
        false => format!("component not connected for {time}"),
    }];
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

/// What becomes of a domain that the rules forbid.
const NOT_ALLOWED: &str =
    "not allowed by s2s.allow and s2s.deny of this node; what is sent there is answered with not-allowed";

impl Facts<'_> {
    fn state(&self) -> String {
        if !self.permitted {
            return NOT_ALLOWED.to_owned();
        }
        if let Some((queue, trouble)) = self.trouble() {
            return self.no_link(queue, trouble);
        }
        let waits = waits(self.waiting());
        if let Some(link) = self.first(Direction::Outgoing, &[State::Connecting, State::Negotiating]) {
            return format!("a link is being made{}; {waits}{}", at(link), self.last_failure());
        }
        let standing = [State::Authenticated];
        let theirs = self.first(Direction::Incoming, &standing);
        match (self.first(Direction::Outgoing, &standing), theirs) {
            (Some(link), Some(_)) => format!("linked both ways{}; {waits}", self.particulars(link)),
            (Some(link), None) => {
                format!("linked from here, not from there{}; {waits}", self.particulars(link))
            }
            (None, _) if !self.queues.is_empty() => format!("no link yet; {waits}{}", self.last_failure()),
            (None, Some(link)) => {
                format!("linked from there, not from here{}; {waits}", self.particulars(link))
            }
            (None, None) => format!("no link; {waits}{}", self.last_event()),
        }
    }

    /// The queue in the worst trouble: the one that has most waiting, or else failed most often.
    fn trouble(&self) -> Option<(&Queue, &Trouble)> {
        let paused = self.queues.iter().filter(|queue| queue.state == Wait::Pause);
        let troubled = paused.filter_map(|queue| Some((queue, queue.trouble.as_ref()?)));
        troubled.max_by_key(|(queue, _)| (queue.waiting.stanzas, queue.failures))
    }

    fn no_link(&self, queue: &Queue, trouble: &Trouble) -> String {
        let elsewhere = self.first(Direction::Outgoing, &[State::Authenticated]).is_some();
        let from = if elsewhere { format!(" from {}", queue.local) } else { String::new() };
        let reason = trouble.reason.replace(&format!("certificate of {}", self.domain), "its certificate");
        let waiting = self.waiting();
        let wait = queue.next_attempt.unwrap_or_default();
        let next = match (waiting.stanzas, wait.0.is_zero()) {
            (1.., false) => format!("next attempt in {wait}"),
            (1.., true) => "next attempt now".to_owned(),
            (0, false) => format!("next attempt with the next stanza, in {wait} at the earliest"),
            (0, true) => "next attempt with the next stanza".to_owned(),
        };
        format!("no link{from}; {reason}; {}; {}, {next}", trouble.remedy, waits(waiting))
    }

    fn first(&self, direction: Direction, states: &[State]) -> Option<&Link> {
        let wanted = |link: &&Link| link.direction == direction && states.contains(&link.state);
        self.links.iter().find(wanted)
    }

    /// What waits for links, and on them.
    fn waiting(&self) -> Amount {
        // What waits for an attempt stands with its queue.
        let on_links = self.links.iter().filter(|link| link.state == State::Authenticated);
        let amounts = self.queues.iter().map(|queue| queue.waiting).chain(on_links.map(|link| link.waiting));
        amounts.fold(Amount::default(), Amount::plus)
    }

    /// ` for 2 h, dialback over TLSv1.3, though its certificate expired on 2026-11-01`
    fn particulars(&self, link: &Link) -> String {
        let how = link.mechanism.as_deref().unwrap_or("unknown");
        let tls = link.tls.as_ref();
        let over = tls.map_or_else(|| "in clear text".to_owned(), |tls| format!("over {}", tls.protocol));
        // EXTERNAL rests on a good one.
        let bad = tls.filter(|tls| tls.verdict != GOOD && link.mechanism.as_deref() == Some(DIALBACK));
        let though =
            bad.map_or_else(String::new, |tls| format!(", though its certificate {}", tls.certificate));
        format!(" for {}, {how} {over}{though}", Seconds(link.since.before(self.now)))
    }

    fn last_failure(&self) -> String {
        let trouble = self.queues.iter().find_map(|queue| queue.trouble.as_ref());
        trouble.map_or_else(String::new, |Trouble { reason, remedy, .. }| {
            format!("; the last attempt failed: {reason}; {remedy}")
        })
    }

    fn last_event(&self) -> String {
        let Some(event) = self.events.last() else { return String::new() };
        let age = Seconds(event.last.before(self.now));
        let what = match event.what {
            What::Disconnected => "its stream ended",
            other => other.as_str(),
        };
        let text = if event.text.is_empty() { String::new() } else { format!(" ({})", event.text) };
        format!("; last: {what} {age} ago{text}")
    }

    /// What it was refused when it last came here.
    fn refused(&self) -> Option<String> {
        let about_incoming = |event: &&Event| {
            matches!(event.what, What::ConnectedToUs | What::Refused | What::Verified | What::Disconnected)
        };
        let event = self.events.iter().rev().find(about_incoming)?;
        let standing = self.first(Direction::Incoming, &[State::Authenticated]).is_some();
        let refused = matches!(event.what, What::Refused | What::Verified) && !standing;
        let age = Seconds(event.last.before(self.now));
        refused.then(|| format!("its last incoming connection was refused {age} ago: {}", event.text))
    }
}

fn at(link: &Link) -> String {
    match link.address {
        Some(address) => format!(", negotiating with {address}"),
        None => String::new(),
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

/// The verdict on a certificate that proves its domain.
const GOOD: &str = "good";

/// The mechanism as [`report::Link`](crate::report::Link) names it.
const DIALBACK: &str = "dialback";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::report::{Pair, Side, Tls};

    fn trouble() -> Trouble {
        Trouble {
            reason: "certificate of b.example expired on 2026-11-01".to_owned(),
            definitive: true,
            cause: "certificate-expired".to_owned(),
            side: Side::Remote,
            remedy: "b.example's administrator has to renew it".to_owned(),
        }
    }

    fn queue(state: Wait, stanzas: u64, next: Option<u64>) -> Queue {
        Queue {
            local: "a.example".to_owned(),
            remote: "b.example".to_owned(),
            state,
            waiting: Amount { stanzas, bytes: 100 * stanzas },
            oldest: None,
            next_attempt: next.map(|seconds| Seconds(Duration::from_secs(seconds))),
            failures: 1,
            trouble: Some(trouble()),
        }
    }

    fn link(direction: Direction, state: State) -> Link {
        let tls = Tls {
            protocol: "TLSv1.3".to_owned(),
            cipher: "TLS_AES_256_GCM_SHA384".to_owned(),
            certificate: "good".to_owned(),
            verdict: "good".to_owned(),
            expires: None,
            fingerprint: None,
        };
        Link {
            direction,
            state,
            pairs: vec![Pair { local: "a.example".to_owned(), remote: Some("b.example".to_owned()) }],
            pairs_not_shown: 0,
            address: Some(([127, 0, 0, 1], 5269).into()),
            since: Time(Time::now().0 - Duration::from_secs(7_300)),
            mechanism: Some("EXTERNAL".to_owned()),
            tls: Some(tls),
            received: Amount::default(),
            sent: Amount::default(),
            waiting: Amount::default(),
            idle: Seconds::default(),
        }
    }

    fn told(links: &[Link], queues: &[Queue], events: &[Event]) -> String {
        let now = Time::now();
        state(&Facts { domain: "b.example", permitted: true, links, queues, events, now })
    }

    #[test]
    fn no_link_says_why_who_has_to_act_and_when_it_is_tried_again() {
        assert_eq!(
            told(&[], &[queue(Wait::Pause, 12, Some(34))], &[]),
            "b.example: no link; its certificate expired on 2026-11-01; b.example's administrator has to renew \
             it; 12 stanzas wait, next attempt in 34 s"
        );
        let nothing = told(&[], &[queue(Wait::Pause, 0, Some(0))], &[]);
        assert!(nothing.ends_with("; nothing waits, next attempt with the next stanza"), "{nothing}");
    }

    #[test]
    fn a_link_for_another_domain_of_ours_is_not_passed_over() {
        let other = link(Direction::Outgoing, State::Authenticated);
        let told = told(&[other], &[queue(Wait::Pause, 1, Some(3))], &[]);
        assert!(told.starts_with("b.example: no link from a.example; its certificate"), "{told}");
    }

    #[test]
    fn links_are_told_by_their_directions() {
        let outgoing = link(Direction::Outgoing, State::Authenticated);
        let incoming = link(Direction::Incoming, State::Authenticated);
        let both = told(&[outgoing.clone(), incoming.clone()], &[], &[]);
        assert_eq!(both, "b.example: linked both ways for 2 h, EXTERNAL over TLSv1.3; nothing waits");
        let here = told(&[outgoing], &[], &[]);
        assert!(here.starts_with("b.example: linked from here, not from there for 2 h"), "{here}");
        let there = told(&[incoming], &[], &[]);
        assert!(there.starts_with("b.example: linked from there, not from here"), "{there}");
    }

    #[test]
    fn a_link_by_dialback_tells_of_the_certificate_that_it_does_not_rest_on() {
        let mut outgoing = link(Direction::Outgoing, State::Authenticated);
        outgoing.mechanism = Some("dialback".to_owned());
        let good = told(std::slice::from_ref(&outgoing), &[], &[]);
        assert!(good.ends_with(", dialback over TLSv1.3; nothing waits"), "{good}");
        if let Some(tls) = &mut outgoing.tls {
            tls.certificate = "expired on 2026-11-01".to_owned();
            tls.verdict = "expired".to_owned();
        }
        let incoming = link(Direction::Incoming, State::Authenticated);
        assert_eq!(
            told(&[outgoing, incoming], &[], &[]),
            "b.example: linked both ways for 2 h, dialback over TLSv1.3, though its certificate expired on \
             2026-11-01; nothing waits"
        );
    }

    #[test]
    fn an_attempt_under_way_comes_with_the_last_failure() {
        let attempt = link(Direction::Outgoing, State::Negotiating);
        assert_eq!(
            told(&[attempt], &[queue(Wait::Attempt, 1, None)], &[]),
            "b.example: a link is being made, negotiating with 127.0.0.1:5269; 1 stanza waits; the last attempt \
             failed: certificate of b.example expired on 2026-11-01; b.example's administrator has to renew it"
        );
    }

    #[test]
    fn a_refusal_on_its_own_stream_is_told_until_it_is_admitted() {
        let refused = Event::now(What::Refused).saying("its certificate is self-signed");
        let admitted = Event::now(What::ConnectedToUs);
        let outgoing = link(Direction::Outgoing, State::Authenticated);
        let one = told(std::slice::from_ref(&outgoing), &[], std::slice::from_ref(&refused));
        assert!(one.contains("; its last incoming connection was refused "), "{one}");
        assert!(one.ends_with(" ago: its certificate is self-signed"), "{one}");
        let both = told(&[outgoing], &[], &[refused, admitted]);
        assert!(!both.contains("refused"), "{both}");
    }

    #[test]
    fn a_domain_that_is_not_allowed_is_told_by_our_own_rule() {
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
    fn what_an_operator_did_is_told_with_its_numbers() {
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
