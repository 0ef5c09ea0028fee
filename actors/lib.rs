//! The actors of a Nuncio node. They share nothing and exchange typed messages through metered mailboxes.
//!
//! # The message map
//!
//! Commands are imperative and belong to their receiver, events are past participles and belong to their speaker.
//! *Told* messages are refused by a full mailbox and come back to the sender; *signals* are counted and always taken:
//! they report a life cycle, of which there is a bounded number.
//!
//! | from | message | to | when the mailbox is full |
//! |---|---|---|---|
//! | incoming, component | [`router::Route`] | router | kept, offered again in 25 ms; the socket is not read meanwhile |
//! | router | [`promise::Deliver`] | promise | answered with `resource-constraint` |
//! | router | [`outgoing::Send`] | outgoing | answered with `resource-constraint` |
//! | router | [`component::Send`] | component | answered with `resource-constraint` |
//! | router | [`service::Serve`] | service | answered with `resource-constraint` |
//! | service | [`service::Answered`] | router | signal: as many as one read brought |
//! | promise | [`outgoing::SendFirst`], [`outgoing::Open`], [`outgoing::GiveWay`] | outgoing | signal |
//! | outgoing | [`outgoing::Established`], [`outgoing::Failed`], [`outgoing::Returned`] | promise | signal |
//! | promise | [`promise::Fulfilled`] | router | signal |
//! | router | [`promise::Release`], [`promise::Expect`] | promise | signal |
//! | outgoing | [`outgoing::Closed`] | router | signal |
//! | outgoing | [`router::Route`] of the peer's error stanzas | router | signal: as many as one read brought |
//! | router | [`outgoing::Retire`] | outgoing | signal |
//! | promise, outgoing | [`router::Return`] | router | signal: error answers have a lane of their own |
//! | component | [`component::Claimed`], [`component::Gone`], [`component::Answered`], [`component::Rejected`], [`component::Undelivered`] | router | signal |
//! | incoming, component | [`router::Refuse`] | router | signal: as many as one read brought |
//! | router | [`router::Seated`], [`component::Retire`], [`component::Prove`], [`component::GiveWay`] | component | signal |
//! | incoming | [`verifier::Verify`] | verifier | the initiator is told `resource-constraint` |
//! | verifier | [`verifier::Verified`] | incoming | signal |
//! | incoming | [`incoming::Authorized`] | promise | signal |
//! | outgoing, verifier (their attempts) | [`resolver::Resolve`], [`resolver::Locate`] | resolver | the attempt fails |
//! | resolver (its look-ups) | `Learnt`, `Done` | resolver | signal: four answers and one end for each look-up |
//! | outgoing, verifier (their attempts) | [`gate::Enter`] | gate | the attempt fails |
//! | an attempt's pass | `Left` | gate | signal |
//! | gate | [`gate::Held`], [`gate::Admitted`] | promise | signal |
//! | incoming, attempts | [`metrics::Saw`] | metrics | not counted |
//! | incoming, outgoing (its attempt) | [`witness::Saw`] | witness | forgotten: one line less in the log |
//! | link | [`link::Event`] | its owner: outgoing, incoming, component | signal: one read and one write are under way at most |
//! | incoming, component | [`listener::Ended`] | listener | signal |
//! | incoming, component | [`listener::Proved`] | listener | signal |
//! | component | [`listener::Mistaken`] | listener | signal |
//! | every mailbox | [`pulse::Watch`] | pulse | signal |
//! | node (on a reload) | `Adopt` of [`promise`], [`router`], [`listener`], [`verifier`], [`resolver`], [`gate`] | each | signal |
//! | router (on a reload) | [`service::Adopt`] | service | signal |
//! | listener (on a reload) | [`incoming::Adopt`], [`component::Adopt`] | incoming, component | signal |
//! | router, promise (on a reload) | [`outgoing::Adopt`] | outgoing | signal |
//! | promise (on a reload) | [`outgoing::Forbid`] | outgoing | signal |
//! | router (on a reload) | [`component::Expel`] | component | signal |
//! | node | [`pulse::Report`], [`router::Report`] | pulse, router | signal |
//! | node (when it stops) | [`listener::Stop`], [`listener::Drain`], [`promise::Drain`], [`router::Flush`], [`router::Abandon`], [`router::Acknowledge`], [`router::Finish`], [`router::LogAccount`] | each | signal |
//! | router, service (when the node stops) | [`service::Acknowledge`], [`service::Acknowledged`] | service, router | signal |
//! | router, listener (when the node stops) | [`outgoing::Flush`], [`outgoing::Abandon`], [`outgoing::Finish`], [`incoming::Drain`], [`component::Drain`] | the streams | signal |
//! | promise, router, outgoing, incoming, verifier, witness, attempts | [`recorder::Saw`], [`recorder::Settled`] | recorder | lost, and counted: the record has a gap |
//! | a command's task | [`promise::Show`], [`router::ShowSessions`], [`router::ShowDomain`], [`router::ShowComponents`], [`listener::Show`], [`listener::ExpectProbe`], [`recorder::Recall`], [`recorder::Locate`] | | signal: so many commands are answered at once; a part that does not answer in time is named |
//! | a command's task | [`promise::Retry`], [`router::Dismiss`], [`router::DismissComponent`], [`listener::Dismiss`] | | signal, likewise |
//! | router, listener | [`outgoing::Show`], [`incoming::Show`], [`component::Show`], [`outgoing::Dismiss`], [`incoming::Dismiss`], [`component::Dismiss`] | the streams | signal: one for each command |
//! | a scrape (a task) | [`pulse::Show`], [`router::ShowFigures`], [`promise::ShowFigures`], [`metrics::Show`] | | signal: 128 scrapes at most |
//! | a task of its own, which accepts | `Accepted` | listener | kept, offered again; the next connection waits in the kernel |
//! | a task of its own, which accepts | `Accepted` | control | closed: the command says that the node is too busy |
//! | tasks of their own: a greeting, a connection that waits, an attempt, a call-back, a command | `Met`, `Heard`, `Attempted`, `Done` | listener, listener, outgoing, verifier, control | signal |
//! | node's watchdog (a task) | [`vital::Respond`] | router, promise | signal: one at a time, the next when it was answered |
//!
//! # The handover
//!
//! Stanzas of a domain pair keep their order from the first one on a cold link through every change of hands. The
//! router is the only one who decides where a stanza goes, and actix keeps the order between two actors; so each change
//! is announced on the way that the stanzas take, and the next holder waits for the announcement.
//!
//! ```text
//!  router                      promise                         outgoing
//!    │  Deliver ──────────────▶ queue, start attempt ───────────▶ attempt …
//!    │  Deliver ──────────────▶ queue                             │
//!    │                          │ ◀────────────── Established ────┤ (holds what the router sends)
//!    │                          ├─ SendFirst (all that waits) ───▶│ write
//!    │ ◀──────────── Fulfilled ─┤                                 │
//!    │  Deliver (crossed) ─────▶├─ SendFirst ────────────────────▶│ write
//!    ├─ Release ───────────────▶├─ Open ─────────────────────────▶│ write what was held, then as it comes
//!    ├─ Send ────────────────────────────────────────────────────▶│
//!    │                                                            │ … the link dies
//!    │ ◀───────────────────────────────────────────────── Closed ─┤ (keeps what arrives)
//!    ├─ Expect ────────────────▶ await the return                 │
//!    ├─ Retire ──────────────────────────────────────────────────▶│ gives back what was not written, stops
//!    │  Deliver ──────────────▶ queue (behind)                    │
//!    │                          │ ◀───────────────── Returned ────┤
//!    │                          └─ queue (in front), start attempt
//! ```
//!
//! The races, each of which has a test:
//! - *Established while more arrives*: what the router sent to the promise before it read `Fulfilled` goes through the
//!   promise as `SendFirst`; what it sent to the session after is held there until `Open`, which follows the last
//!   `SendFirst`.
//! - *Closed while the router still sends*: the session keeps those stanzas; `Retire` comes after the last of them.
//! - *Closed before the handover is over*: the session says `Closed` only after `Open`, when the router knows it.
//! - *More arrives before the return*: `Expect` reached the promise before it, so it queues behind.
//! - *A session that panicked* gives nothing back; the router says so in its place.
//! - *A return that nobody awaits*, because the session that panicked and the router both said so: what it brings is
//!   answered, and the pair stays as it is.
//! - *A sign of life while an attempt is being made*: should the attempt fail in passing, its failure may be older than
//!   the sign, and one more attempt follows at once.
//! - *A sign of life when the queue has expired*, and something waits outside of it for room: the pair is not idle.
//! - *A turn that comes when all has expired*, or when the node stops: nobody is dialled.

pub mod account;
pub mod attempt;
pub mod backoff;
pub mod batch;
pub mod budget;
pub mod certificate;
pub mod clock;
pub mod component;
pub mod connect;
pub mod control;
pub mod dns;
pub mod drain;
pub mod failure;
pub mod farewell;
pub mod gate;
pub mod ids;
pub mod incoming;
pub mod link;
pub mod listener;
pub mod mailbox;
pub mod metrics;
pub mod node;
pub mod outbox;
pub mod outgoing;
pub mod places;
pub mod promise;
pub mod pulse;
pub mod quiet;
pub mod recorder;
pub mod refusal;
pub mod report;
pub mod resolver;
pub mod router;
#[cfg(test)]
mod scenario;
pub mod service;
pub mod settings;
pub mod shrink;
pub mod source;
pub mod terms;
pub mod throttle;
pub mod tls;
pub mod trace;
pub mod verifier;
pub mod visible;
pub mod vital;
pub mod watch;
pub mod witness;
pub mod workers;

pub use node::{Node, StartError};
