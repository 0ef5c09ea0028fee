//! Answers commands with data of the actors: asks them all at once, waits for all answers, and names the actors that did
//! not answer in time.
//!
//! Architecture Invariant: this is no actor. Each question is a message with the sender for its answer, so the actors
//! never wait.

use std::net::SocketAddr;

use serde::Serialize;
use tokio::sync::{
    mpsc::{self},
    oneshot,
};
use xmpp::{Domain, DomainPair};

use super::{
    round::{Patience, Round},
    session_line,
};
use crate::{
    observe::recorder::{self, Recorder},
    relaying::cluster::Cluster,
    routing::{
        mailroom::Mailroom,
        promise::{self, Promise},
        router::{self, Router},
    },
    streams::listener::{self, Listener},
};
use mailbox::{Mailbox, drain, monitor::Monitor};
use status::{
    amount::Amount,
    answer::{Answer, Closed, Expected, Explanation, PairAt, Queues, Refusal, Retried, Sessions},
    finding::{Closing, Explained, Finding, Found, Head, MOST_EXPLAINED, Refused, Retries, Served, Why},
    report::{Account, Pair, Time},
    request::{MOST, Order, Request},
};

/// The actors that answer.
#[derive(Clone, Debug)]
pub(crate) struct Sources {
    /// For sessions and accounts.
    pub router: Mailbox<Router>,
    /// For queues and attempts.
    pub promise: Mailbox<Promise>,
    /// For what waits for components.
    pub mailroom: Mailbox<Mailroom>,
    /// For the history of remote domains.
    pub recorder: Mailbox<Recorder>,
    /// For streams of other servers.
    pub servers: Option<Mailbox<Listener>>,
    /// For connections of components.
    pub components: Option<Mailbox<Listener>>,
    /// For the mailboxes of all actors.
    pub monitor: Mailbox<Monitor>,
    /// For the nodes of the cluster; `None`: the node is alone.
    pub cluster: Option<Mailbox<Cluster>>,
    /// The start of the node.
    pub started: Time,
    /// How long an answer may take.
    pub patience: Patience,
}

impl Sources {
    /// The JSON document that answers a request.
    pub(super) async fn answer(&self, request: Request) -> String {
        let document = match request {
            Request::ExpectProbe { address } => self.expect_probe(address).await,
            Request::Nodes => self.nodes().await,
            Request::Mailboxes => self.mailboxes().await,
            request => return self.gather(request).await,
        };
        document.unwrap_or_else(|refusal| refusal.document())
    }

    /// What this node finds for a request that other nodes are asked too.
    pub(super) async fn find(&self, request: &Request) -> Found {
        let mut round = Round::begin(self.patience.of_actors);
        let result = match request {
            Request::Explain { domain, .. } => self.explain(domain, &mut round).await,
            Request::Sessions { domain, limit, order, .. } => {
                self.sessions(domain.as_deref(), *limit, *order, &mut round).await
            }
            Request::Queues { domain, limit, .. } => self.queues(domain.as_deref(), *limit, &mut round).await,
            Request::Components { name, .. } => self.components(name.as_deref(), &mut round).await,
            Request::Retry { domain, .. } => self.retry(domain, &mut round).await,
            Request::Close { domain, .. } => self.close(domain, &mut round).await,
            Request::Nodes | Request::Mailboxes | Request::ExpectProbe { .. } => {
                Err(Refused::new(Why::NotUnderstood, "the request is about one node only"))
            }
        };
        let unanswered = round.unanswered.into_iter().map(str::to_owned).collect();
        Found { result, unanswered }
    }

