//! Acknowledged delivery on streams between servers (XEP-0198, `urn:xmpp:sm:3`): the counts and the elements.
//!
//! Plain data without I/O. The streams speak the protocol, [`initiating`](crate::stream::initiating) for what
//! we send and [`receiving`](crate::stream::receiving) for what we take; the driver keeps the stanzas.
//!
//! # Counts
//!
//! Each direction of a stream has a count of stanzas, from 0 to 2^32 - 1 and then from 0 again (section 4).
//! First-level elements with the name of a stanza and a content namespace count, all others do not.
//!
//! - The sender has a [`Ledger`]: stanzas that were sent, and how many of them are acknowledged. It begins
//!   when `<enable/>` is sent, which is before the first stanza of an open stream.
//! - The receiver has a [`Count`] of stanzas that were *handled*: the router has accepted them, or they are
//!   answered. It begins when `<enable/>` is received. A stanza that ends its stream is not handled.
//!
//! On the stream that we open the peer sends no stanzas but errors; they are counted from `<enabled/>` on. On
//! the stream of a peer we send none, so every count above 0 is too high there.
//!
//! # The last ack
//!
//! Before our closing tag there is a last `<a/>`, in both roles. It is final: all that was accepted is in it,
//! and nothing is accepted behind it, so the peer knows what it has to send again. A stream therefore does
//! not end while stanzas that were output are not [handled](crate::stream::receiving::Open::handled).
//!
//! # Lost streams
//!
//! A peer that remembers a lost stream under an id answers `<resume/>` on the next one with its count:
//! [`Resumption`](crate::stream::initiating::Resumption). Both `<resumed/>`, which continues the stream, and
//! `<failed/>` with a count say what was handled. The rest is sent again, and no stanza arrives twice.
//!
//! # Errors
//!
//! Errors of acks are recoverable (section 6), so an element that was not requested, or that cannot be read,
//! does not end the stream. It is dropped and reported; a request that cannot be granted is answered with
//! `<failed/>`. An `<a/>` without a valid count leaves the request without an answer, for which the driver has
//! a time limit.
//! Two faults end a stream: a [wrong count](WrongCount), of stanzas that were not sent (section 6) or lower than
//! before, and a second `<enable/>` (section 3).
//!
//! Counts are digits, ids have 1 to 4000 bytes, times are in seconds; `location` is ignored, since the DNS
//! decides where the next stream goes.
//!
//! # Example
//!
//! The connection is lost behind the second of three messages. The next one shows which message has to be
//! sent again:
//!
//! ```
//! use std::collections::VecDeque;
//! use xmpp::acks::{Ledger, Previous, Options};
//! use xmpp::stream::{initiating::{self, Acks, Resumption}, receiving::{self, Claim, open::Output}};
//! # use std::time::Duration;
//! # use xmpp::{Domain, DomainPair, acks::Offer, certificate::TrustStore, dialback::{Answer, Secret}};
//! # use xmpp::policy::{
//! #     Bounds, Hosted, MalformedStanza, Mechanism, Pattern, Policy, Rules, Tls, UnknownRecipient,
//! # };
//! # use xmpp::stream::Secured;
//! #
//! # /// Opens a stream with acks over TLS. A request to continue another gets `claim`.
//! # fn connect(acks: Options, claim: Claim) -> (Box<initiating::Open>, Box<receiving::Open>) {
//! #     let (a, b) = (Domain::new("a.example").unwrap(), Domain::new("b.example").unwrap());
//! #     let policy = Policy {
//! #         tls: Tls::Required,
//! #         auth: vec![Mechanism::Dialback],
//! #         strict_certificates: false,
//! #         dialback_after_external: false,
//! #         dialback_shortcut: false,
//! #         trust: TrustStore(0),
//! #         max_stanza: 512 * 1024,
//! #         max_stanza_unauthenticated: 10 * 1024,
//! #         unknown_recipient: UnknownRecipient::Close,
//! #         malformed_stanza: MalformedStanza::Bounce,
//! #         idle_seconds: 3600,
//! #         secret: Secret::new("of a.example"),
//! #         acks: Some(Offer { resume_for: Some(Duration::from_secs(120)) }),
//! #     };
//! #     let tls = || Secured { certificate: None, protocol: String::new(), cipher: String::new() };
//! #     let plan = initiating::Plan {
//! #         pair: DomainPair { local: a, remote: b.clone() },
//! #         policy: policy.clone(),
//! #         bounds: Bounds::default(),
//! #         direct_tls: Some(tls()),
//! #         certificate: false,
//! #         acks,
//! #     };
//! #     let hosted = [(b, Hosted { certificate: true })];
//! #     let rules = Rules::new(hosted, policy, vec![], vec![Pattern::Any], vec![]);
//! #     let mut opening = initiating::Handshake::session(plan);
//! #     let ids = Box::new(|| "unpredictable".to_owned());
//! #     let mut accepting = receiving::Handshake::new(rules.into(), Some(tls()), ids);
//! #     let (mut left, mut right): (Option<Box<initiating::Open>>, Option<Box<receiving::Open>>) = (None, None);
//! #     for _ in 0..9 {
//! #         let mut bytes = Vec::new();
//! #         while let Some(output) = opening.poll() {
//! #             match output {
//! #                 initiating::Output::Transmit(sent) => bytes.extend(sent),
//! #                 initiating::Output::Completed(open) => left = Some(open),
//! #                 _ => {}
//! #             }
//! #         }
//! #         match &mut right {
//! #             None => accepting.receive(bytes[..].into()),
//! #             Some(open) => open.receive(bytes[..].into()),
//! #         }
//! #         let mut bytes = Vec::new();
//! #         while let Some(output) = accepting.poll() {
//! #             match output {
//! #                 receiving::Output::Transmit(sent) => bytes.extend(sent),
//! #                 receiving::Output::Verify(request) => accepting.verified(&request, Ok(Answer::Valid)),
//! #                 receiving::Output::Completed(open) => right = Some(open),
//! #                 _ => {}
//! #             }
//! #         }
//! #         while let Some(open) = &mut right && let Some(output) = open.poll() {
//! #             match output {
//! #                 Output::Transmit(sent) => bytes.extend(sent),
//! #                 Output::Resume { .. } => assert!(open.resumed(claim)),
//! #                 _ => {}
//! #             }
//! #         }
//! #         match &mut left {
//! #             None => opening.receive(bytes[..].into()),
//! #             Some(open) => {
//! #                 open.receive(bytes[..].into());
//! #                 while open.poll().is_some() {}
//! #             }
//! #         }
//! #     }
//! #     (left.expect("it opens"), right.expect("it opens"))
//! # }
//! #
//! let message = |id| format!("<message id='{id}' from='juliet@a.example' to='romeo@b.example'/>");
//!
//! let options = Options { enabled: true, resume: None, resumable: true };
//! let (sender, mut receiver) = connect(options.clone(), Claim::Unknown);
//! let Acks::On { resumable: Some(stream) } = sender.acks() else { panic!("no acks") };
//!
//! // Three messages leave, and two arrive. The router of the peer accepts them.
//! let mut ledger = Ledger::new();
//! let mut unacked: VecDeque<_> = [1, 2, 3].map(message).into();
//! ledger.sent(3);
//! receiver.receive((message(1) + &message(2))[..].into());
//! while let Some(output) = receiver.poll() {
//!     if let Output::Stanza(_) = output {
//!         receiver.handled(1);
//!     }
//! }
//!
//! // The connection is lost. The peer remembers its count with the id.
//! let claim = Claim::Continue { handled: receiver.handled_count() };
//! let handled = sender.handled_count();
//! let previous = Previous { id: stream.id.clone(), handled, max: stream.max };
//!
//! let (sender, _receiver) = connect(Options { resume: Some(previous), ..options }, claim);
//! let Resumption::Resumed { h } = sender.resumption() else { panic!("not resumed") };
//! for _ in 0..ledger.acknowledged(h)? {
//!     unacked.pop_front();
//! }
//! assert_eq!(unacked, [message(3)], "this one is sent again, and counts again");
//! ledger = Ledger::starting_at(h);
//! # assert_eq!(ledger.unacked(), 0);
//! # Ok::<(), xmpp::acks::WrongCount>(())
//! ```
mod count;
mod element;
mod ledger;
mod value;

