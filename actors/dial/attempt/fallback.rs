//! Dialback on another connection, for a peer that refuses EXTERNAL and closes the stream.
//!
//! On the same stream, dialback follows a refused EXTERNAL. If the peer closes the stream instead, the
//! attempt connects to the same address again and leaves EXTERNAL out. The policy and the certificate are
//! checked again as on every connection. The permit of the first connection is used again: a second one could
//! be waited for by attempts that all hold a first one.

use std::net::SocketAddr;

use super::{Goal, negotiation::Connection, visit::Visitor};
use crate::{dial::error::AttemptError, observe::metrics::Phase};
use net::happy_eyeballs;
use status::event::{Event, EventKind};

impl<G: Goal> Visitor<'_, G> {
    /// Connects to `address` again, without EXTERNAL.
    pub(super) async fn fall_back(
        &self,
        address: SocketAddr,
        refusal: AttemptError,
    ) -> Result<G::Outcome, AttemptError> {
        let (attempt, target) = (self.attempt, &self.place.target);
        let sentence = refusal.sentence(&attempt.pair.remote);
        log::log!(
            target: attempt.log, attempt.level(), pair:% = attempt.pair, address:% = address,
            reason = sentence.as_str();
            "trying dialback on another connection"
        );
        attempt
            .record(Event::now(EventKind::TargetFailed).at(address).saying(format!("{target}: {sentence}")));
        self.connect_without_external(address).await.map_err(|dialback| {
            log::log!(
                target: attempt.log, attempt.level(), pair:% = attempt.pair, address:% = address,
                reason:% = dialback.sentence(&attempt.pair.remote);
                "dialback on another connection failed"
            );
            AttemptError::Unauthenticated { external: Box::new(refusal), dialback: Box::new(dialback) }
        })
    }

    async fn connect_without_external(&self, address: SocketAddr) -> Result<G::Outcome, AttemptError> {
        let (attempt, share) = (self.attempt, &self.place.share);
        if !share.try_take_connection() {
            return Err(AttemptError::Late);
        }
        let began = clock::now();
        let within = attempt.remote.connect_timeout.min(share.time_left());
        let opened = happy_eyeballs::open(&attempt.dialer.network, address, within).await;
        attempt.count(Phase::Connect, began);
        let connection = Connection {
            entrant: &self.entrant,
            socket: opened.map_err(|failure| AttemptError::Connect(vec![(address, failure)]))?,
            address,
            direct_tls: self.place.target.direct_tls,
            within: attempt.remote.handshake_timeout.min(share.time_left()),
            without_external: true,
        };
        attempt.negotiate(connection).await.outcome
    }
}
