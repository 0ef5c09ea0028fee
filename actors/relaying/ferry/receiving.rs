//! The way from the other node: parcels go to the router, and their receipts come back.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use ::cluster::{
    ferry::{Header, Inbound, Over, Parcel, Parcels, Ranges, codec, unknown_session},
    name::{Incarnation, NodeName},
};
use bytes::Bytes;
use xmpp::{Stanza, stanza::Restorer};

use super::{Common, Run};
use crate::{
    flow::{
        account::{Entry, Totals},
        batch::{Batch, Sends},
        fence::{Fence, Lease, Mark},
        journal::{Change, ParcelChanged, Place, Places, Receipt},
        route::{Ingress, Route},
    },
    observe::log_limit::{FEW, LogLimiter},
    relaying::LOG,
};
use mailbox::{Outlet, Refused};
use status::amount::Amount;

pub(super) struct Receiving {
    own: NodeName,
    node: NodeName,
    routes: Outlet<Route>,
    receipts: Outlet<ParcelChanged>,
    account: Arc<Totals>,
    limit: usize,
    /// The last session, which may be over.
    session: Option<Session>,
    /// For the router, in order: one for each frame.
    offers: VecDeque<Offer>,
    offer_at: Option<Instant>,
    /// The last run of this node that is over.
    earlier: Option<Incarnation>,
    /// Runs of the other node that began no session after one of another run.
    replaced: VecDeque<Incarnation>,
    /// The receipts of all sessions.
    last_receipt: u64,
    /// Nothing more is taken: the node stops. What is lent may be settled until then.
    stops_at: Option<Instant>,
    /// The limit on lines about what the other node has sent.
    wrong: Arc<LogLimiter>,
}

/// A session, named by the header of its frames.
struct Session {
    header: Header,
    inbound: Inbound,
    fence: Fence,
    lease: Arc<Lease>,
    /// The number of a receipt is that of its parcel and this one, so that receipts of earlier sessions are recognized.
    base: u64,
    /// What was given out and is neither settled nor given back, by number.
    lent: BTreeMap<u64, Lent>,
}

struct Lent {
    amount: Amount,
    mark: Mark,
    /// An actor panicked while it had a part of it.
    is_lost: bool,
    /// How many stanzas it has.
    stanzas: u64,
    /// Those that go back, when the others are settled.
    given_back: Ranges,
    returned: Amount,
}

impl Lent {
    /// Whether nothing of it was delivered.
    fn is_given_back(&self) -> bool {
        let all = [(0, self.stanzas.saturating_sub(1))].into_iter().collect();
        self.given_back == all
    }
}

struct Offer {
    /// [`Session::base`] of its session.
    session: u64,
    batches: Vec<Batch>,
    amount: Amount,
}

impl Receiving {
    pub(super) fn new(common: &Common, node: NodeName, receipts: Outlet<ParcelChanged>) -> Self {
        Self {
            own: common.own.clone(),
            routes: common.routes.clone(),
            receipts,
            account: Arc::clone(&common.account),
            limit: common.window.saturating_mul(WINDOWS),
            session: None,
            offers: VecDeque::new(),
            offer_at: None,
            earlier: None,
            replaced: VecDeque::new(),
            last_receipt: 0,
            wrong: LogLimiter::about(
                LOG,
                FEW,
                "more frames and stanzas of another node were wrong",
                node.as_str(),
            ),
            node,
            stops_at: None,
        }
    }

    /// Takes a frame. Gives an answer if it is not of a session that this node has or begins.
    pub(super) fn handle(
        &mut self,
        header: &Header,
        parcels: Parcels,
        run: Option<&Run>,
        now: Instant,
    ) -> Option<Bytes> {
        if self.session.as_ref().is_none_or(|session| session.header != *header) {
            let run = match self.may_begin(header, run, now) {
                Ok(run) => run,
                Err(answer) => return answer,
            };
            self.begin(header, run);
        }
        let session = self.session.as_mut()?;
        if self.stops_at.is_some() && !session.inbound.is_over() {
            // It comes again, until the session is over.
            return None;
        }
        match session.inbound.handle(parcels, now) {
            Ok(parcels) => self.take(parcels, now),
            Err(lie) => {
                if self.wrong.count_line() {
                    log::error!(target: LOG, node:% = self.node, reason:% = lie; "frame of another node is wrong");
                }
                return self.end();
            }
        }
        None
    }

