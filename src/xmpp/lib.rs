//! The XMPP server-to-server protocol as state machines: no socket, clock, thread, lock or actor.
//!
//! Bytes go in, a list of things to do comes out. [`stream`] has the streams between servers in both roles,
//! [`component`] those of external components (XEP-0114). [`acks`] is about delivery that the peer
//! acknowledges, and streams that are resumed after a loss. Every decision about TLS, certificates and
//! mechanisms is taken by [`policy::admit`].
//!
//! # Example
//!
//! Both ends of a stream in memory. `a.example` opens it, proves itself by dialback and sends a message:
//!
//! ```
//! use xmpp::certificate::TrustStore;
//! use xmpp::dialback::{Answer, Secret};
//! use xmpp::policy::{
//!     Bounds, Hosted, MalformedStanza, Mechanism, Pattern, Policy, Rules, Tls, UnknownRecipient,
//! };
//! use xmpp::stream::{initiating, receiving};
//! use xmpp::{Domain, DomainPair};
//!
//! let (a, b) = (Domain::new("a.example")?, Domain::new("b.example")?);
//! let policy = Policy {
//!     tls: Tls::Disabled,
//!     auth: vec![Mechanism::Dialback],
//!     strict_certificates: false,
//!     dialback_after_external: false,
//!     dialback_shortcut: false,
//!     trust: TrustStore(0),
//!     max_stanza: 512 * 1024,
//!     max_stanza_unauthenticated: 10 * 1024,
//!     unknown_recipient: UnknownRecipient::Close,
//!     malformed_stanza: MalformedStanza::Bounce,
//!     idle_seconds: 3600,
//!     secret: Secret::new("of a.example"),
//!     acks: None,
//! };
//! let plan = initiating::Plan {
//!     pair: DomainPair { local: a, remote: b.clone() },
//!     policy: policy.clone(),
//!     bounds: Bounds::default(),
//!     direct_tls: None,
//!     certificate: false,
//!     acks: Default::default(),
//! };
//! let rules = Rules::new([(b, Hosted { certificate: false })], policy, vec![], vec![Pattern::Any], vec![]);
//! let ids = Box::new(|| "an unpredictable id".to_owned());
//!
//! let mut opening = initiating::Handshake::session(plan);
//! let mut accepting = receiving::Handshake::new(rules.into(), None, ids);
//! let (mut to_b, mut from_a) = (None, None);
//!
//! // A driver moves the bytes and does what else it is asked for. This one believes every dialback key.
//! while to_b.is_none() {
//!     while let Some(output) = opening.poll() {
//!         match output {
//!             initiating::Output::Transmit(bytes) => accepting.receive(bytes[..].into()),
//!             initiating::Output::Completed(open) => to_b = Some(open),
//!             _ => {}
//!         }
//!     }
//!     while let Some(output) = accepting.poll() {
//!         match output {
//!             receiving::Output::Transmit(bytes) => opening.receive(bytes[..].into()),
//!             receiving::Output::Verify(request) => accepting.verified(&request, Ok(Answer::Valid)),
//!             receiving::Output::Completed(mut open) => {
//!                 // The open stream answers the key.
//!                 while let Some(output) = open.poll() {
//!                     if let receiving::open::Output::Transmit(bytes) = output {
//!                         opening.receive(bytes[..].into());
//!                     }
//!                 }
//!                 from_a = Some(open);
//!             }
//!             _ => {}
//!         }
//!     }
//! }
//!
//! let mut from_a = from_a.expect("both ends open");
//! let message = "<message from='juliet@a.example' to='romeo@b.example'><body>Art thou there?</body></message>";
//! from_a.receive(message.into());
//! let Some(receiving::open::Output::Stanza(stanza)) = from_a.poll() else { panic!("no stanza") };
//! assert_eq!(stanza.to(), "romeo@b.example");
//! # Ok::<(), xmpp::jid::Error>(())
//! ```

pub mod acks;
pub mod certificate;
pub mod component;
pub mod dialback;
pub mod framer;
pub mod jid;
pub mod policy;
pub mod sasl;
mod served;
pub mod service;
pub mod stanza;
pub mod stream;
mod truncate;
pub mod xml;

pub use jid::{Domain, DomainPair};
pub use served::Served;
pub use stanza::Stanza;
