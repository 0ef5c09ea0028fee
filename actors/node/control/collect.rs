//! Gathers answers from the actors: asks them all at once, waits for them together, and says whose did not come.
//!
//! Architecture Invariant: no actor. Every question goes out as a message with the sender for its answer, and whoever is
//! asked goes on at once.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use serde::Serialize;
use tokio::{
    sync::{
        mpsc::{self, Receiver},
        oneshot,
    },
    time::{Instant, timeout_at},
};
use xmpp::{Domain, DomainPair};

use super::session_line;
use crate::{
    observe::recorder::{self, Progress, Recorder},
    routing::{
        promise::{self, Promise},
        router::{self, Router},
    },
    streams::listener::{self, Listener},
};
use mailbox::{Mailbox, drain};
use status::{
    amount::Amount,
    answer::{Answer, Closed, Expected, Explanation, Queues, Refusal, Related, Retried, Sessions},
    event::What,
    report::{Direction, Figures, Link, Pair, Seconds, State, Time},
    request::{MOST, Request},
    sentence::{self, Facts},
};

/// Who can be asked.
#[derive(Clone, Debug)]
pub struct Sources {
    /// Sessions and accounts.
    pub router: Mailbox<Router>,
    /// What waits.
    pub promise: Mailbox<Promise>,
    /// What happened.
    pub recorder: Mailbox<Recorder>,
    /// Streams of other servers.
    pub servers: Option<Mailbox<Listener>>,
    /// Connections of programs.
    pub components: Option<Mailbox<Listener>>,
    /// When the node started.
    pub started: Time,
}

impl Sources {
    /// The document that answers a request.
    pub(super) async fn answer(&self, request: Request) -> String {
        let document = match request {
            Request::Explain { domain } => self.explain(&domain).await,
            Request::Sessions { domain, limit } => self.sessions(domain.as_deref(), limit).await,
            Request::Queues { domain, limit } => self.queues(domain.as_deref(), limit).await,
            Request::ExpectProbe { address } => self.expect_probe(address).await,
            Request::Components { name } => self.components(name.as_deref()).await,
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
        if permitted && links.is_empty() && queues.is_empty() && memory.is_none() && round.is_complete() {
            let related = self.related(&remote, &mut round).await;
            return Err(self.unknown(&remote, &related));
        }
        let related = self.related(&remote, &mut round).await;
        let account = known.and_then(|known| known.account).unwrap_or_default();
        let (events, settled, events_lost) = match memory {
            Some(memory) => (memory.events, memory.account, memory.lost),
            None => (Vec::new(), Figures::default(), 0),
        };
        let domain = remote.to_string();
        let facts = Facts {
            domain: &domain,
            permitted,
            links: &links,
            queues: &queues,
            events: &events,
            now: Time::now(),
        };
        let sentence = sentence::state(&facts);
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
        };
        Ok(self.document(round, found))
    }

    async fn sessions(&self, domain: Option<&str>, limit: usize) -> Result<String, Refusal> {
        let of = domain.map(prepare).transpose()?;
        let mut round = Round::begin();
        let found = self.links(of.as_ref(), limit.min(MOST), &mut round).await;
        Ok(self.document(round, found))
    }

    async fn queues(&self, domain: Option<&str>, limit: usize) -> Result<String, Refusal> {
        let of = domain.map(prepare).transpose()?;
        let mut round = Round::begin();
        let shown = round.wait("promise", self.shown(of.as_ref(), limit.min(MOST))).await;
        let found = match shown {
            Some(promise::Shown { queues, total, waiting, .. }) => Queues { queues, total, waiting },
            None => Queues { queues: Vec::new(), total: 0, waiting: Amount::default() },
        };
        Ok(self.document(round, found))
    }

