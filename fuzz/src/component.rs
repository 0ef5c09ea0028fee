//! The stream of a component: stanzas are accepted only after a correct handshake, and only from the served name.

use crate::{
    fixture::{self, Act, acts, domain, may_say},
    reader::Reader,
};
use bytes::BytesMut;
use std::sync::Arc;
use xmpp::{
    component::{Configured, Handshake, Open, Output, Secret, open},
    policy::Bounds,
};

pub(crate) fn run(input: &[u8]) {
    let name = domain("c.example");
    let names = [(name.clone(), Configured::new(name, Secret::new("secret")))].into_iter().collect();
    let handshake = Handshake::new(Arc::new(names), 64 * 1024, Bounds::default(), fixture::ids());
    let mut stream = Stream::Handshake(handshake);
    let (mut reader, mut claimed, mut served, mut over) = (Reader::new(), false, false, false);
    for act in acts(input) {
        match act {
            Act::Bytes(bytes) => {
                reader.received(bytes.len());
                stream.receive(bytes);
            }
            Act::Decided(true) => {
                served |= claimed;
                stream.accept();
            }
            Act::Decided(false) => {
                // On an open stream this has no effect.
                stream.conflict();
            }
            Act::Close => stream.close(),
            Act::Secured(_) | Act::Undecided => {}
        }
        loop {
            match &mut stream {
                Stream::Handshake(handshake) => {
                    let Some(output) = handshake.poll() else { break };
                    assert!(!over, "{output:?} after the end");
                    match output {
                        Output::Transmit(bytes) => drop(reader.sent(&bytes)),
                        Output::Claimed { name } => {
                            assert!(!claimed && name == domain("c.example"));
                            assert!(may_say(input, HANDSHAKE), "served without a handshake");
                            claimed = true;
                        }
                        Output::Ended(_) => over = true,
                    }
                }
                Stream::Open(open) => {
                    let Some(output) = open.poll() else { break };
                    assert!(!over, "{output:?} after the end");
                    match output {
                        open::Output::Transmit(bytes) => drop(reader.sent(&bytes)),
                        open::Output::Stanza(stanza) => {
                            assert!(served, "a stanza before the handshake");
                            assert_eq!(*stanza.from_domain(), domain("c.example"));
                        }
                        open::Output::StanzaRefused(refused) => {
                            assert!(served, "a stanza before the handshake");
                            assert_eq!(refused.local, domain("c.example"));
                            if let Some(answer) = &refused.answer {
                                assert_eq!(*answer.to_domain(), domain("c.example"));
                                assert!(!answer.is_answerable(), "an answer that is no error");
                            }
                        }
                        open::Output::Ended(_) => over = true,
                    }
                }
            }
        }
    }
}

/// A stream: the handshake, or the open stream.
enum Stream {
    Handshake(Handshake),
    Open(Open),
}

impl Stream {
    fn receive(&mut self, bytes: BytesMut) {
        match self {
            Self::Handshake(handshake) => handshake.receive(bytes),
            Self::Open(open) => open.receive(bytes),
        }
    }

    fn accept(&mut self) {
        if let Self::Handshake(handshake) = self
            && let Some(open) = handshake.accept()
        {
            *self = Self::Open(open);
        }
    }

    fn conflict(&mut self) {
        if let Self::Handshake(handshake) = self {
            handshake.conflict();
        }
    }

    fn close(&mut self) {
        match self {
            Self::Handshake(handshake) => handshake.close(None),
            Self::Open(open) => open.close(None),
        }
    }
}

/// SHA-1 of the first id and the secret.
const HANDSHAKE: &str = "885c5ef356b2a95cf5cf94adf6071a3e4014132c";
