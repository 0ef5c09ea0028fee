//! Where the stanzas for a component come from: from the router, or from the mailroom, which keeps what waits.
//!
//! A new connection asks the mailroom for portions, until nothing waits there. A connection whose outbox is full reports
//! it to the router. From then on the stanzas for the component wait in the mailroom, and the connection asks for a
//! portion whenever its outbox has drained. No source is paused for a slow component.

use actix::{Context, Handler};

use super::{Component, Congested, LOG, Open, Pull, Requested, Send, SendPortion, bind::Binding};
use crate::flow::batch::{Batch, ReadPermit};
use mailbox::Queued;

/// Where the stanzas come from.
#[derive(Debug)]
pub(super) enum Supply {
    /// From the mailroom. What the router sends is held, with its read permits, until the mailroom has handed over all.
    Mailroom {
        /// Batches of the router.
        held: Vec<Batch>,
        /// Whether the connection has asked for a portion and the answer is not here.
        has_asked: bool,
    },
    /// From the router.
    Router,
    /// From the router, which has been told that the outbox is full. Until it knows, the read permits of what it sends
    /// are kept, so that this is one read of each stream at most.
    Congested {
        /// Dropped when the router knows.
        permits: Vec<ReadPermit>,
    },
}

impl Supply {
    /// A new connection gets what waits in the mailroom.
    pub(super) fn new() -> Self {
        Self::Mailroom { held: Vec::new(), has_asked: false }
    }

    /// Takes out the batches of the router that are held.
    pub(super) fn take_held(&mut self) -> Vec<Batch> {
        match std::mem::replace(self, Self::Router) {
            Self::Mailroom { held, .. } => held,
            Self::Router | Self::Congested { .. } => Vec::new(),
        }
    }

    /// The connection has ended: what still comes pauses no source.
    pub(super) fn release(&mut self) {
        match self {
            Self::Mailroom { held, .. } => held.iter_mut().for_each(Batch::release),
            Self::Congested { permits } => permits.clear(),
            Self::Router => {}
        }
    }
}

impl Component {
    /// Whether stanzas can still be written.
    fn takes_stanzas(&self) -> bool {
        !self.connection.has_ended() && !self.machine.has_closed()
    }

    /// Writes stanzas, however many wait already. After the end of the stream they are kept, to be given back.
    fn write(&mut self, mut batch: Batch) {
        if self.takes_stanzas() {
            self.connection.last_stanza = clock::now();
            self.connection.outbox.accept(batch);
        } else {
            batch.release();
            self.leftovers.unwritten.push(batch);
        }
    }

    /// Asks the mailroom for a portion if the outbox has drained.
    pub(super) fn request(&mut self) {
        let Binding::Bound { name, .. } = &self.binding else { return };
        if !self.takes_stanzas() {
            return;
        }
        let Supply::Mailroom { has_asked: has_asked @ false, .. } = &mut self.supply else { return };
        if let Some(room) = self.connection.outbox.room_if_drained() {
            *has_asked = true;
            let requested = Requested { name: name.clone(), component: self.own.clone().into(), room };
            // A mailroom that is gone ends the process.
            let _ = self.environment.owners.requested.signal(requested);
        }
    }

    /// Reports a full outbox to the router.
    fn report_congestion(&mut self) {
        let Binding::Bound { name, .. } = &self.binding else { return };
        if !matches!(self.supply, Supply::Router)
            || !self.takes_stanzas()
            || self.connection.outbox.has_room()
        {
            return;
        }
        log::debug!(
            target: LOG, name:% = name;
            "congested: the component reads more slowly than stanzas arrive"
        );
        let congested = Congested { name: name.clone(), component: self.own.clone().into() };
        self.supply = Supply::Congested { permits: Vec::new() };
        // A router that is gone ends the process.
        let _ = self.environment.owners.congested.signal(congested);
    }
}

impl Handler<Queued<Send>> for Component {
    type Result = ();

    fn handle(&mut self, send: Queued<Send>, context: &mut Context<Self>) {
        let Send { mut batch } = send.into_message();
        let takes_stanzas = self.takes_stanzas();
        match &mut self.supply {
            Supply::Mailroom { held, .. } => {
                if !takes_stanzas {
                    batch.release();
                }
                return held.push(batch);
            }
            Supply::Congested { permits } if takes_stanzas => permits.push(batch.permit.clone()),
            Supply::Congested { .. } | Supply::Router => {}
        }
        self.write(batch);
        self.connection.flush();
        self.watch_unwritten(context);
        self.report_congestion();
    }
}

impl Handler<Queued<SendPortion>> for Component {
    type Result = ();

    fn handle(&mut self, portion: Queued<SendPortion>, context: &mut Context<Self>) {
        let SendPortion { batches } = portion.into_message();
        if let Supply::Mailroom { has_asked, .. } = &mut self.supply {
            *has_asked = false;
        }
        for batch in batches {
            self.write(batch);
        }
        self.connection.flush();
        self.watch_unwritten(context);
        self.request();
    }
}

impl Handler<Queued<Open>> for Component {
    type Result = ();

    fn handle(&mut self, open: Queued<Open>, context: &mut Context<Self>) {
        open.into_message();
        for batch in self.supply.take_held() {
            self.write(batch);
        }
        self.connection.flush();
        self.watch_unwritten(context);
        self.report_congestion();
    }
}

impl Handler<Queued<Pull>> for Component {
    type Result = ();

    fn handle(&mut self, pull: Queued<Pull>, _: &mut Context<Self>) {
        pull.into_message();
        self.supply = Supply::Mailroom { held: self.supply.take_held(), has_asked: false };
        self.request();
    }
}