    async fn explain(&self, domain: &str, round: &mut Round) -> Result<Finding, Refused> {
        let remote = prepare(domain)?;
        let known = self.known(&remote);
        let memory = self.recall(&remote);
        let shown = self.shown(Some(&remote), MOST_EXPLAINED);
        let Sessions { links, total: links_total } = self.links(Some(&remote), MOST_EXPLAINED, round).await;
        let shown = round.wait("promise", shown).await;
        let memory = round.wait("recorder", memory).await.flatten();
        let known = round.wait("router", known).await;
        if known.as_ref().is_some_and(|known| known.local) {
            return self.explain_own(&remote, round).await;
        }
        let (queues, queues_total, permitted) = match shown {
            Some(shown) => (shown.queues, shown.total, shown.permitted),
            None => (Vec::new(), 0, true),
        };
        let (account, above) = known.map_or((None, None), |known| (known.account, known.above));
        let related = self.related(&remote, round).await;
        let is_recorded = memory.is_some();
        let (events, settled, events_lost) = match memory {
            Some(memory) => (memory.events, memory.account, memory.lost),
            None => (Vec::new(), Account::default(), 0),
        };
        let explanation = Explanation {
            domain: remote.to_string(),
            sentence: String::new(),
            links,
            links_total,
            queues,
            queues_total,
            account: account.unwrap_or_default().plus(settled),
            events,
            events_lost,
            related,
            above: above.map(|above| above.to_string()),
        };
        let served = Served::Remotely;
        Ok(Finding::Explain(Box::new(Explained { explanation, permitted, is_recorded, served })))
    }

    async fn sessions(
        &self,
        domain: Option<&str>,
        limit: usize,
        order: Order,
        round: &mut Round,
    ) -> Result<Finding, Refused> {
        let of = domain.map(prepare).transpose()?;
        Ok(Finding::Sessions(self.links_in(order, of.as_ref(), limit.min(MOST), round).await))
    }

    async fn queues(
        &self,
        domain: Option<&str>,
        limit: usize,
        round: &mut Round,
    ) -> Result<Finding, Refused> {
        let of = domain.map(prepare).transpose()?;
        let shown = round.wait("promise", self.shown(of.as_ref(), limit.min(MOST))).await;
        let mut found = match shown {
            Some(promise::Shown { queues, total, waiting, .. }) => Queues { queues, total, waiting },
            None => Queues { queues: Vec::new(), total: 0, waiting: Amount::default() },
        };
        self.add_queues_of_components(of.as_ref(), limit.min(MOST), &mut found, round).await;
        Ok(Finding::Queues(found))
    }

    /// Announces a connection of the probe to the listener for servers.
    async fn expect_probe(&self, address: SocketAddr) -> Result<String, Refusal> {
        let servers = self.servers.as_ref().ok_or_else(|| {
            Refusal::new("this node does not listen for servers (listen.s2s, listen.s2s_tls)")
        })?;
        let mut round = Round::begin(self.patience.of_actors);
        let (answer, expected) = oneshot::channel();
        let _ = servers.signal(listener::ExpectProbe { address, answer });
        round.wait("listener", expected).await.ok_or_else(|| round.refusal("listener"))?;
        Ok(self.document(round, Expected { address }))
    }

    async fn retry(&self, domain: &str, round: &mut Round) -> Result<Finding, Refused> {
        let remote = prepare(domain)?;
        let known = self.known(&remote);
        refuse_own(&remote, round.wait("router", known).await.as_ref())?;
        let memory = self.recall(&remote);
        let (answer, retried) = oneshot::channel();
        let _ = self.promise.signal(promise::Retry { remote: remote.clone(), answer });
        let Some(retried) = round.wait("promise", retried).await else {
            return Err(round.refused("promise"));
        };
        let links = self.links(Some(&remote), 1, round).await;
        let memory = round.wait("recorder", memory).await.flatten();
        let shown = round.wait("promise", self.shown(Some(&remote), 1)).await;
        let at = |pair: &DomainPair| PairAt { pair: Pair::from(pair), node: None };
        let pairs = |pairs: &[DomainPair]| pairs.iter().map(at).collect::<Vec<PairAt>>();
        let retried = Retried {
            domain: remote.to_string(),
            sentence: String::new(),
            begun: pairs(&retried.begun),
            under_way: pairs(&retried.under_way),
        };
        Ok(Finding::Retry(Retries {
            retried,
            links: links.total,
            permitted: shown.is_none_or(|shown| shown.permitted),
            is_recorded: memory.is_some(),
        }))
    }

