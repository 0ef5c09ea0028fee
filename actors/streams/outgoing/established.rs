//! The start of the stream of a successful attempt.

use std::time::Duration;

use actix::{ActorContext, Context};

use super::{Established, Handled, Outgoing, Session, State, acks, inbound::Inbound};
use crate::{
    dial::attempt::{self, Adopt, Lost},
    flow::batch::ReadPermit,
    streams::connection::Connection,
};

impl Outgoing {
    /// Takes the stream of a successful attempt.
    pub(super) fn establish(
        &mut self,
        dialed: attempt::Session,
        adopted: Option<Adopt>,
        lost: Option<&Lost>,
        context: &mut Context<Self>,
    ) {
        // XEP-0478: the peer closes an idle stream then. We close it earlier, or a stanza may meet a closing
        // stream.
        let idle_seconds = dialed.machine.idle_seconds();
        let peer_idle_timeout = idle_seconds.map(|seconds| Duration::from_secs(seconds).mul_f32(0.9));
        self.limits.idle_timeout = self.limits.idle_timeout.min(peer_idle_timeout.unwrap_or(Duration::MAX));
        let handled = acks::handled(&dialed.machine, lost);
        self.state = State::Open(Box::new(Session {
            connection: Connection::start(
                dialed.stream,
                dialed.address,
                clock::now(),
                self.own.outlet(),
                dialed.trace,
                acks::outbox(&dialed.machine),
            ),
            machine: dialed.machine,
            inbound: Inbound::new(),
            expires: dialed.expires,
            peer_chain: dialed.peer_chain,
            route: dialed.route,
            peer_idle_timeout,
        }));
        self.watch_deadlines(context);
        let established = Established {
            pair: self.pair.clone(),
            session: self.own.clone().into(),
            handled: handled.as_ref().copied().unwrap_or(Handled::Unknown),
        };
        if self.owners.established.signal(established).is_err() {
            context.stop();
            return;
        }
        if let Err(wrong) = handled {
            self.refuse_count(wrong, context);
        }
        self.drive(&ReadPermit::free(), context);
        if let Some(adopt) = adopted {
            self.adopt(&adopt, context);
        }
    }
}
