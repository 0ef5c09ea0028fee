//! Room for waiting connections: served ones of the same address that make no progress towards authentication give way.
//!
//! Without this, a few connections that never finish their handshake would keep all others of the address from being served
//! until `handshake_timeout`.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use super::{Caller, Excess, Kind, Listener, Site, Stage, Standing, queue::SILENCE};
use crate::streams::{component, incoming};

impl Listener {
    /// Notes that a connection is served from now on, and has not authenticated.
    pub(super) fn note_unproved(&mut self, caller: Caller, since: Instant) {
        if let Some(connection) = self.connections.get_mut(&caller)
            && connection.standing != Standing::Proved
        {
            connection.unproved_since = Some(since);
            self.unproved.entry(caller.site()).or_default().insert((since, caller));
        }
    }

    /// The connection has authenticated, or ends.
    pub(super) fn forget_unproved(&mut self, caller: Caller) {
        let Some(connection) = self.connections.get_mut(&caller) else { return };
        if let Some(since) = connection.unproved_since.take()
            && let Some(unproved) = self.unproved.get_mut(&caller.site())
        {
            unproved.remove(&(since, caller));
            if unproved.is_empty() {
                self.unproved.remove(&caller.site());
            }
        }
    }

    /// How long a connection of this kind may take for a TLS handshake, if others wait.
    pub(super) fn stalled(&self) -> Duration {
        match self.kind {
            Kind::Servers(_) => incoming::stalled(self.limits.handshake_timeout),
            // They take milliseconds, and few connect at once.
            Kind::Components(..) => SILENCE,
        }
    }

    /// Has the oldest unauthenticated connections of the address give way, one for each that waits with a first byte. Those
    /// that are younger than [`SILENCE`] stay.
    pub(super) fn make_room(&mut self, site: Site) {
        let now = clock::now();
        for _ in 0..self.queues.get(&site).map_or(0, |queue| queue.len()) {
            let oldest = self.unproved.get(&site).and_then(BTreeSet::first).copied();
            let Some((_, caller)) =
                oldest.filter(|(since, _)| now.saturating_duration_since(*since) >= SILENCE)
            else {
                return;
            };
            self.forget_unproved(caller);
            let Some(connection) = self.connections.get_mut(&caller) else { continue };
            let error = Excess::Address.error();
            match &mut connection.stage {
                Stage::Starting(gives_way) => {
                    // A task that has just ended reports that.
                    let _ = gives_way.take().map(|gives_way| gives_way.send(()));
                }
                // The stream decides: it knows whether its peer makes progress. It may be asked again.
                Stage::Server(incoming) => {
                    let _ = incoming.signal(incoming::MakeRoom { error });
                    self.note_unproved(caller, now);
                }
                Stage::Component(component) => {
                    let _ = component.signal(component::MakeRoom { error });
                    self.note_unproved(caller, now);
                }
                Stage::Silent | Stage::Waiting(_) => {}
            }
        }
    }
}
