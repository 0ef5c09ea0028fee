//! Performs the outputs of the machine of an incoming stream.

use std::sync::Arc;

use actix::Context;
use bytes::Bytes;
use tokio::sync::watch;
use xmpp::{
    Domain, DomainPair, Stanza,
    dialback::Request,
    policy::Mechanism,
    stanza,
    stream::receiving::{Output, open},
};

use super::{Authentication, Authorized, Incoming, LOG, Machine, acks::Acks, name};
use crate::{
    dial::error::AttemptError,
    flow::{
        batch::{self, ReadPermit},
        journal::Receipt,
        refused::{self, RefusedStanzas},
        route::Refuse,
    },
    streams::{accepted, verifier},
};
use status::{
    address::Host,
    display::{self, Protection, millis},
    event::{Event, EventKind},
};

impl Incoming {
    /// Performs the outputs of the machine, then gives the link the next bytes. Acks follow when the router has taken the
    /// stanzas: at once, or in [`Self::offer_again`].
    pub(super) fn drive(&mut self, permit: &ReadPermit, context: &mut Context<Self>) {
        self.poll(permit, context);
        while self.report_handled() {
            self.poll(permit, context);
        }
        self.end_if_lost(context);
        self.yield_if_taken();
        self.watch_receipts(context);
        self.connection.flush();
        if !self.connection.outbox.has_room() && !self.reading.is_peer_gone {
            self.reading.unread = Some(permit.clone());
        }
    }

    /// Performs the outputs of the machine, and offers the stanzas to the router.
    fn poll(&mut self, permit: &ReadPermit, context: &mut Context<Self>) {
        let mut stanzas: Vec<Stanza> = Vec::new();
        let mut refused: Vec<stanza::Refused> = Vec::new();
        loop {
            match &mut self.machine {
                Machine::Handshake(handshake) => match handshake.poll() {
                    None => break,
                    Some(output) => self.negotiate(output),
                },
                Machine::Open(open) => match open.poll() {
                    None => break,
                    Some(open::Output::Transmit(bytes)) => self.transmit(bytes),
                    Some(open::Output::Authorized { pair, mechanism }) => self.admit(&pair, mechanism),
                    // Counted at once: the line about the end of the stream may be the next output.
                    Some(open::Output::Stanza(stanza)) => {
                        self.intake.stanzas += 1;
                        stanzas.push(stanza);
                    }
                    Some(open::Output::StanzaRefused(stanza)) => {
                        self.intake.refused += 1;
                        refused.push(*stanza);
                    }
                    Some(open::Output::Verify(request)) => self.verify(request),
                    Some(open::Output::Refused { remote, reason }) => {
                        self.log_refusal(remote.as_ref(), reason);
                    }
                    Some(open::Output::AcksEnabled { resume }) => self.acks_enabled(resume),
                    Some(open::Output::AckDue) => self.ack_due = true,
                    Some(open::Output::Resume { previd, .. }) => self.claim(previd, permit),
                    Some(open::Output::Ended(end)) => self.stream_ended(&end),
                },
            }
        }
        if !refused.is_empty() {
            self.refuse(refused, permit);
        }
        if !stanzas.is_empty() {
            self.connection.last_stanza = clock::now();
            let router = &self.environment.owners.routes;
            let receipt = match &self.acks {
                Acks::Off | Acks::Claiming { .. } => Receipt::default(),
                Acks::On | Acks::Resumable { .. } | Acks::Yielding { .. } | Acks::Parted => {
                    self.receipts.receipt()
                }
            };
            self.intake.offer(stanzas, permit, &receipt, router, context, Self::offer_again);
        }
    }

    fn offer_again(&mut self, context: &mut Context<Self>) {
        self.intake.offer_again(&self.environment.owners.routes, context, Self::offer_again);
        self.drive(&ReadPermit::free(), context);
    }

    /// Does the next step of the handshake.
    fn negotiate(&mut self, output: Output) {
        match output {
            Output::Transmit(bytes) => self.transmit(bytes),
            Output::StartTls => {
                self.connection.flush();
                self.connection.accept_tls(self.environment.tls.clone(), self.to.clone());
            }
            Output::Opened { from, to, certificate } => {
                log::debug!(
                    target: LOG, address:% = self.connection.address, from:% = name(from.as_ref()), to:% = to,
                    certificate:% = certificate.as_ref().map_or_else(|| "-".to_owned(), display::certificate);
                    "opened"
                );
                self.to = Some(to);
                if let Some(verdict) = certificate {
                    self.set_verdict(verdict);
                }
            }
            Output::Verify(request) => self.verify(request),
            Output::Refused { remote, reason } => self.log_refusal(remote.as_ref(), reason),
            Output::Completed(open) => self.machine = Machine::Open(open),
            Output::Ended(end) => self.stream_ended(&end),
        }
    }