    /// What becomes of a parcel has changed.
    pub(super) fn changed(&mut self, changed: ParcelChanged, now: Instant) -> Option<Bytes> {
        let session = self.session.as_mut()?;
        let number = changed.number.checked_sub(session.base)?;
        // What is dropped behind the fence is not settled.
        if session.inbound.is_over() || !session.lease.is_held(now) {
            return None;
        }
        let lent = session.lent.get_mut(&number)?;
        match changed.change {
            Change::Lost => {
                lent.is_lost = true;
                return self.end();
            }
            Change::GivenBack { stanzas, amount } => {
                lent.given_back.merge(&stanzas);
                lent.returned = lent.returned.plus(amount);
            }
            Change::Ended => {
                let lent = session.lent.remove(&number)?;
                self.account.settle_carried(lent.amount.minus(lent.returned));
                match lent.given_back.is_empty() {
                    true => session.inbound.settle(number, now),
                    false => {
                        let part = (!lent.is_given_back()).then_some(lent.given_back);
                        session.inbound.give_back(number, part, now);
                    }
                }
            }
        }
        None
    }

    /// Offers the router what waits, in order.
    pub(super) fn offer(&mut self, now: Instant) {
        self.offer_at = None;
        while let Some(Offer { session, batches, amount }) = self.offers.pop_front() {
            match self.routes.tell(Route { batches, ingress: Ingress::Node }) {
                Ok(()) => self.account.carry(amount),
                Err(Refused::Full(Route { batches, .. })) => {
                    self.offers.push_front(Offer { session, batches, amount });
                    self.offer_at = Some(now + OFFER_AGAIN);
                    return;
                }
                // A router that is gone ends the process.
                Err(Refused::Gone(_)) => self.offers.clear(),
            }
        }
    }

    pub(super) fn next_offer(&self) -> Option<Instant> {
        self.offer_at
    }

    pub(super) fn poll(&mut self, now: Instant) -> Option<Bytes> {
        self.session.as_mut()?.inbound.poll(now)
    }

    pub(super) fn next_frame(&self) -> Option<Instant> {
        self.session.as_ref()?.inbound.next_tick()
    }

    /// Ends the session: the other node gets back what is not settled. Gives the frame that says so.
    pub(super) fn end(&mut self) -> Option<Bytes> {
        let session = self.session.as_mut().filter(|session| !session.inbound.is_over())?;
        // In this order: a parcel that has no mark now gets none.
        session.fence.end();
        let base = session.base;
        self.offers.retain(|offer| offer.session != base);
        let lent = std::mem::take(&mut session.lent);
        let is_touched =
            |number: u64| lent.get(&number).is_none_or(|lent| lent.is_lost || lent.mark.is_touched());
        Some(session.inbound.end(is_touched))
    }

    /// Takes nothing more, and ends the session when all that is lent is settled, or at `by`: links that are up settle it
    /// in a moment, so that none of it goes back and is sent twice.
    pub(super) fn stop(&mut self, by: Instant) {
        self.stops_at = Some(by);
    }

    /// Ends the session of a node that stops, if it is time. Gives the frame that says so.
    pub(super) fn end_if_stopped(&mut self, now: Instant) -> Option<Bytes> {
        let by = self.stops_at?;
        let session = self.session.as_ref()?;
        let is_settled = session.lent.is_empty() && self.offers.is_empty();
        if is_settled || by <= now { self.end() } else { None }
    }

    /// Whether nothing of the other node is here any more, and nothing more is taken.
    pub(super) fn has_stopped(&self) -> bool {
        self.stops_at.is_some() && self.session.as_ref().is_none_or(|session| session.inbound.is_over())
    }

    /// When the session of a node that stops ends at the latest.
    pub(super) fn next_stop(&self) -> Option<Instant> {
        self.stops_at.filter(|_| !self.has_stopped())
    }

    /// This run of the node is over.
    pub(super) fn remember(&mut self, run: Incarnation) {
        self.earlier = Some(run);
    }