    /// Has the listener for servers know a connection of the probe.
    async fn expect_probe(&self, address: SocketAddr) -> Result<String, Refusal> {
        let servers = self.servers.as_ref().ok_or_else(|| Refusal::new("no listener for servers"))?;
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
            target: super::LOG, remote:% = remote, outgoing = outgoing, incoming = incoming, down = down;
            "closed links: an operator asked for it"
        );
        Ok(self.document(round, found))
    }

    /// Logs every link.
    pub async fn log_sessions(&self) {
        for link in self.links(None, MOST, &mut Round::begin()).await.links {
            session_line::log(&link);
        }
    }

    /// Every link, or those with one domain; attempts that are being made are among them.
    pub(super) async fn links(&self, of: Option<&Domain>, limit: usize, round: &mut Round) -> Sessions {
        let (links, mut came) = mpsc::channel(ANSWERS);
        let (total, sessions) = oneshot::channel();
        let show = router::ShowSessions { of: of.cloned(), limit, links: links.clone(), total };
        let _ = self.router.signal(show);
        let mut accepted = Vec::new();
        for listener in self.servers.iter().chain(&self.components) {
            let (total, count) = oneshot::channel();
            let _ = listener.signal(listener::Show { of: of.cloned(), limit, links: links.clone(), total });
            accepted.push(count);
        }
        drop(links);
        let shown = self.shown(of, limit);
        let mut kept = Kept::new(limit);
        let (mut came_out, mut came_in) = (0, 0);
        while let Some(link) = round.next("sessions", &mut came).await {
            match link.direction {
                Direction::Outgoing => came_out += 1,
                Direction::Incoming | Direction::Component => came_in += 1,
            }
            kept.put(link);
        }
        let mut total = round.wait("router", sessions).await.unwrap_or(came_out);
        for count in accepted {
            let count = round.wait("listener", count).await.unwrap_or(0);
            // Of the streams of one domain only those know that there are.
            total += if of.is_none() { count } else { 0 };
        }
        total += if of.is_some() { came_in } else { 0 };
        if let Some(shown) = round.wait("promise", shown).await {
            total += shown.attempts.len();
            self.attempts(shown, round).await.into_iter().for_each(|link| kept.put(link));
        }
        Sessions { links: kept.links.into_values().collect(), total }
    }

    /// The attempts that are being made, each as far as the recorder knows.
    async fn attempts(&self, shown: promise::Shown, round: &mut Round) -> Vec<Link> {
        if shown.attempts.is_empty() {
            return Vec::new();
        }
        let (answer, steps) = oneshot::channel();
        let pairs = shown.attempts.iter().map(|(pair, _)| pair.clone()).collect();
        let _ = self.recorder.signal(recorder::Locate { pairs, answer });
        let steps = round.wait("recorder", steps).await.unwrap_or_default();
        let steps = steps.into_iter().chain(std::iter::repeat(None));
        let waiting = |pair: &DomainPair| {
            let queue = shown
                .queues
                .iter()
                .find(|queue| queue.local == pair.local.as_str() && queue.remote == pair.remote.as_str());
            queue.map_or_else(Amount::default, |queue| queue.waiting)
        };
        let attempts = shown.attempts.iter().zip(steps);
        attempts.map(|((pair, since), step)| attempted(pair, *since, step, waiting(pair))).collect()
    }

    pub(super) fn shown(&self, of: Option<&Domain>, limit: usize) -> oneshot::Receiver<promise::Shown> {
        let (answer, shown) = oneshot::channel();
        let _ = self.promise.signal(promise::Show { of: of.cloned(), limit, answer });
        shown
    }

    fn known(&self, domain: &Domain) -> oneshot::Receiver<router::Known> {
        let (answer, known) = oneshot::channel();
        let _ = self.router.signal(router::ShowDomain { domain: domain.clone(), answer });
        known
    }

    fn recall(&self, remote: &Domain) -> oneshot::Receiver<Option<recorder::History>> {
        let (answer, memory) = oneshot::channel();
        let _ = self.recorder.signal(recorder::Recall { remote: remote.clone(), answer });
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

/// Reads a domain in any spelling.
pub(super) fn prepare(domain: &str) -> Result<Domain, Refusal> {
    Domain::new(domain).map_err(|why| Refusal::new(format!("\"{domain}\" cannot be a domain: {why}")))
}

/// Refuses one of our own domains, with which there are no links.
fn refuse_own(remote: &Domain, known: Option<&router::Known>) -> Result<(), Refusal> {
    match known {
        Some(known) if known.local => Err(Refusal::new(format!(
            "{remote} is served by this node: ask about a domain of another server"
        ))),
        _ => Ok(()),
    }
}

pub(super) fn silent(part: &str) -> Refusal {
    Refusal::new(format!("the {part} did not answer within {} s: ask again", WITHIN.as_secs()))
}

fn attempted(pair: &DomainPair, since: Time, step: Option<Progress>, waiting: Amount) -> Link {
    let (state, address) = match step {
        Some(Progress { what: What::Connected | What::Secured, address }) => (State::Negotiating, address),
        _ => (State::Connecting, None),
    };
    Link {
        direction: Direction::Outgoing,
        state,
        pairs: vec![Pair::from(pair)],
        pairs_not_shown: 0,
        address,
        since,
        mechanism: None,
        tls: None,
        received: Amount::default(),
        sent: Amount::default(),
        waiting,
        idle: Seconds(since.before(Time::now())),
    }
}

/// One round of questions: until when it waits, and who has not answered.
pub(super) struct Round {
    deadline: Instant,
    unanswered: Vec<&'static str>,
}

impl Round {
    pub(super) fn begin() -> Self {
        Self { deadline: (clock::now() + WITHIN).into(), unanswered: Vec::new() }
    }

    /// Waits for an answer; `part` is whose.
    pub(super) async fn wait<T>(&mut self, part: &'static str, answer: oneshot::Receiver<T>) -> Option<T> {
        let answer = timeout_at(self.deadline, answer).await.ok().and_then(Result::ok);
        if answer.is_none() {
            self.miss(part);
        }
        answer
    }

    /// Waits for the next of many answers; `None` when everybody has said his.
    pub(super) async fn next<T>(&mut self, part: &'static str, answers: &mut Receiver<T>) -> Option<T> {
        match timeout_at(self.deadline, answers.recv()).await {
            Ok(answer) => answer,
            Err(_) => {
                self.miss(part);
                None
            }
        }
    }

    fn miss(&mut self, part: &'static str) {
        if !self.unanswered.contains(&part) {
            self.unanswered.push(part);
        }
    }

    fn is_complete(&self) -> bool {
        self.unanswered.is_empty()
    }
}

/// The first links in the order of their domains, and never more than are wanted.
struct Kept {
    limit: usize,
    links: BTreeMap<(String, Direction, Vec<Pair>, usize), Link>,
    count: usize,
}

impl Kept {
    fn new(limit: usize) -> Self {
        Self { limit, links: BTreeMap::new(), count: 0 }
    }

    fn put(&mut self, link: Link) {
        self.count += 1;
        self.links.insert((link.name().to_owned(), link.direction, link.pairs.clone(), self.count), link);
        if self.links.len() > self.limit {
            self.links.pop_last();
        }
    }
}

/// How long the actors have for their answers: a router that is busy for longer is news in itself.
const WITHIN: Duration = Duration::from_secs(3);

/// How long links may take to go down: what a peer gets to close its side, and a moment.
pub(super) const CLOSE_WITHIN: Duration = Duration::from_secs(6);

/// Answers on their way at once. There is room for one from each of so many actors; they are not made to wait.
pub(super) const ANSWERS: usize = 16_384;

/// Links and queues of one domain that are told: more local domains than that are rarely linked with it at once.
const MOST_EXPLAINED: usize = 100;
