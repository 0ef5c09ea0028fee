//! The outcome of every stanza that a scenario sent.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::*;
use crate::flow::account::Outcome;

impl Node {
    /// Waits until no stanza waits any more, and collects the outcomes.
    pub(super) async fn outcomes(self) -> Outcomes {
        let account = self.account().await;
        let total: usize = self.sent.values().map(Vec::len).sum();
        while account.taken().stanzas < total as u64
            || account.waiting().stanzas > 0
            || account.unacked().stanzas > 0
        {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        // Answers may still be under way to the component.
        tokio::time::sleep(Duration::from_secs(5)).await;
        // The pauses end, and the failures are forgotten.
        tokio::time::sleep(bounds().backoff_longest + Duration::from_secs(70)).await;
        assert_eq!(self.pairs_known().await, 0, "nothing waits, so no pair is known");
        self.ends(account)
    }

    /// Stops the promise and the sessions as a node does, whatever is under way.
    pub(super) async fn stops(self) -> Outcomes {
        let account = self.account().await;
        let (token, answered) = drain::tokens();
        self.promise.signal(promise::Drain { token: token.clone() }).unwrap();
        let flush = outgoing::Flush { within: Duration::from_secs(3), token };
        self.router.signal(router::Broadcast(flush)).unwrap();
        answered.within(Duration::from_secs(60)).await;
        let (token, finished) = drain::tokens();
        let finish = outgoing::Finish { within: Duration::from_secs(10), token };
        self.router.signal(router::Broadcast(finish)).unwrap();
        finished.within(Duration::from_secs(60)).await;
        // An attempt that was under way may have succeeded.
        tokio::time::sleep(Duration::from_secs(150)).await;
        self.ends(account)
    }

    fn ends(mut self, account: Arc<Totals>) -> Outcomes {
        let (arrived, bounced) = (sort(&mut self.arrived), sort(&mut self.answered));
        Outcomes { sent: self.sent, arrived, bounced, account, slow_time: self.slow_time }
    }
}

/// Sorts stanzas by remote domain; the order within each is kept.
fn sort(seen: &mut mpsc::Receiver<Seen>) -> BTreeMap<String, Vec<Seen>> {
    let mut sorted: BTreeMap<String, Vec<Seen>> = BTreeMap::new();
    while let Ok(one) = seen.try_recv() {
        sorted.entry(one.remote.clone()).or_default().push(one);
    }
    sorted
}

pub(super) struct Outcomes {
    pub(super) sent: HashMap<String, Vec<Sent>>,
    pub(super) arrived: BTreeMap<String, Vec<Seen>>,
    pub(super) bounced: BTreeMap<String, Vec<Seen>>,
    pub(super) account: Arc<Totals>,
    slow_time: Duration,
}

impl Outcomes {
    pub(super) fn arrived(&self, remote: &str) -> Vec<usize> {
        self.arrived.get(remote).into_iter().flatten().map(|seen| seen.id).collect()
    }

    pub(super) fn bounced(&self, remote: &str) -> Vec<usize> {
        self.bounced.get(remote).into_iter().flatten().map(|seen| seen.id).collect()
    }

    /// The stanzas that arrived, without those that were repeated.
    fn arrived_first(&self, remote: &str) -> Vec<usize> {
        let mut known = HashSet::new();
        let arrived = self.arrived.get(remote).into_iter().flatten();
        arrived.filter(|seen| known.insert(seen.id) || !seen.is_stamped()).map(|seen| seen.id).collect()
    }

    /// The stanzas whose answer says that they may have arrived.
    fn doubtful(&self, remote: &str) -> impl Iterator<Item = usize> {
        let bounced = self.bounced.get(remote).into_iter().flatten();
        bounced.filter(|seen| seen.stanza.contains("may have")).map(|seen| seen.id)
    }

    /// Asserts in addition that nothing arrived twice and nothing is uncertain.
    pub(super) fn check_exactly_once(&self) {
        self.check();
        assert!(self.arrived.values().flatten().all(|seen| !seen.is_stamped()));
        let account = &self.account;
        assert_eq!((account.repeated(), account.settled(Outcome::Uncertain)), Default::default());
    }

    /// Asserts what is true of every scenario: one outcome for each stanza, in order and in time. A stanza that
    /// may have arrived before may arrive once more, with a stamp. Gives the number of stanzas that neither
    /// arrived nor came back; the account calls them uncertain or dropped.
    pub(super) fn check(&self) -> usize {
        let account = &self.account;
        assert_eq!((account.difference(), account.waiting()), Default::default(), "{account:?}");
        assert_eq!(account.unacked(), Default::default(), "{account:?}");
        assert!(account.acknowledged().stanzas <= account.settled(Outcome::Written).stanzas);
        let mut missing = 0;
        for (remote, sent) in &self.sent {
            let (arrived, bounced) = (self.arrived_first(remote), self.bounced(remote));
            assert!(
                arrived.is_sorted_by(|one, next| one < next),
                "{remote}: out of order or twice: {arrived:?}"
            );
            for id in &bounced {
                assert!(sent[*id].kind.is_answered(), "{remote}: an answer to an answer: {id}");
            }
            for seen in
                [&self.arrived, &self.bounced].into_iter().filter_map(|seen| seen.get(remote)).flatten()
            {
                let Sent { kind, at } = &sent[seen.id];
                let late = seen.at.duration_since(*at).saturating_sub(kind.time());
                assert!(
                    late <= AT_MOST_LATE + self.slow_time,
                    "{remote}: {kind:?} {} was {late:?} late",
                    seen.id
                );
            }
            let once: HashSet<_> = bounced.iter().collect();
            assert_eq!(once.len(), bounced.len(), "{remote}: answered twice: {bounced:?}");
            // What may have arrived is answered all the same, if it is not sent again; the answer says so.
            let doubtful: HashSet<usize> = self.doubtful(remote).collect();
            let is_uncertain = |id: &usize| doubtful.contains(id) && arrived.contains(id);
            let bounced: Vec<usize> = bounced.into_iter().filter(|id| !is_uncertain(id)).collect();
            if let Some(id) = bounced.iter().find(|id| arrived.contains(id)) {
                let answers = self.bounced.get(remote).into_iter().flatten();
                let answer = answers.filter(|seen| seen.id == *id).map(|seen| &seen.stanza).next();
                panic!("{remote}: number {id} arrived and was answered: {answer:?}");
            }
            let mut outcomes = [arrived, bounced].concat();
            outcomes.sort_unstable();
            assert!(outcomes.is_sorted_by(|one, next| one < next), "{remote}: two outcomes: {outcomes:?}");
            missing += sent.len() - outcomes.len();
        }
        let of = |outcome| account.settled(outcome).stanzas as usize;
        // Without a journal nothing is kept.
        let allowed = of(Outcome::Uncertain) + of(Outcome::Dropped) + of(Outcome::Kept);
        // A stopped node may not have read all stanzas.
        missing -= self.sent.values().map(Vec::len).sum::<usize>() - account.taken().stanzas as usize;
        assert!(missing <= allowed, "{missing} missing, {allowed} uncertain or dropped: {account:?}");
        missing
    }
}

/// The time by which a stanza may outlive its time to wait: a second, and the time in the socket before it
/// was read.
const AT_MOST_LATE: Duration = Duration::from_secs(1 + 4);
