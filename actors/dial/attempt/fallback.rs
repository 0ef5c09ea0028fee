//! Dialback on a connection of its own, for a peer that refuses EXTERNAL and ends the stream with it.
//!
//! On one stream dialback follows a refused EXTERNAL. A peer that closes leaves no stream for it, so the same turn goes
//! on with another connection to the same address, within what the attempt may cost. The terms for it are the same: the
//! machine asks the policy again, and the certificate of the peer is judged again. It also goes on with the same pass of
//! the gate: an attempt that kept a pass while it waits for another one could wait for itself.

use std::net::SocketAddr;

use super::{Arrival, Attempt, Budget};
use crate::{dial::failure::Failure, observe::metrics::Phase};
use net::{dns::Target, happy_eyeballs};
use status::event::{Event, What};

impl Attempt {
    /// Connects to `address` once more and leaves EXTERNAL out.
    pub(super) async fn try_dialback(
        &self,
        address: SocketAddr,
        target: &Target,
        refusal: Failure,
        share: &Budget,
    ) -> Result<Arrival, Failure> {
        log::log!(
            target: self.log, self.level(), pair:% = self.pair, address:% = address,
            reason:% = refusal.sentence(&self.pair.remote);
            "trying dialback on another connection"
        );
        let text = format!("{target}: {}", refusal.sentence(&self.pair.remote));
        self.note(Event::now(What::TargetFailed).at(address).saying(text));
        self.without_external.set(true);
        let tried = self.connect_for_dialback(address, target, share).await;
        self.without_external.set(false);
        self.dialback_left.set(false);
        tried.map_err(|dialback| {
            log::log!(
                target: self.log, self.level(), pair:% = self.pair, address:% = address,
                reason:% = dialback.sentence(&self.pair.remote);
                "dialback on another connection failed"
            );
            Failure::Unauthenticated { external: Box::new(refusal), dialback: Box::new(dialback) }
        })
    }

    async fn connect_for_dialback(
        &self,
        address: SocketAddr,
        target: &Target,
        share: &Budget,
    ) -> Result<Arrival, Failure> {
        if !share.connect() {
            return Err(Failure::Late);
        }
        let began = clock::now();
        let within = self.remote.connect_timeout.min(share.time_left());
        let opened = happy_eyeballs::open(address, within).await;
        self.count(Phase::Connect, began);
        let socket = opened.map_err(|failure| Failure::Connect(vec![(address, failure)]))?;
        let within = self.remote.handshake_timeout.min(share.time_left());
        self.negotiate_within(within, socket, address, target.direct_tls).await
    }
}
