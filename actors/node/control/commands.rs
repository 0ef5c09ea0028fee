//! Answers commands with data of the actors: asks them all at once, waits for all answers, and names the actors that did
//! not answer in time.
//!
//! Architecture Invariant: this is no actor. Each question is a message with the sender for its answer, so the actors
//! never wait.

use std::{net::SocketAddr, time::Duration};

use serde::Serialize;
use tokio::sync::{
    mpsc::{self},
    oneshot,
};
use xmpp::{Domain, DomainPair};

use super::{
    round::{Round, silent},
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
    answer::{Answer, Closed, Expected, Explanation, Queues, Refusal, Related, Retried, Sessions},
    report::{Account, Pair, Seconds, Time},
    request::{MOST, Order, Request},
    sentence::{self, Facts},
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
}

impl Sources {
    /// The JSON document that answers a request.
    pub(super) async fn answer(&self, request: Request) -> String {
        let document = match request {
            Request::Explain { domain } => self.explain(&domain).await,
            Request::Sessions { domain, limit, order } => {
                self.sessions(domain.as_deref(), limit, order).await
            }
            Request::Queues { domain, limit } => self.queues(domain.as_deref(), limit).await,
            Request::ExpectProbe { address } => self.expect_probe(address).await,
            Request::Components { name } => self.components(name.as_deref()).await,
            Request::Nodes => self.nodes().await,
            Request::Mailboxes => self.mailboxes().await,
            Request::Retry { domain } => self.retry(&domain).await,
            Request::Close { domain } => self.close(&domain).await,
        };
        document.unwrap_or_else(|refusal| refusal.document())
    }

    async fn explain(&self, domain: &str) -> Result<String, Refusal> {
        let remote = prepare(domain)?;
        let mut round = Round::begin();
        let known = self.known(&remote);
        let memory = self.recall(&remote);
        let shown = self.shown(Some(&remote), MOST_EXPLAINED);
        let Sessions { links, total: links_total } =
            self.links(Some(&remote), MOST_EXPLAINED, &mut round).await;
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
        let above = above.map(|above| above.to_string());
        let is_unheard = links.is_empty() && queues.is_empty() && memory.is_none() && round.is_complete();
        let related = self.related(&remote, &mut round).await;
        if permitted && is_unheard && above.is_none() {
            return Err(self.unknown(&remote, &related));
        }
        let account = account.unwrap_or_default();
        let (events, settled, events_lost) = match memory {
            Some(memory) => (memory.events, memory.account, memory.lost),
            None => (Vec::new(), Account::default(), 0),
        };
        let domain = remote.to_string();
        let facts = Facts {
            domain: &domain,
            permitted,
            links: &links,
            queues: &queues,
            events: &events,
            above: above.as_deref(),
            now: Time::now(),
        };
        let sentence = match &above {
            Some(above) if is_unheard => sentence::unserved(&domain, above, permitted),
            _ => sentence::state(&facts),
        };
        let account = account.plus(settled);
        let found = Explanation {
            domain,
            sentence,
            links,
            links_total,
            queues,
            queues_total,
            account,
            events,
            events_lost,
            related,
            above,
        };
        Ok(self.document(round, found))
    }

    async fn sessions(&self, domain: Option<&str>, limit: usize, order: Order) -> Result<String, Refusal> {
        let of = domain.map(prepare).transpose()?;
        let mut round = Round::begin();
        let found = self.links_in(order, of.as_ref(), limit.min(MOST), &mut round).await;
        Ok(self.document(round, found))
    }

    async fn queues(&self, domain: Option<&str>, limit: usize) -> Result<String, Refusal> {
        let of = domain.map(prepare).transpose()?;
        let mut round = Round::begin();
        let shown = round.wait("promise", self.shown(of.as_ref(), limit.min(MOST))).await;
        let mut found = match shown {
            Some(promise::Shown { queues, total, waiting, .. }) => Queues { queues, total, waiting },
            None => Queues { queues: Vec::new(), total: 0, waiting: Amount::default() },
        };
        self.add_queues_of_components(of.as_ref(), limit.min(MOST), &mut found, &mut round).await;
        Ok(self.document(round, found))
    }

    /// Announces a connection of the probe to the listener for servers.
    async fn expect_probe(&self, address: SocketAddr) -> Result<String, Refusal> {
        let servers = self.servers.as_ref().ok_or_else(|| {
            Refusal::new("this node does not listen for servers (listen.s2s, listen.s2s_tls)")
        })?;
        let mut round = Round::begin();
        let (answer, expected) = oneshot::channel();
        let _ = servers.signal(listener::ExpectProbe { address, answer });
        round.wait("listener", expected).await.ok_or_else(|| silent("listener"))?;
        Ok(self.document(round, Expected { address }))
    }