    async fn close(&self, domain: &str, round: &mut Round) -> Result<Finding, Refused> {
        let remote = prepare(domain)?;
        let known = self.known(&remote);
        if round.wait("router", known).await.is_some_and(|known| known.local) {
            return self.close_own(&remote, round).await;
        }
        let memory = self.recall(&remote);
        let (token, down) = drain::tokens();
        let (answer, outgoing) = oneshot::channel();
        let dismiss = router::Dismiss { remote: remote.clone(), token: token.clone(), answer };
        let _ = self.router.signal(dismiss);
        let (closing, mut closed) = mpsc::channel(ANSWERS);
        if let Some(listener) = &self.servers {
            let (closing, token) = (closing.clone(), token.clone());
            let _ = listener.signal(listener::Dismiss { remote: remote.clone(), closing, token });
        }
        drop((token, closing));
        let outgoing = round.wait("router", outgoing).await.unwrap_or(0);
        let mut incoming = 0;
        while round.next("incoming", &mut closed).await.is_some() {
            incoming += 1;
        }
        drop(closed);
        let memory = round.wait("recorder", memory).await.flatten();
        let down = outgoing + incoming == 0 || down.within(self.patience.of_closing).await;
        round.goes_on(self.patience.of_actors);
        let shown = round.wait("promise", self.shown(Some(&remote), 1)).await;
        let waiting = shown.as_ref().map_or_else(Amount::default, |shown| shown.waiting);
        let is_known = memory.is_some() || shown.is_none_or(|shown| shown.total > 0);
        if outgoing + incoming > 0 {
            log::info!(
                target: super::LOG, remote:% = remote, outgoing = outgoing, incoming = incoming, closed = down;
                "closed links on request of an operator"
            );
        }
        let (domain, sentence, nodes) = (remote.to_string(), String::new(), Vec::new());
        let closed = Closed { domain, sentence, outgoing, incoming, down, waiting, nodes };
        Ok(Finding::Close(Closing { closed, is_component: false, is_known }))
    }

    /// Logs every link.
    pub(crate) async fn log_sessions(&self) {
        for link in self.links(None, MOST, &mut Round::begin(self.patience.of_actors)).await.links {
            session_line::log(&link);
        }
    }

    pub(super) fn shown(&self, of: Option<&Domain>, limit: usize) -> oneshot::Receiver<promise::Shown> {
        let (answer, shown) = oneshot::channel();
        let _ = self.promise.signal_quietly(promise::Show { of: of.cloned(), limit, answer });
        shown
    }

    pub(super) fn known(&self, domain: &Domain) -> oneshot::Receiver<router::DomainStatus> {
        let (answer, known) = oneshot::channel();
        let _ = self.router.signal_quietly(router::ShowDomain { domain: domain.clone(), answer });
        known
    }

    fn recall(&self, remote: &Domain) -> oneshot::Receiver<Option<recorder::History>> {
        let (answer, memory) = oneshot::channel();
        let _ = self.recorder.signal_quietly(recorder::Recall { remote: remote.clone(), answer });
        memory
    }

    pub(super) fn document<T: Serialize>(&self, round: Round, found: T) -> String {
        let Head { version, time, started } = self.head();
        let unanswered = round.unanswered.into_iter().map(str::to_owned).collect();
        Answer { version, time, started, unanswered, asked_node: None, missing: Vec::new(), found }.document()
    }

    /// The fields that all answers have.
    pub(super) fn head(&self) -> Head {
        Head { version: env!("CARGO_PKG_VERSION").to_owned(), time: Time::now(), started: self.started }
    }
}

/// Parses a domain in any spelling, or the name of a wildcard.
pub(super) fn prepare(domain: &str) -> Result<Domain, Refused> {
    let wrong = |why| Refused::new(Why::NotADomain, format!("\"{domain}\" is not a domain: {why}"));
    Domain::named(domain).map_err(wrong)
}

/// Refuses a local domain: there are no links with it.
fn refuse_own(remote: &Domain, known: Option<&router::DomainStatus>) -> Result<(), Refused> {
    match known {
        Some(known) if known.local => {
            let error = format!("{remote} is served by this node: give a domain of another server");
            Err(Refused::new(Why::Own, error))
        }
        _ => Ok(()),
    }
}

/// Answers under way at once. With one of each of this many actors, none has to wait.
pub(super) const ANSWERS: usize = 16_384;