    /// Whether a frame of an unknown session begins one. Otherwise gives the answer, if there is one.
    fn may_begin<'run>(
        &self,
        header: &Header,
        run: Option<&'run Run>,
        now: Instant,
    ) -> Result<&'run Run, Option<Bytes>> {
        let present = run.filter(|run| run.incarnation == header.to);
        let is_late = self.replaced.contains(&header.incarnation);
        let is_new = !is_late && self.session.as_ref().is_none_or(|session| session.header.is_before(header));
        match present {
            Some(run) if is_new && self.stops_at.is_none() && run.lease.is_held(now) => Ok(run),
            Some(_) if is_new => Err(Some(self.nothing_taken(header))),
            None if is_new && self.earlier == Some(header.to) => Err(Some(self.nothing_taken(header))),
            // Another process may have this name by mistake, and the lease: then the session is its.
            None if run.is_none() => Err(None),
            // It is older than the last one, or was begun with another process.
            _ => Err(Some(unknown_session(self.own.clone(), header))),
        }
    }

    /// The answer to a session of which this process has taken nothing.
    fn nothing_taken(&self, header: &Header) -> Bytes {
        codec::encode_over(&header.answer(self.own.clone()), &Over::nothing())
    }

    fn begin(&mut self, header: &Header, run: &Run) {
        if let Some(before) = &self.session
            && before.header.session < header.session
        {
            // The other node still runs: it has taken back what was not settled.
            before.fence.end();
            let base = before.base;
            self.offers.retain(|offer| offer.session != base);
        }
        // Otherwise the other node was started again: nobody else has what it lent.
        if let Some(before) = &self.session
            && before.header.incarnation != header.incarnation
        {
            self.replaced.push_back(before.header.incarnation);
            self.replaced.drain(..self.replaced.len().saturating_sub(REPLACED));
        }
        self.session = Some(Session {
            header: header.clone(),
            inbound: Inbound::new(header.answer(self.own.clone()), self.limit),
            fence: Fence::new(Arc::clone(&run.lease), self.node.clone()),
            lease: Arc::clone(&run.lease),
            base: self.last_receipt,
            lent: BTreeMap::new(),
        });
    }

    /// Makes batches of parcels, with receipts.
    fn take(&mut self, parcels: Vec<(u64, Parcel)>, now: Instant) {
        let Some(session) = &mut self.session else { return };
        let mut restorer = Restorer::default();
        let mut offer = Offer { session: session.base, batches: Vec::new(), amount: Amount::default() };
        for (number, parcel) in parcels {
            let id = session.base + number;
            self.last_receipt = self.last_receipt.max(id);
            let (receipts, fence) = (self.receipts.clone(), session.fence.clone());
            let (receipt, mark) = Receipt::of_parcel(id, parcel.begins, receipts, fence);
            let (mut amount, mut next) = (Amount::default(), 0);
            for batch in parcel.batches {
                let (mut stanzas, mut places) = (Vec::with_capacity(batch.stanzas.len()), Places::default());
                for bytes in batch.stanzas {
                    if let Some(stanza) = restored(&mut restorer, bytes, &self.node, &self.wrong) {
                        places.push(stanzas.len(), Place::Lent(next));
                        stanzas.push(stanza);
                    }
                    next += 1;
                }
                if stanzas.is_empty() {
                    continue;
                }
                let batch = Batch {
                    since: now.checked_sub(batch.age).unwrap_or(now),
                    entry: Entry::none(),
                    returning: batch.returning,
                    sends: Sends { times: batch.times, may_have_arrived: batch.may_have_arrived },
                    places,
                    receipt: receipt.clone(),
                    ..Batch::between(batch.from, batch.to, stanzas)
                };
                amount = amount.plus(batch.amount());
                offer.batches.push(batch);
            }
            let (given_back, returned) = (Ranges::new(), Amount::default());
            let lent = Lent { amount, mark, is_lost: false, stanzas: next, given_back, returned };
            session.lent.insert(number, lent);
            offer.amount = offer.amount.plus(amount);
        }
        if !offer.batches.is_empty() {
            self.offers.push_back(offer);
        }
    }
}

/// The stanza with these bytes. Another node has checked them, so they are one.
fn restored(
    restorer: &mut Restorer,
    bytes: Bytes,
    node: &NodeName,
    limit: &Arc<LogLimiter>,
) -> Option<Stanza> {
    match restorer.restore(bytes) {
        Ok(stanza) => Some(stanza),
        Err(error) => {
            if limit.count_line() {
                log::error!(target: LOG, node:% = node, reason:% = error; "stanza of another node dropped");
            }
            None
        }
    }
}

/// Bytes that may be unsettled, in windows of this node: pairs with little on the way go beyond the window, and the other
/// node may have a larger one.
const WINDOWS: usize = 8;

/// Runs of the other node that are remembered, so that no late frame of one is taken. Frames are late by seconds.
const REPLACED: usize = 16;

/// When the router is offered again what it had no room for, as streams do.
const OFFER_AGAIN: Duration = Duration::from_millis(25);
