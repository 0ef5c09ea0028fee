//! Answers commands about components.

use tokio::sync::{mpsc, oneshot};
use xmpp::Domain;

use super::{
    commands::{ANSWERS, CLOSE_WITHIN, Sources, prepare},
    round::{Round, silent},
};
use crate::{routing::router, streams::listener};
use mailbox::drain;
use status::{
    amount::Amount,
    answer::{Closed, Components, Explanation, Refusal},
    report::{self, Account, LinkReport, LinkState, Time},
    request::MOST,
    sentence,
};

impl Sources {
    /// All configured components, or one.
    pub(super) async fn components(&self, name: Option<&str>) -> Result<String, Refusal> {
        let of = name.map(prepare).transpose()?;
        let mut round = Round::begin();
        let components = self.configured(of.as_ref(), &mut round).await?;
        if let (Some(name), true) = (&of, components.is_empty()) {
            return Err(Refusal::new(format!("{name} is not a configured component of this node")));
        }
        Ok(self.document(round, Components { components }))
    }

    /// The state of a local domain.
    pub(super) async fn explain_own(&self, name: &Domain, mut round: Round) -> Result<String, Refusal> {
        let component = self.configured(Some(name), &mut round).await?.pop();
        let sentence = match &component {
            Some(component) => sentence::component(component, Time::now()),
            None => format!("{name}: served by this node itself, without a component"),
        };
        let links: Vec<LinkReport> = component.and_then(|component| component.link).into_iter().collect();
        let found = Explanation {
            related: Vec::new(),
            domain: name.to_string(),
            sentence,
            links_total: links.len(),
            links,
            queues: Vec::new(),
            queues_total: 0,
            account: Account::default(),
            events: Vec::new(),
            events_lost: 0,
        };
        Ok(self.document(round, found))
    }

    /// Closes the connection of a component.
    pub(super) async fn close_own(&self, name: &Domain, mut round: Round) -> Result<String, Refusal> {
        if self.configured(Some(name), &mut round).await?.is_empty() {
            return Err(Refusal::new(format!(
                "{name} is served by this node itself: it has no connection that can be closed"
            )));
        }
        let (token, down) = drain::tokens();
        let (answer, told) = oneshot::channel();
        let _ = self.router.signal(router::DismissComponent { name: name.clone(), token, answer });
        let Some(connected) = round.wait("router", told).await else { return Err(silent("router")) };
        let down = !connected || down.within(CLOSE_WITHIN).await;
        let sentence = match (connected, down) {
            (false, _) => format!("{name}: the component is not connected"),
            (true, true) => {
                format!("{name}: the connection of the component is closed; it may connect again")
            }
            (true, false) => format!("{name}: the connection of the component is being closed"),
        };
        if connected {
            log::info!(
                target: super::LOG, name:% = name, closed = down;
                "closed the connection of a component on request of an operator"
            );
        }
        let (domain, incoming) = (name.to_string(), usize::from(connected));
        let waiting = Amount::default();
        Ok(self.document(round, Closed { domain, sentence, outgoing: 0, incoming, down, waiting }))
    }

    async fn configured(
        &self,
        of: Option<&Domain>,
        round: &mut Round,
    ) -> Result<Vec<report::ComponentReport>, Refusal> {
        let (answer, shown) = oneshot::channel();
        let _ = self.router.signal(router::ShowComponents { of: of.cloned(), answer });
        let Some(mut components) = round.wait("router", shown).await else { return Err(silent("router")) };
        let Some(listener) = &self.components else { return Ok(components) };
        let (links, mut came) = mpsc::channel(ANSWERS);
        // The number of all connections is not needed.
        let total = oneshot::channel().0;
        let _ = listener.signal(listener::Show { of: of.cloned(), limit: MOST, links, total });
        while let Some(link) = round.next("component", &mut came).await {
            let its = components.iter_mut().find(|component| component.name == link.name());
            if let Some(component) = its.filter(|_| link.state == LinkState::Authenticated) {
                component.link = Some(link);
            }
        }
        Ok(components)
    }
}
