//! What became of everything that a scenario sent.

use std::collections::{BTreeMap, HashMap};

use super::*;
use crate::flow::ledger::Outcome;

impl Node {
    /// Waits until nothing waits any more, and looks at what became of everything.
    pub(super) async fn outcomes(self) -> Outcomes {
        let account = self.account().await;
        let total: usize = self.sent.values().map(Vec::len).sum();
        while account.taken().stanzas < total as u64 || account.waiting().stanzas > 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        // Answers may still be on their way to the program.
        tokio::time::sleep(Duration::from_secs(5)).await;
        // A pause has an end, and the memory of it.
        tokio::time::sleep(bounds().backoff_longest + Duration::from_secs(70)).await;
        assert_eq!(self.pairs_known().await, 0, "nothing waits, so nothing is known of any pair");
        self.ends(account)
    }

    /// Stops in the middle of whatever there is, as a node stops, but for the program, which is silent.
    pub(super) async fn stops(self) -> Outcomes {
        let account = self.account().await;
        let (token, answered) = drain::tokens();
        self.promise.signal(promise::Drain { token: token.clone() }).unwrap();
        self.router.signal(router::Flush { within: Duration::from_secs(3), token }).unwrap();
        answered.within(Duration::from_secs(60)).await;
        let (token, finished) = drain::tokens();
        self.router.signal(router::Finish { within: Duration::from_secs(10), token }).unwrap();
        finished.within(Duration::from_secs(60)).await;
        // An attempt that was being made may have succeeded.
        tokio::time::sleep(Duration::from_secs(150)).await;
        self.ends(account)
    }

    fn ends(mut self, account: Arc<Totals>) -> Outcomes {
        let (arrived, bounced) = (sort(&mut self.arrived), sort(&mut self.answered));
        Outcomes { sent: self.sent, arrived, bounced, account, dawdled: self.dawdled }
    }
}

/// What was seen, by remote domain, in the order in which it was seen.
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
    dawdled: Duration,
}

impl Outcomes {
    pub(super) fn arrived(&self, remote: &str) -> Vec<usize> {
        self.arrived.get(remote).into_iter().flatten().map(|seen| seen.id).collect()
    }

    pub(super) fn bounced(&self, remote: &str) -> Vec<usize> {
        self.bounced.get(remote).into_iter().flatten().map(|seen| seen.id).collect()
    }

    /// What holds whatever happens.
    pub(super) fn adds_up(&self) {
        let account = &self.account;
        assert_eq!((account.difference(), account.waiting()), Default::default(), "{account:?}");
        let mut missing = 0;
        for (remote, sent) in &self.sent {
            let (arrived, bounced) = (self.arrived(remote), self.bounced(remote));
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
                    late <= AT_MOST_LATE + self.dawdled,
                    "{remote}: {kind:?} {} was {late:?} late",
                    seen.id
                );
            }
            let once: std::collections::HashSet<_> = bounced.iter().collect();
            assert_eq!(once.len(), bounced.len(), "{remote}: answered twice: {bounced:?}");
            // A request that may have arrived is answered in any case, with these words.
            let is_doubtful = |id: &usize| matches!(sent[*id].kind, Kind::Request) && arrived.contains(id);
            let bounced: Vec<usize> = bounced.into_iter().filter(|id| !is_doubtful(id)).collect();
            let mut outcomes = [arrived, bounced].concat();
            outcomes.sort_unstable();
            assert!(outcomes.is_sorted_by(|one, next| one < next), "{remote}: two outcomes: {outcomes:?}");
            missing += sent.len() - outcomes.len();
        }
        let of = |outcome| account.settled(outcome).stanzas as usize;
        let allowed = of(Outcome::Uncertain) + of(Outcome::Dropped);
        // When the node was stopped, some may not have been read yet.
        missing -= self.sent.values().map(Vec::len).sum::<usize>() - account.taken().stanzas as usize;
        assert!(missing <= allowed, "{missing} missing, {allowed} in doubt or dropped: {account:?}");
    }
}

/// How much longer than its time anything may wait: a second, and what it was held up outside before it was read.
const AT_MOST_LATE: Duration = Duration::from_secs(1 + 4);