use std::time::Duration;

pub use count::Count;
pub(crate) use element::{answer, enable, enabled, failed, read, resume, resumed};
pub use ledger::{Decreased, Ledger, RENEW_AT, TooHigh, WrongCount};
pub(crate) use value::Malformed;

/// The request for an ack, `<r/>`. The driver of a stream with acks puts it behind a stanza.
pub const REQUEST: &[u8] = b"<r xmlns=\"urn:xmpp:sm:3\"/>";

/// The options for acks on a stream that we open. By default there are none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Acks are requested if the peer offers them.
    pub enabled: bool,
    /// The stream that this one is to continue.
    pub resume: Option<Previous>,
    /// The peer is asked to keep its count for a while when the stream is lost.
    pub resumable: bool,
}

/// A stream that was lost, and that its peer may remember.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Previous {
    /// The id that the peer gave it.
    pub id: String,
    /// The stanzas of the peer that were handled on it, mod 2^32. Zero in most cases: a peer sends none but
    /// errors there.
    pub handled: u32,
    /// The time for which the peer remembers a lost stream, if it gave one.
    pub max: Option<Duration>,
}

/// The offer of acks to a peer, on streams that it opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The time for which a lost stream can be resumed; `None`: not at all.
    pub resume_for: Option<Duration>,
}
