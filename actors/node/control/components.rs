//! Answers commands about components.

use std::cmp::Reverse;

use tokio::sync::{mpsc, oneshot};
use xmpp::Domain;

use super::{
    commands::{ANSWERS, Sources, prepare},
    round::Round,
};
use crate::{
    routing::{mailroom, router},
    streams::listener,
};
use mailbox::drain;
use status::{
    amount::Amount,
    answer::{Closed, Components, Explanation, Queues},
    finding::{Closing, Explained, Finding, Refused, Served, Why},
    report::{self, Account, LinkReport, LinkState, QueueState},
    request::MOST,
    sentence,
};

impl Sources {
    /// All configured components, or one.
    pub(super) async fn components(&self, name: Option<&str>, round: &mut Round) -> Result<Finding, Refused> {
        let of = name.map(prepare).transpose()?;
        let components = self.configured(of.as_ref(), round).await?;
        if let (Some(name), true) = (&of, components.is_empty()) {
            let known = round.wait("router", self.known(name)).await;
            let above = known.and_then(|known| known.above);
            let place = above.map(|above| format!(": {}", sentence::below(name.as_str(), above.as_str())));
            let place = place.unwrap_or_default();
            let error = format!("{name} is not a configured component of this node{place}");
            return Err(Refused::new(Why::NotConfigured, error));
        }
        Ok(Finding::Components(Components { components }))
    }

    /// The state of a local domain.
    pub(super) async fn explain_own(&self, name: &Domain, round: &mut Round) -> Result<Finding, Refused> {
        let component = self.configured(Some(name), round).await?.pop();
        let link = component.as_ref().and_then(|component| component.link.clone());
        let links: Vec<LinkReport> = link.into_iter().collect();
        let explanation = Explanation {
            related: Vec::new(),
            above: None,
            domain: name.to_string(),
            sentence: String::new(),
            links_total: links.len(),
            links,
            queues: Vec::new(),
            queues_total: 0,
            account: Account::default(),
            events: Vec::new(),
            events_lost: 0,
        };
        let served = component.map_or(Served::Here, |component| Served::ByComponent(Box::new(component)));
        let (permitted, is_recorded) = (true, false);
        Ok(Finding::Explain(Box::new(Explained { explanation, permitted, is_recorded, served })))
    }

    /// Closes the connection of a component.
    pub(super) async fn close_own(&self, name: &Domain, round: &mut Round) -> Result<Finding, Refused> {
        if self.configured(Some(name), round).await?.is_empty() {
            let error =
                format!("{name} is served by this node itself: it has no connection that can be closed");
            return Err(Refused::new(Why::Own, error));
        }
        let (token, down) = drain::tokens();
        let (answer, told) = oneshot::channel();
        let _ = self.router.signal(router::DismissComponent { name: name.clone(), token, answer });
        let Some(connected) = round.wait("router", told).await else { return Err(round.refused("router")) };
        let down = !connected || down.within(self.patience.of_closing).await;
        if connected {
            log::info!(
                target: super::LOG, name:% = name, closed = down;
                "closed the connection of a component on request of an operator"
            );
        }
        let closed = Closed {
            domain: name.to_string(),
            sentence: String::new(),
            outgoing: 0,
            incoming: usize::from(connected),
            down,
            waiting: Amount::default(),
            nodes: Vec::new(),
        };
        Ok(Finding::Close(Closing { closed, is_component: true, is_known: true }))
    }

    /// What waits in the mailroom.
    async fn kept(&self, of: Option<&Domain>, round: &mut Round) -> Vec<mailroom::Shown> {
        let (answer, shown) = oneshot::channel();
        let _ = self.mailroom.signal_quietly(mailroom::Show { of: of.cloned(), answer });
        round.wait("mailroom", shown).await.unwrap_or_default()
    }

    /// Adds the queues of components for which something waits. The longest queues come first.
    pub(super) async fn add_queues_of_components(
        &self,
        of: Option<&Domain>,
        limit: usize,
        found: &mut Queues,
        round: &mut Round,
    ) {
        for kept in self.kept(of, round).await {
            if kept.waiting.stanzas == 0 {
                continue;
            }
            found.total += 1;
            found.waiting = found.waiting.plus(kept.waiting);
            found.queues.push(report::QueueReport {
                node: None,
                local: ANY_SENDER.to_owned(),
                remote: kept.name.to_string(),
                state: if kept.is_served { QueueState::Handover } else { QueueState::Absent },
                waiting: kept.waiting,
                kept: kept.kept,
                on_disk: kept.on_disk,
                open: Amount::default(),
                oldest: kept.oldest,
                next_attempt: None,
                failures: 0,
                trouble: None,
            });
        }
        found.queues.sort_by_key(|queue| Reverse(queue.waiting.stanzas));
        found.queues.truncate(limit);
    }

    async fn configured(
        &self,
        of: Option<&Domain>,
        round: &mut Round,
    ) -> Result<Vec<report::ComponentReport>, Refused> {
        let (answer, shown) = oneshot::channel();
        let _ = self.router.signal_quietly(router::ShowComponents { of: of.cloned(), answer });
        let Some(mut components) = round.wait("router", shown).await else {
            return Err(round.refused("router"));
        };
        // From here on the component is called by the first of its names.
        let of = match (of, components.first()) {
            (Some(_), Some(component)) => Some(prepare(&component.name)?),
            (Some(_), None) => return Ok(components),
            (None, _) => None,
        };
        for kept in self.kept(of.as_ref(), round).await {
            let name = kept.name.to_string();
            if let Some(component) = components.iter_mut().find(|component| component.name == name) {
                (component.waiting, component.kept, component.on_disk) =
                    (kept.waiting, kept.kept, kept.on_disk);
                component.first_answered = kept.first_answered;
            }
        }
        let Some(listener) = &self.components else { return Ok(components) };
        let (links, mut came) = mpsc::channel(ANSWERS);
        // The number of all connections is not needed.
        let total = oneshot::channel().0;
        let _ = listener.signal_quietly(listener::Show { of, limit: MOST, links, total });
        while let Some(link) = round.next("component", &mut came).await {
            let its = components.iter_mut().find(|component| component.name == link.name());
            if let Some(component) = its.filter(|_| link.state == LinkState::Authenticated) {
                component.link = Some(link);
            }
        }
        Ok(components)
    }
}

/// The sender in the report of a queue that has stanzas of all senders. No domain has this name.
const ANY_SENDER: &str = "*";