    fn transmit(&mut self, bytes: Bytes) {
        if let Some(shown) = self.connection.transmit(bytes) {
            log::trace!(target: LOG, address:% = self.connection.address; "sent {shown}");
        }
    }

    /// Has a dialback key verified by the authoritative server.
    fn verify(&mut self, request: Request) {
        let address = self.connection.address;
        if self.environment.log_limits.asked.count_line() {
            log::info!(
                target: LOG, address:% = address, pair:% = request.pair;
                "received a dialback key to verify"
            );
        }
        let site = net::address::site(address.ip());
        let stream = self.verifying.get_or_insert_with(|| watch::channel(()).0).subscribe();
        let (answer, within) = (self.own.outlet(), self.remote.handshake_timeout);
        let verify = verifier::Verify { request, site, answer, within, stream };
        if let Err(refused) = self.environment.verifier.tell(verify) {
            let request = refused.into_inner().request;
            let error = AttemptError::Overloaded.dialback_error(&request.pair.remote);
            self.machine.verified(&request, Err(error));
        }
    }

    /// The remote has proved a pair. From the first one on the policy for this remote applies; the promise
    /// learns that the remote is reachable.
    fn admit(&mut self, pair: &DomainPair, mechanism: Mechanism) {
        match &mut self.authentication {
            Authentication::Done { mechanism: last, .. } => *last = mechanism,
            Authentication::Pending => {
                let _presence = self.environment.metrics.admit();
                self.authentication = Authentication::Done { mechanism, _presence };
                // A listener that is gone counts no connections.
                let authenticated = accepted::Authenticated { caller: self.caller(), component: None };
                let _ = self.environment.authenticated.signal(authenticated);
                self.remote = Arc::clone(self.environment.policies.remote(&pair.remote));
                self.reading.throttle.set_rate(self.remote.max_rate);
            }
        }
        // A promise that is gone ends the process.
        let _ = self.environment.authorized.signal(Authorized { remote: pair.remote.clone() });
        let remote = self.environment.policies.remote(&pair.remote);
        let shown = Protection::of(self.machine.status().transport, &pair.remote, &remote.policy);
        log::info!(
            target: LOG, address:% = self.connection.address, pair:% = pair,
            mechanism:% = mechanism, protocol = shown.protocol,
            cipher = shown.cipher, certificate = shown.certificate.as_str(),
            fingerprint = shown.fingerprint, took:% = millis(self.connection.since);
            "authenticated"
        );
        let text = format!("by {mechanism}, {}", shown.summary());
        let event =
            Event::now(EventKind::ConnectedToUs).with(&pair.local).at(self.connection.address).saying(text);
        self.environment.recorder.note(&pair.remote, event);
        self.record_fingerprint(&pair.remote);
    }

    /// A request of the peer was refused, and the stream goes on.
    fn log_refusal(&mut self, remote: Option<&Domain>, reason: String) {
        if matches!(self.authentication, Authentication::Done { .. })
            || self.environment.log_limits.refused.count_line()
        {
            log::warn!(
                target: LOG, address:% = self.connection.address, remote:% = name(remote),
                reason = reason.as_str();
                "refused"
            );
        }
        if let Some(remote) = remote {
            self.record_refusal(remote, reason);
        }
    }

    /// Records in the history of a domain that a request was refused.
    pub(super) fn record_refusal(&mut self, remote: &Domain, reason: String) {
        let event = Event::now(EventKind::Refused).at(self.connection.address).saying(reason);
        self.environment.recorder.note_claim(remote, event);
        self.refusals.is_recorded = true;
    }

    /// Has refused stanzas counted, and their answers sent like stanzas of our own domains: on streams that
    /// we open.
    fn refuse(&mut self, stanzas: Vec<stanza::Refused>, permit: &ReadPermit) {
        let address = self.connection.address;
        let mut refused = RefusedStanzas::default();
        let mut answers = Vec::new();
        for stanza in stanzas {
            refused::log(LOG, &self.environment.log_limits.stanzas, &address, &stanza);
            if !self.refusals.stanzas.contains(&stanza.reason) {
                self.refusals.stanzas.push(stanza.reason);
                let text = format!("a stanza: {}", stanza.text);
                let event = Event::now(EventKind::Refused).with(&stanza.local).at(address).saying(text);
                self.environment.recorder.note(&stanza.remote, event);
            }
            refused.enter(&stanza, || Host::Ip(address.ip()));
            answers.extend(stanza.answer);
        }
        // Bounded: as many as one read brought, and the next read waits for their permit. A router that is
        // gone ends the process.
        let _ =
            self.environment.owners.refused.signal(Refuse { refused, answers: batch::sort(answers, permit) });
    }
}
