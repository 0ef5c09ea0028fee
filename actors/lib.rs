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
//! | incoming, component | [`route::Route`](flow::route::Route) | router | kept, offered again in 25 ms; the socket is not read meanwhile |
//! | router | [`promise::Deliver`](routing::promise::Deliver) | promise | answered with `resource-constraint` |
//! | router | [`outgoing::Send`](streams::outgoing::Send) | outgoing | answered with `resource-constraint` |
//! | router | [`component::Send`](streams::component::Send) | component | answered with `resource-constraint` |
//! | router | [`service::Serve`](routing::service::Serve) | service | answered with `resource-constraint` |
//! | service | [`service::Answered`](routing::service::Answered) | router | signal: as many as one read brought |
//! | promise | [`outgoing::SendFirst`](streams::outgoing::SendFirst), [`outgoing::Open`](streams::outgoing::Open), [`outgoing::GiveWay`](streams::outgoing::GiveWay) | outgoing | signal |
//! | outgoing | [`outgoing::Established`](streams::outgoing::Established), [`outgoing::Failed`](streams::outgoing::Failed), [`outgoing::Returned`](streams::outgoing::Returned) | promise | signal |
//! | promise | [`promise::Fulfilled`](routing::promise::Fulfilled) | router | signal |
//! | router | [`promise::Release`](routing::promise::Release), [`promise::Expect`](routing::promise::Expect) | promise | signal |
//! | outgoing | [`outgoing::Closed`](streams::outgoing::Closed) | router | signal |
//! | outgoing | [`route::Route`](flow::route::Route) of the peer's error stanzas | router | signal: as many as one read brought |
//! | router | [`outgoing::Retire`](streams::outgoing::Retire) | outgoing | signal |
//! | promise, outgoing | [`route::Return`](flow::route::Return) | router | signal: error answers have a lane of their own |
//! | component | [`component::BindRequested`](streams::component::BindRequested), [`component::Gone`](streams::component::Gone), [`component::Answered`](streams::component::Answered), [`component::Rejected`](streams::component::Rejected), [`component::Undelivered`](streams::component::Undelivered) | router | signal |
//! | incoming, component | [`route::Refuse`](flow::route::Refuse) | router | signal: as many as one read brought |
//! | router | [`component::BindDecided`](streams::component::BindDecided), [`component::Retire`](streams::component::Retire), [`component::Prove`](streams::component::Prove), [`component::GiveWay`](streams::component::GiveWay) | component | signal |
//! | incoming | [`verifier::Verify`](streams::verifier::Verify) | verifier | the initiator is told `resource-constraint` |
//! | verifier | [`verifier::Verified`](streams::verifier::Verified) | incoming | signal |
//! | incoming | [`incoming::Authorized`](streams::incoming::Authorized) | promise | signal |
//! | outgoing, verifier (their attempts) | [`resolver::Resolve`](dial::resolver::Resolve), [`resolver::Locate`](dial::resolver::Locate) | resolver | the attempt fails |
//! | resolver (its look-ups) | `NewAnswer`, `Done` | resolver | signal: four answers and one end for each look-up |
//! | outgoing, verifier (their attempts) | [`dial_limit::Acquire`](dial::dial_limit::Acquire) | dial_limit | the attempt fails |
//! | an attempt's pass | `Released` | dial_limit | signal |
//! | dial_limit | [`dial_limit::Waiting`](dial::dial_limit::Waiting), [`dial_limit::Acquired`](dial::dial_limit::Acquired) | promise | signal |
//! | incoming, attempts | [`metrics::Count`](observe::metrics::Count) | metrics | not counted |
//! | incoming, outgoing (its attempt) | [`fingerprints::Record`](observe::fingerprints::Record) | fingerprints | forgotten: one line less in the log |
//! | link | [`link::Event`](flow::link::Event) | its owner: outgoing, incoming, component | signal: one read and one write are under way at most |
//! | incoming, component | [`caller::Ended`](streams::caller::Ended) | listener | signal |
//! | incoming, component | [`caller::Proved`](streams::caller::Proved) | listener | signal |
//! | component | [`caller::Mistaken`](streams::caller::Mistaken) | listener | signal |
//! | every mailbox | [`mailbox::Register`] | monitor | signal |
//! | node (on a reload) | `Adopt` of [`promise`](routing::promise), [`router`](routing::router), [`listener`](streams::listener), [`verifier`](streams::verifier), [`resolver`](dial::resolver), [`gate`](dial::dial_limit) | each | signal |
//! | router (on a reload) | [`service::Adopt`](routing::service::Adopt) | service | signal |
//! | listener (on a reload) | [`incoming::Adopt`](streams::incoming::Adopt), [`component::Adopt`](streams::component::Adopt) | incoming, component | signal |
//! | router, promise (on a reload) | [`outgoing::Adopt`](streams::outgoing::Adopt) | outgoing | signal |
//! | promise (on a reload) | [`outgoing::Forbid`](streams::outgoing::Forbid) | outgoing | signal |
//! | router (on a reload) | [`component::Expel`](streams::component::Expel) | component | signal |
//! | node | [`monitor::Report`](mailbox::monitor::Report), [`router::Report`](routing::router::Report) | pulse, router | signal |
//! | node (when it stops) | [`listener::Stop`](streams::listener::Stop), [`listener::Drain`](streams::listener::Drain), [`promise::Drain`](routing::promise::Drain), [`router::Flush`](routing::router::Flush), [`router::Abandon`](routing::router::Abandon), [`router::Acknowledge`](routing::router::Acknowledge), [`router::Finish`](routing::router::Finish), [`router::LogAccount`](routing::router::LogAccount) | each | signal |
//! | router, service (when the node stops) | [`service::Acknowledge`](routing::service::Acknowledge), [`service::Acknowledged`](routing::service::Acknowledged) | service, router | signal |
//! | router, listener (when the node stops) | [`outgoing::Flush`](streams::outgoing::Flush), [`outgoing::Abandon`](streams::outgoing::Abandon), [`outgoing::Finish`](streams::outgoing::Finish), [`incoming::Drain`](streams::incoming::Drain), [`component::Drain`](streams::component::Drain) | the streams | signal |
//! | promise, router, outgoing, incoming, verifier, fingerprints, attempts | [`recorder::Record`](observe::recorder::Record), [`recorder::Settled`](observe::recorder::Settled) | recorder | lost, and counted: the record has a gap |
//! | a command's task | [`promise::Show`](routing::promise::Show), [`router::ShowSessions`](routing::router::ShowSessions), [`router::ShowDomain`](routing::router::ShowDomain), [`router::ShowComponents`](routing::router::ShowComponents), [`listener::Show`](streams::listener::Show), [`listener::ExpectProbe`](streams::listener::ExpectProbe), [`recorder::Recall`](observe::recorder::Recall), [`recorder::Locate`](observe::recorder::Locate) | | signal: so many commands are answered at once; a part that does not answer in time is named |
//! | a command's task | [`promise::Retry`](routing::promise::Retry), [`router::Dismiss`](routing::router::Dismiss), [`router::DismissComponent`](routing::router::DismissComponent), [`listener::Dismiss`](streams::listener::Dismiss) | | signal, likewise |
//! | router, listener | [`outgoing::Show`](streams::outgoing::Show), [`incoming::Show`](streams::incoming::Show), [`component::Show`](streams::component::Show), [`outgoing::Dismiss`](streams::outgoing::Dismiss), [`incoming::Dismiss`](streams::incoming::Dismiss), [`component::Dismiss`](streams::component::Dismiss) | the streams | signal: one for each command |
//! | a scrape (a task) | [`monitor::Show`](mailbox::monitor::Show), [`router::ShowFigures`](routing::router::ShowFigures), [`promise::ShowFigures`](routing::promise::ShowFigures), [`metrics::Show`](observe::metrics::Show) | | signal: 128 scrapes at most |
//! | a task of its own, which accepts | `Accepted` | listener | kept, offered again; the next connection waits in the kernel |
//! | a task of its own, which accepts | `Accepted` | control | closed: the command says that the node is too busy |
//! | tasks of their own: a greeting, a connection that waits, an attempt, a call-back, a command | `Detected`, `Heard`, `Attempted`, `Done` | listener, listener, outgoing, verifier, control | signal |
//! | node's watchdog (a task) | [`heartbeat::Respond`](node::heartbeat::Respond) | router, promise | signal: one at a time, the next when it was answered |
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

pub mod dial;
#[cfg(any(test, feature = "test-util"))]
pub mod fixture;
pub mod flow;
pub mod node;
pub mod observe;
pub mod routing;
#[cfg(test)]
mod scenario;
pub mod settings;
pub mod streams;

pub use node::{Node, StartError};