    async fn retry(&self, domain: &str) -> Result<String, Refusal> {
        let remote = prepare(domain)?;
        let mut round = Round::begin();
        let known = self.known(&remote);
        refuse_own(&remote, round.wait("router", known).await.as_ref())?;
        let memory = self.recall(&remote);
        let (answer, retried) = oneshot::channel();
        let _ = self.promise.signal(promise::Retry { remote: remote.clone(), answer });
        let Some(retried) = round.wait("promise", retried).await else {
            return Err(silent("promise"));
        };
        let links = self.links(Some(&remote), 1, &mut round).await;
        let untouched = retried.begun.is_empty() && retried.under_way.is_empty() && links.total == 0;
        let memory = round.wait("recorder", memory).await.flatten();
        let shown = round.wait("promise", self.shown(Some(&remote), 1)).await;
        let permitted = shown.is_none_or(|shown| shown.permitted);
        if permitted && untouched && memory.is_none() && round.is_complete() {
            return Err(self.unknown(&remote, &[]));
        }
        let pairs = |pairs: &[DomainPair]| pairs.iter().map(Pair::from).collect::<Vec<Pair>>();
        let (begun, under_way) = (pairs(&retried.begun), pairs(&retried.under_way));
        let sentence = sentence::retried(remote.as_str(), &begun, under_way.len(), links.total, permitted);
        Ok(self.document(round, Retried { domain: remote.to_string(), sentence, begun, under_way }))
    }

    async fn close(&self, domain: &str) -> Result<String, Refusal> {
        let remote = prepare(domain)?;
        let mut round = Round::begin();
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
        let down = outgoing + incoming == 0 || down.within(CLOSE_WITHIN).await;
        let mut after = Round::begin();
        let shown = after.wait("promise", self.shown(Some(&remote), 1)).await;
        let waiting = shown.as_ref().map_or_else(Amount::default, |shown| shown.waiting);
        round.unanswered.extend(after.unanswered);
        let unheard = memory.is_none() && shown.is_some_and(|shown| shown.total == 0);
        if outgoing + incoming == 0 && unheard && round.is_complete() {
            return Err(self.unknown(&remote, &[]));
        }
        let mut found =
            Closed { domain: remote.to_string(), sentence: String::new(), outgoing, incoming, down, waiting };
        found.sentence = sentence::closed(&found);
        log::info!(
            target: super::LOG, remote:% = remote, outgoing = outgoing, incoming = incoming, closed = down;
            "closed links on request of an operator"
        );
        Ok(self.document(round, found))
    }

    /// Logs every link.
    pub(crate) async fn log_sessions(&self) {
        for link in self.links(None, MOST, &mut Round::begin()).await.links {
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

    fn unknown(&self, remote: &Domain, related: &[Related]) -> Refusal {
        let running = Seconds(self.started.before(Time::now()));
        let related = match related {
            [] => String::new(),
            some => format!("; related domains: {}", sentence::related(some)),
        };
        Refusal::new(format!(
            "{remote} is unknown: no link, no queue and no recorded event (the node has been running for \
             {running}){related}"
        ))
    }

    pub(super) fn document<T: Serialize>(&self, round: Round, found: T) -> String {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let unanswered = round.unanswered.into_iter().map(str::to_owned).collect();
        Answer { version, time: Time::now(), started: self.started, unanswered, found }.document()
    }
}

/// Parses a domain in any spelling, or the name of a wildcard.
pub(super) fn prepare(domain: &str) -> Result<Domain, Refusal> {
    Domain::named(domain).map_err(|why| Refusal::new(format!("\"{domain}\" is not a domain: {why}")))
}

/// Refuses a local domain: there are no links with it.
fn refuse_own(remote: &Domain, known: Option<&router::DomainStatus>) -> Result<(), Refusal> {
    match known {
        Some(known) if known.local => {
            Err(Refusal::new(format!("{remote} is served by this node: give a domain of another server")))
        }
        _ => Ok(()),
    }
}

/// The time limit for links to close: the time a peer has to close its side, and some more.
pub(super) const CLOSE_WITHIN: Duration = Duration::from_secs(6);

/// Answers under way at once. With one of each of this many actors, none has to wait.
pub(super) const ANSWERS: usize = 16_384;

/// Links and queues of one domain that `explain` shows: more local domains are rarely linked with it at once.
const MOST_EXPLAINED: usize = 100;
