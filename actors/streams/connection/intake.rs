//! Stanzas that were read from a stream, on their way to the router.

use std::time::Duration;

use actix::{Actor, ActorContext, AsyncContext, Context};
use xmpp::Stanza;

use crate::flow::{
    batch::{self, ReadPermit},
    journal::Receipt,
    route::{Ingress, Route},
    throttle::{Throttle, UNPRODUCTIVE},
};
use mailbox::{Outlet, Refused};

/// Stanzas that were read from a stream, on their way to the router.
#[derive(Debug)]
pub(in crate::streams) struct Intake {
    ingress: Ingress,
    /// Stanzas that the router has not taken yet. Nothing is read meanwhile: they hold read permits.
    offered: Option<Route>,
    /// Limits elements that bring no stanza.
    unproductive: Throttle,
    /// Stanzas that were read, without those that were refused.
    pub(in crate::streams) stanzas: u64,
    /// Stanzas that were refused one by one.
    pub(in crate::streams) refused: u64,
}

impl Intake {
    /// For a stream on this side of the node.
    pub(in crate::streams) fn new(ingress: Ingress) -> Self {
        Self {
            ingress,
            offered: None,
            unproductive: Throttle::new(Some(UNPRODUCTIVE)),
            stanzas: 0,
            refused: 0,
        }
    }

    /// Whether the router has not taken all yet.
    pub(in crate::streams) fn is_pending(&self) -> bool {
        self.offered.is_some()
    }

    /// Offers the stanzas of one read to the router. If its mailbox is full, they are kept and `offer_again`
    /// is called after a moment.
    pub(in crate::streams) fn offer<A: Actor<Context = Context<A>>>(
        &mut self,
        stanzas: Vec<Stanza>,
        permit: &ReadPermit,
        receipt: &Receipt,
        router: &Outlet<Route>,
        context: &mut Context<A>,
        offer_again: fn(&mut A, &mut Context<A>),
    ) {
        let mut batches = batch::sort(stanzas, permit);
        batches.iter_mut().for_each(|batch| batch.receipt = receipt.clone());
        match &mut self.offered {
            // They come after those that wait.
            Some(route) => route.batches.extend(batches),
            None => {
                let route = Route { batches, ingress: self.ingress };
                self.tell(route, router, context, offer_again);
            }
        }
    }

    /// Offers the stanzas that the router has not taken yet.
    pub(in crate::streams) fn offer_again<A: Actor<Context = Context<A>>>(
        &mut self,
        router: &Outlet<Route>,
        context: &mut Context<A>,
        offer_again: fn(&mut A, &mut Context<A>),
    ) {
        if let Some(route) = self.offered.take() {
            self.tell(route, router, context, offer_again);
        }
    }

    fn tell<A: Actor<Context = Context<A>>>(
        &mut self,
        route: Route,
        router: &Outlet<Route>,
        context: &mut Context<A>,
        offer_again: fn(&mut A, &mut Context<A>),
    ) {
        match router.tell(route) {
            Ok(()) => {}
            Err(Refused::Full(route)) => {
                self.offered = Some(route);
                context.run_later(OFFER_AGAIN, offer_again);
            }
            Err(Refused::Gone(_)) => context.stop(),
        }
    }

    /// Counts elements that brought no stanza. Gives the time in which nothing is to be read, if there were
    /// too many.
    pub(in crate::streams) fn pause_after(&mut self, unproductive: usize) -> Option<Duration> {
        self.unproductive.take(unproductive, clock::now())
    }
}

/// How soon stanzas are offered again to a router whose mailbox was full.
pub(in crate::streams) const OFFER_AGAIN: Duration = Duration::from_millis(25);
