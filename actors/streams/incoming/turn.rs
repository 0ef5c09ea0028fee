//! What the machine of an incoming stream wants done, and the way of what was read to the router.

use std::time::Duration;

use actix::{ActorContext, AsyncContext, Context};
use tokio::sync::watch;
use xmpp::{
    Domain, DomainPair, Stanza,
    certificate::Problem,
    dialback::Request,
    policy::{Mechanism, Refusal},
    stanza,
    stream::{
        End,
        receiving::{Output, open},
    },
};

use super::{Authorized, Incoming, LOG, machine::Machine};
use crate::{
    dial::error::AttemptError,
    flow::{
        batch::{self, Batch, ReadPermit},
        refused::{self, RefusedStanzas},
        route::{Ingress, Refuse, Route},
    },
    observe::{fingerprints, metrics::Count},
    streams::{caller, verifier},
};
use mailbox::Refused;
use status::{
    display::{Protection, in_words, millis, name_of},
    event::{Event, What},
    report::Direction,
};

impl Incoming {
    /// Lets the machine say what is to be done.
    pub(super) fn turn(&mut self, pass: &ReadPermit, context: &mut Context<Self>) {
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
                    // Counted at once, since the line about the end of the stream may be the next thing to do.
                    Some(open::Output::Stanza(stanza)) => {
                        self.stanzas_in += 1;
                        stanzas.push(stanza);
                    }
                    Some(open::Output::StanzaRefused(stanza)) => {
                        self.stanzas_refused += 1;
                        refused.push(*stanza);
                    }
                    Some(open::Output::Verify(request)) => self.ask(request),
                    Some(open::Output::Refused { remote, reason }) => self.refused(remote.as_ref(), reason),
                    Some(open::Output::Ended(end)) => self.stream_ended(&end),
                },
            }
        }
        self.feed_link();
        if !self.outbox.has_room() {
            self.unread = Some(pass.clone());
        }
        if !refused.is_empty() {
            self.refuse(refused, pass);
        }
        if !stanzas.is_empty() {
            self.last_stanza = clock::now();
            let mut batches = batch::sort(stanzas, pass);
            self.habit.mark(&mut batches, self.last_stanza);
            self.offer(batches, context);
        }
    }

    /// Does the next thing that the handshake needs.
    fn negotiate(&mut self, output: Output) {
        match output {
            Output::Transmit(bytes) => self.transmit(bytes),
            Output::StartTls => {
                self.feed_link();
                if let Some(link) = &self.link {
                    link.accept_tls(self.environment.tls.clone(), self.to.clone());
                }
            }
            Output::Opened { from, to, certificate } => {
                log::debug!(
                    target: LOG, address:% = self.address, from:% = name(from.as_ref()), to:% = to,
                    certificate:% = certificate.as_ref().map_or_else(|| "-".to_owned(), in_words);
                    "opened"
                );
                self.to = Some(to);
                if let Some(verdict) = certificate {
                    self.count_verdict(&verdict);
                    self.verdict = Some(verdict);
                }
            }
            Output::Verify(request) => self.ask(request),
            Output::Refused { remote, reason } => self.refused(remote.as_ref(), reason),
            Output::Completed(open) => self.machine = Machine::Open(open),
            Output::Ended(end) => self.stream_ended(&end),
        }
    }

    /// Has an authoritative server asked about a dialback key.
    fn ask(&mut self, request: Request) {
        if self.environment.strangers.asked.permits() {
            log::info!(target: LOG, address:% = self.address, pair:% = request.pair; "asked to verify by dialback");
        }
        let site = net::site::site(self.address.ip());
        let stream = self.asking.get_or_insert_with(|| watch::channel(()).0).subscribe();
        let (answer, within) = (self.own.outlet(), self.remote.handshake_timeout);
        let verify = verifier::Verify { request, site, answer, within, stream };
        if let Err(refused) = self.environment.verifier.tell(verify) {
            let request = refused.into_inner().request;
            let error = AttemptError::Overloaded.dialback_error(&request.pair.remote);
            self.machine.verified(&request, Err(error));
        }
    }

    /// The remote has proved a pair: its own terms hold from now on, and whoever waits for a sign of life hears of it.
    fn admit(&mut self, pair: &DomainPair, mechanism: Mechanism) {
        if !self.authorized {
            self.authorized = true;
            // A listener that is gone counts no more.
            let _ = self.environment.proved.signal(caller::Proved { caller: self.caller() });
            self.presence = Some(self.environment.tally.admit());
            self.remote = self.environment.terms.remote(&pair.remote).clone();
            self.throttle.set_rate(self.remote.max_rate);
        }
        // A promise that is gone takes the process with it.
        let _ = self.environment.authorized.signal(Authorized { remote: pair.remote.clone() });
        let terms = self.environment.terms.remote(&pair.remote);
        let shown = Protection::of(self.machine.transport(), &pair.remote, &terms.policy);
        log::info!(
            target: LOG, address:% = self.address, pair:% = pair,
            mechanism:% = mechanism, protocol = shown.protocol,
            cipher = shown.cipher, certificate = shown.certificate.as_str(),
            fingerprint = shown.fingerprint, took:% = millis(self.since);
            "authenticated"
        );
        self.mechanism = Some(mechanism);
        let text = format!("by {mechanism}, {}", shown.in_words());
        let event = Event::now(What::ConnectedToUs).with(&pair.local).at(self.address).saying(text);
        self.environment.notes.note(&pair.remote, event);
        self.witness(&pair.remote);
    }

    /// Counts, once a stream, what the peer's certificate is worth.
    fn count_verdict(&mut self, verdict: &Result<(), Problem>) {
        if !self.judged {
            self.judged = true;
            self.environment
                .tally
                .count(Count::Judged { direction: Direction::Incoming, verdict: name_of(verdict) });
        }
    }

    /// A header that is refused, for its certificate or for something else, ends the stream before it is open.
    pub(super) fn judge_unopened(&mut self, end: &End) {
        let (Some(remote), Some(secured)) = (self.machine.claimed().cloned(), self.machine.transport())
        else {
            return;
        };
        let verdict = secured.proves(&remote, &self.environment.terms.remote(&remote).policy);
        if let (Err(problem), End::ByUs(error), false) = (&verdict, end, self.judged) {
            let reason = Refusal::Certificate(problem.clone()).explain(&remote);
            if error.text == reason {
                let event = Event::now(What::Refused).at(self.address).saying(reason);
                self.environment.notes.note_claim(&remote, event);
                self.refused = true;
            }
        }
        self.count_verdict(&verdict);
        self.verdict = Some(verdict);
    }

    fn refused(&mut self, remote: Option<&Domain>, reason: String) {
        if self.authorized || self.environment.strangers.refused.permits() {
            log::warn!(
                target: LOG, address:% = self.address, remote:% = name(remote),
                reason = reason.as_str();
                "refused"
            );
        }
        if let Some(remote) = remote {
            let event = Event::now(What::Refused).at(self.address).saying(reason);
            self.environment.notes.note_claim(remote, event);
            self.refused = true;
        }
    }

    /// Has stanzas that the stream refused counted, and their answers sent the way that stanzas of our own domains take,
    /// on streams that we open.
    fn refuse(&mut self, stanzas: Vec<stanza::Refused>, pass: &ReadPermit) {
        let mut refused = RefusedStanzas::default();
        let mut answers = Vec::new();
        for stanza in stanzas {
            refused::log(LOG, &self.environment.strangers.stanzas, self.address, &stanza);
            if !self.refusals_noted.contains(&stanza.reason) {
                self.refusals_noted.push(stanza.reason);
                let text = format!("a stanza: {}", stanza.text);
                let event = Event::now(What::Refused).with(&stanza.local).at(self.address).saying(text);
                self.environment.notes.note(&stanza.remote, event);
            }
            refused.enter(&stanza);
            answers.extend(stanza.answer);
        }
        // As many as one read brought, and the next one waits for their pass. A router that is gone takes the process
        // with it.
        let _ =
            self.environment.owners.refused.signal(Refuse { refused, answers: batch::sort(answers, pass) });
    }

    /// Has the remote's certificate remembered.
    fn witness(&self, remote: &Domain) {
        if let Some(certificate) = self.machine.transport().and_then(|secured| secured.certificate.as_ref()) {
            let (remote, fingerprint) = (remote.clone(), certificate.fingerprint.clone());
            // A witness who has too much to do remembers the last one.
            let _ = self.environment.witness.tell(fingerprints::Record {
                remote,
                direction: Direction::Incoming,
                fingerprint,
            });
        }
    }

    /// Offers stanzas to the router until it takes them. Their passes keep the link from reading meanwhile.
    fn offer(&mut self, batches: Vec<Batch>, context: &mut Context<Self>) {
        let route = Route { batches, ingress: Ingress::Remote };
        match self.environment.owners.routes.tell(route) {
            Ok(()) => {}
            Err(Refused::Full(route)) => {
                self.offered = Some(route);
                context.run_later(OFFER_AGAIN, |incoming, context| {
                    if let Some(route) = incoming.offered.take() {
                        incoming.offer(route.batches, context);
                    }
                });
            }
            Err(Refused::Gone(_)) => context.stop(),
        }
    }
}

pub(super) fn name(domain: Option<&Domain>) -> &str {
    domain.map_or("-", Domain::as_str)
}

/// How soon a full router is asked again.
pub(super) const OFFER_AGAIN: Duration = Duration::from_millis(25);
