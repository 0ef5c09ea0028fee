//! Server dialback (XEP-0220) with keys that need no memory (XEP-0185).
use crate::{Domain, DomainPair, stanza};
use std::fmt;

/// What keys are made from; never shown, not even by `Debug`.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Makes the HMAC key of XEP-0185 from the configured (or random) text.
    pub fn new(_text: &str) -> Self {
        todo!()
    }
}
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A key that somebody showed and that the authoritative server of the originating domain is to judge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// `local` is the receiving domain (to which stanzas will flow), `remote` the originating one
    pub pair: DomainPair,
    /// id of the stream the key was shown on
    pub id: String,
    /// the key as shown
    pub key: String,
}

/// What the authoritative server, or the receiving one, says about a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// it is ours
    Valid,
    /// it is not
    Invalid,
    /// the question could not be answered
    Error(stanza::Error),
}

/// Makes the key that `originating` shows to `receiving` on the stream `id` (XEP-0185 section 3).
pub fn key(_secret: &Secret, _receiving: &Domain, _originating: &Domain, _id: &str) -> String {
    todo!()
}
