//! The handshake of components, and what they may send then.

use crate::{
    fixture::{self, Act, acts, domain, may_say},
    reader::Reader,
};
use std::{collections::HashMap, sync::Arc};
use xmpp::{
    component::{Accepting, Output, Secret},
    policy::Bounds,
};

pub(crate) fn run(input: &[u8]) {
    let names = HashMap::from([(domain("c.example"), Secret::new("secret").into())]);
    let mut stream = Accepting::new(Arc::new(names), 64 * 1024, Bounds::default(), fixture::ids());
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
                // Once served, there is nothing to decide.
                stream.conflict();
            }
            Act::Close => stream.close(None),
            Act::Secured(_) | Act::Undecided => {}
        }
        while let Some(output) = stream.poll() {
            assert!(!over, "{output:?} after the end");
            match output {
                Output::Transmit(bytes) => drop(reader.sent(&bytes)),
                Output::Claimed { name } => {
                    assert!(!claimed && name == domain("c.example"));
                    assert!(may_say(input, HANDSHAKE), "served without a handshake");
                    claimed = true;
                }
                Output::Stanza(stanza) => {
                    assert!(served, "a stanza before the handshake");
                    assert_eq!(*stanza.from_domain(), domain("c.example"));
                }
                Output::StanzaRefused(refused) => {
                    assert!(served, "a stanza before the handshake");
                    assert_eq!(refused.local, domain("c.example"));
                    if let Some(answer) = &refused.answer {
                        assert_eq!(*answer.to_domain(), domain("c.example"));
                        assert!(!answer.is_answerable(), "an answer that is no error");
                    }
                }
                Output::Ended(_) => over = true,
            }
        }
    }
}

/// SHA-1 of the first id and the secret.
const HANDSHAKE: &str = "885c5ef356b2a95cf5cf94adf6071a3e4014132c";
