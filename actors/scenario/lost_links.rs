//! Links on which the remote servers acknowledge stanzas (XEP-0198): what is lost with a link, and what the
//! next link tells about it.

mod limits;
mod loss;
mod races;
mod stop;

use super::{
    remotes::{Acks, Resumption},
    *,
};
use crate::flow::account::Outcome;

impl Node {
    /// A node whose remote servers acknowledge stanzas.
    async fn with_acks(pipe: usize, acks: Acks) -> Self {
        Self::start_with(pipe, bounds(), Behaviour { acks, ..Behaviour::default() }).await
    }

    fn set_acks(&self, acks: Acks) {
        self.remotes.behaviour.send_modify(|behaviour| behaviour.acks = acks);
    }

    /// The streams for which the remote servers were asked.
    fn streams_asked(&self) -> Vec<String> {
        self.remotes.counts.borrow().asked.clone()
    }

    /// Waits until so many attempts were made, and the last of them has its link.
    async fn dials(&self, count: usize) {
        let since = clock::now();
        while self.remotes.dials.load(Relaxed) < count {
            assert!(
                clock::since(since) < Duration::from_secs(600),
                "only {:?} of {count}",
                self.remotes.dials
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    /// The account balances, whatever is under way.
    async fn balances(&self) {
        let account = self.account().await;
        assert_eq!(account.difference(), Default::default(), "{account:?}");
        let outcomes =
            [Outcome::Written, Outcome::Uncertain, Outcome::Answered, Outcome::Expired, Outcome::Dropped];
        let settled: u64 = outcomes.into_iter().map(|outcome| account.settled(outcome).stanzas).sum();
        assert_eq!(account.taken().stanzas, settled + account.waiting().stanzas, "{account:?}");
        let written = account.settled(Outcome::Written).stanzas;
        assert!(account.acknowledged().stanzas + account.unacked().stanzas <= written, "{account:?}");
    }
}

const MOMENT: Duration = Duration::from_millis(200);
