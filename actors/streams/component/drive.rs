//! Performs the outputs of the machine of a component stream.

use actix::Context;
use bytes::Bytes;
use xmpp::{
    Stanza,
    component::{Output, open},
    stanza::{self, Kind},
};

use super::{Component, LOG, Presence, PresenceSent, machine::Machine};
use crate::flow::{
    batch::{Batch, ReadPermit},
    close::CloseMode,
    journal::Receipt,
    refused::{self, RefusedStanzas},
    route::Refuse,
};

impl Component {
    /// Performs the outputs of the machine, then gives the link the next bytes.
    pub(super) fn drive(&mut self, permit: &ReadPermit, context: &mut Context<Self>) {
        let mut stanzas: Vec<Stanza> = Vec::new();
        let mut refused = RefusedStanzas::default();
        loop {
            match &mut self.machine {
                Machine::Handshake(handshake) => match handshake.poll() {
                    None => break,
                    Some(Output::Transmit(bytes)) => self.transmit(bytes),
                    Some(Output::Claimed { name }) => self.request_bind(name, context),
                    Some(Output::Ended(end)) => {
                        let mode = CloseMode::after(&end, self.machine.is_open());
                        self.stream_ended(&end, mode, context);
                    }
                },
                Machine::Open(open) => match open.poll() {
                    None => break,
                    Some(open::Output::Transmit(bytes)) => self.transmit(bytes),
                    Some(open::Output::Stanza(stanza)) if self.ping.take_answer(&stanza) => {
                        if let Some(sent) = self.liveness.note_answer() {
                            self.connection.outbox.mark_read_before(sent);
                        }
                    }
                    // Counted at once: the line about the end of the stream may be the next output.
                    Some(open::Output::Stanza(stanza)) => {
                        self.intake.stanzas += 1;
                        stanzas.push(stanza);
                    }
                    Some(open::Output::StanzaRefused(stanza)) => {
                        refused.enter(&stanza, || self.connection.address.host());
                        self.refuse(*stanza, permit);
                    }
                    Some(open::Output::Ended(end)) => {
                        let mode = CloseMode::after(&end, self.machine.is_open());
                        self.stream_ended(&end, mode, context);
                    }
                },
            }
        }
        self.connection.flush();
        if !refused.is_empty() {
            // A router that is gone ends the process.
            let _ = self.environment.owners.refused.signal(Refuse { refused, answers: Vec::new() });
        }
        self.report_presence(&stanzas, permit);
        if !stanzas.is_empty() {
            self.connection.last_stanza = clock::now();
            let router = &self.environment.owners.routes;
            // A component gets no acknowledgement (XEP-0114).
            let receipt = Receipt::default();
            self.intake.offer(stanzas, permit, &receipt, router, context, Self::offer_again);
        }
    }

    /// Reports the presence among these stanzas to the mailroom.
    fn report_presence(&self, stanzas: &[Stanza], permit: &ReadPermit) {
        let presence = stanzas.iter().filter(|stanza| stanza.kind() == Kind::Presence);
        let sent: Vec<Presence> = presence
            .filter(|stanza| matches!(stanza.type_(), None | Some("unavailable")))
            .map(|stanza| Presence {
                from: stanza.from().into_owned(),
                to: stanza.to().into_owned(),
                is_available: stanza.type_().is_none(),
            })
            .collect();
        if let Some(name) = self.binding.name().cloned().filter(|_| !sent.is_empty()) {
            let presence = PresenceSent { name, sent, permit: permit.clone() };
            // A mailroom that is gone ends the process.
            let _ = self.environment.owners.presence_sent.signal(presence);
        }
    }

    fn offer_again(&mut self, context: &mut Context<Self>) {
        self.intake.offer_again(&self.environment.owners.routes, context, Self::offer_again);
    }

    fn transmit(&mut self, bytes: Bytes) {
        if let Some(shown) = self.connection.transmit(bytes) {
            log::trace!(target: LOG, address:% = self.connection.address; "sent {shown}");
        }
    }

    /// Answers a refused stanza on the same stream, since the component may not serve its sender. If the outbox has no
    /// room, the next read waits until the component has read some of it.
    fn refuse(&mut self, refused: stanza::Refused, permit: &ReadPermit) {
        self.intake.refused += 1;
        refused::log_of_component(LOG, &self.environment.bad_stanzas, &self.connection.address, &refused);
        // A component that is gone gets no answer.
        if let Some(answer) = refused.answer.filter(|_| !self.connection.is_remaining()) {
            let batch = Batch { returning: true, ..Batch::of(answer) };
            // Error answers are never refused.
            self.connection.outbox.accept(batch);
            if !self.connection.outbox.has_room() {
                self.unread_answers = Some(permit.clone());
            }
        }
    }
}
