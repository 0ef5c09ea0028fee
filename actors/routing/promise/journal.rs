//! What waits for a while is given to the journal; what waits at the end of the node is left there.

mod restore;
mod stop;

use std::{
    collections::{HashSet, VecDeque},
    time::{Duration, Instant},
};

use actix::{Context, Handler};
use xmpp::DomainPair;

pub use self::restore::Restore;
use super::Promise;
use crate::{
    flow::{
        batch::Batch,
        journal::{Keeping, TOGETHER},
    },
    routing::journal::Sync,
};
use mailbox::{Outlet, Queued, drain};

/// What has to be written, and when.
#[derive(Debug)]
pub(super) struct Keeper {
    keeping: Keeping,
    /// Confirms that everything was written, at the end of the node.
    sync: Outlet<Sync>,
    /// Pairs with stanzas that were not offered to the journal, in the order of their times.
    due: VecDeque<(Instant, DomainPair)>,
    /// The same pairs.
    noted: HashSet<DomainPair>,
    /// A message for the first of them is on its way.
    is_armed: bool,
    /// When stanzas that the journal did not take are offered again.
    offer_again: Instant,
    /// Stanzas that are left in the journal as soon as it confirms that it has them: a part for each question to it.
    leaving: VecDeque<Vec<Batch>>,
    /// Dropped when nothing is leaving.
    tokens: Vec<drain::Token>,
}

/// Give the journal what is due.
#[derive(Debug)]
pub(super) struct WriteDue;

impl Keeper {
    pub(super) fn new((keeping, sync): (Keeping, Outlet<Sync>)) -> Self {
        Self {
            keeping,
            sync,
            due: VecDeque::new(),
            noted: HashSet::new(),
            is_armed: false,
            offer_again: clock::now(),
            leaving: VecDeque::new(),
            tokens: Vec::new(),
        }
    }
}

impl Promise {
    /// Notes a pair that has stanzas which were not offered to the journal. To be called after each change of what waits.
    pub(super) fn note_unwritten(&mut self, pair: &DomainPair) {
        let Some(keeper) = &mut self.keeper else { return };
        if self.waiting.has_unoffered(pair) && !keeper.noted.contains(pair) {
            keeper.noted.insert(pair.clone());
            keeper.due.push_back((clock::now() + keeper.keeping.after, pair.clone()));
            self.arm_writing();
        }
    }

    /// Has a message sent when the first pair is due.
    fn arm_writing(&mut self) {
        let Some(keeper) = &mut self.keeper else { return };
        let Some((due, _)) = keeper.due.front().filter(|_| !keeper.is_armed) else { return };
        keeper.is_armed = true;
        let (own, due) = (self.own.clone(), *due);
        actix::spawn(async move {
            tokio::time::sleep_until(due.into()).await;
            // The promise may have ended.
            let _ = own.signal(WriteDue);
        });
    }

    /// Gives the journal what has waited long enough.
    fn write_due(&mut self, now: Instant) {
        let Some(keeper) = &mut self.keeper else { return };
        keeper.is_armed = false;
        let Keeping { writer, after } = keeper.keeping.clone();
        let until = keeper.keeping.until(now);
        let mut group = writer.group();
        while keeper.due.front().is_some_and(|(due, _)| *due <= now + TOGETHER)
            && let Some((_, pair)) = keeper.due.pop_front()
        {
            match self.waiting.write_old(&pair, until, &mut group) {
                Some(younger) => keeper.due.push_back((younger + after, pair)),
                None => drop(keeper.noted.remove(&pair)),
            }
        }
        group.send();
        self.arm_writing();
    }

    /// Offers stanzas again that the journal could not take. To be called now and then.
    pub(super) fn offer_again(&mut self, now: Instant) {
        let Some(keeper) = &mut self.keeper else { return };
        if keeper.offer_again > now {
            return;
        }
        keeper.offer_again = now + OFFER_AGAIN;
        if !keeper.keeping.writer.has_lost() {
            return;
        }
        self.waiting.offer_again();
        let pairs: Vec<DomainPair> = self.pairs.iter().map(|(pair, _)| pair.clone()).collect();
        pairs.iter().for_each(|pair| self.note_unwritten(pair));
    }
}

impl Handler<Queued<WriteDue>> for Promise {
    type Result = ();

    fn handle(&mut self, write: Queued<WriteDue>, _: &mut Context<Self>) {
        let WriteDue = write.into_message();
        self.write_due(clock::now());
    }
}

/// The interval at which stanzas are offered again that the journal could not take: that at which it opens its file again.
const OFFER_AGAIN: Duration = Duration::from_secs(10);
