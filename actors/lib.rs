//! The actors of a Nuncio node. They share nothing and exchange typed messages through metered mailboxes.
//!
//! # The actors
//!
//! | actor | task |
//! |---|---|
//! | router | sends each stanza to the session, the component or the queue of its domain |
//! | promise | the queues of stanzas that wait for a link, and the attempts to connect |
//! | mailroom | the queues of stanzas that wait for a component, which is not connected or reads slowly |
//! | outgoing | one for each domain pair: makes the attempt, then owns the stream to the remote server |
//! | relay | one for each domain pair whose link another node of the cluster has: in the place of outgoing |
//! | seat_relay | one for each component that is connected to another node: in the place of component |
//! | incoming | one for each stream that a remote server opened |
//! | component | one for each connection of a component (XEP-0114), which may serve several domains |
//! | listener | accepts connections and limits them by address: one for servers, one for components |
//! | verifier | asks authoritative servers about dialback keys (XEP-0220) |
//! | resumer | remembers the counts of resumable incoming streams, and which connection has each (XEP-0198) |
//! | resolver | asks the DNS for all attempts, with one cache |
//! | dial_limit | limits the attempts to one address |
//! | journal | writes what waits for a while to a file, on a thread of its own |
//! | service | answers pings and service discovery for domains without a component |
//! | cluster | knows the other nodes, which node has the link of a pair, and to which each component is connected |
//! | ferry | one for each other node: brings parcels of stanzas there, and takes parcels from there |
//! | recorder, fingerprints, metrics | history of remote domains, their last certificates, counts |
//! | control, monitor | commands of the operator; the mailbox lines of the log |
//!
//! # The rooms
//!
//! The modules lie in rooms. A room uses only the rooms before it in this list; `.ci/rooms.txt` has the table, and the
//! crates [`mailbox`], [`net`], [`::journal`] (files), [`::cluster`] (the protocol between nodes), [`status`], [`clock`] and
//! [`xmpp`] lie below all of them.
//!
//! - [`settings`]: the configuration as plain values.
//! - [`observe`]: recorder, fingerprints, metrics, limits on log lines.
//! - [`flow`]: stanzas on their way: link, batch, outbox, account, and the messages to the router.
//! - [`dial`]: attempts to connect: targets, addresses, TLS, negotiation, and the errors of all these.
//! - [`streams`]: the actors that own a stream, on one core (`streams/connection.rs`), and the listener.
//! - [`relaying`]: the actors cluster and ferry, and the task that brings the events of the message broker.
//! - [`routing`]: router, promise, mailroom, journal and service.
//! - [`node`]: starts, reloads and stops the others; the control socket and the metrics port.
//!
//! # The way of a stanza, from a component to a domain without a link
//!
//! 1. `flow/link.rs` reads the socket of the component and sends `link::Event::Received` with a read permit.
//! 2. `streams/component/drive.rs` takes the stanzas from the open stream of the crate [`xmpp`].
//! 3. `streams/connection/intake.rs` sorts them into batches by domain pair and offers them: `route::Route`.
//! 4. `routing/router.rs` enters them in the account (`router/accounts.rs`). The pair has no session, so it sends
//!    `promise::Deliver`.
//! 5. `routing/promise/waiting.rs` appends the batch to the queue of the pair (`routing/queue.rs`) and releases its read
//!    permit, so that the component is read again.
//! 6. `routing/promise/slots.rs` has a free slot, so `promise/attempts.rs` starts an `outgoing` actor for the pair.
//! 7. `dial/attempt/walk.rs` walks over targets and addresses, and tries the next one beside one that makes no progress;
//!    `attempt/tcp.rs` connects, with a permit of the dial limit.
//! 8. `dial/attempt/negotiation.rs` starts TLS and authenticates, until the handshake of [`xmpp`] is an open stream.
//! 9. `streams/outgoing/established.rs` reports `Established`; `routing/promise/handover.rs` answers with `SendFirst`.
//! 10. `streams/outgoing/writing.rs` puts the batch into the outbox, and `streams/connection.rs` feeds the link, which
//!     writes it.
//! 11. If the peer acknowledges stanzas, they stay in `flow/outbox/unacked.rs` until it does (`outgoing/acks.rs`).
//!
//! # The message map
//!
//! A command is imperative and is defined by its receiver. An event is a past participle and is defined by its sender;
//! the events of accepted connections, which incoming and component send, are in `streams/accepted.rs`.
//! `tell` is bounded: a full mailbox refuses the message and hands it back. `signal` is for messages of which there is a
//! bounded number: it is counted and never refused.
//!
//! ## Delivery
//!
//! | from | message | to | if the mailbox is full |
//! |---|---|---|---|
//! | incoming, component | [`route::Route`] | router | kept and offered again in 25 ms; the socket is not read meanwhile |
//! | outgoing | [`route::Route`] with error stanzas of the peer | router | signal: as many as one read brought |
//! | incoming, component | [`route::Refuse`] | router | signal: as many as one read brought. An answer to a remote domain without a session starts an attempt |
//! | router | [`promise::Deliver`] | promise | answered with `resource-constraint`; stanzas of another node: signal |
//! | router | [`outgoing::Send`] | outgoing | answered with `resource-constraint`; stanzas of another node: signal |
//! | router | [`component::Send`] | component | answered with `resource-constraint`; error answers and stanzas of another node: signal |
//! | router | [`mailroom::Deliver`] | mailroom | answered with `resource-constraint`; error answers and stanzas of another node: signal |
//! | mailroom | [`component::SendPortion`] | component | signal: one for each request, and what crosses the end of a handover |
//! | router | [`service::Serve`] | service | answered with `resource-constraint` |
//! | service | [`service::Answered`] | router | signal: as many as one read brought |
//! | promise, outgoing | [`route::Return`] | router | signal: error answers are never refused |
//! | mailroom | [`mailroom::Bounced`] | router | signal: error answers are never refused. One to a remote domain without a session starts an attempt |
//! | mailroom | [`mailroom::Answered`] | router | signal: one for each batch that is answered |
//! | mailroom | [`mailroom::Notified`] | router | signal: one for a component at each tick |
//! | mailroom | [`mailroom::Moved`] | router | signal: those that were on the disk or with a connection at a reload |
//! | router | [`promise::MoveOut`] | promise | signal: one at a reload |
//! | promise | [`promise::MovedOut`] | router | signal: one at a reload, and one for each queue that was on the disk or with a session then |
//! | router | [`mailroom::Precede`] | mailroom | signal: one at a reload |
//! | component | [`component::PresenceSent`] | mailroom | signal: one for each read |
//!
//! ## Other nodes of the cluster
//!
//! A relay takes and sends what outgoing does, and a seat_relay what component does; only what they have beside that is here.
//!
//! | from | message | to | if the mailbox is full |
//! |---|---|---|---|
//! | promise | [`claims::Claim`], [`claims::Renounce`] | cluster | signal: one of each for a pair |
//! | cluster | [`claims::Granted`], [`claims::HeldBy`], [`claims::Unknown`] | promise | signal: one for a claim |
//! | cluster | [`claims::Conflict`] | promise | signal: one for a claim that was granted |
//! | promise | [`outgoing::Yield`] | outgoing | signal: one |
//! | router | [`claims::Seat`], [`claims::Unseat`], [`claims::Contest`] | cluster | signal: one of each for a connection; a contest is repeated every two seconds, for ten |
//! | cluster | [`claims::Seated`], [`claims::SeatTaken`], [`claims::SeatUnknown`] | router | signal: two for a request at most |
//! | cluster | [`claims::SeatDelayed`] | router | signal: one for a request |
//! | cluster | [`Freeze`](flow::claims::Freeze) | promise, then router | signal: one to each for each lost lease, if `on_engine_loss` is `freeze` |
//! | promise, router | `Dismiss` of outgoing | outgoing | signal: one from each for such a lease |
//! | cluster | [`claims::SeatAt`], [`claims::Contested`] | router | signal: one for each change of a seat, and for each contest |
//! | relay, seat_relay | [`ferry::Carry`] | ferry | signal: within the budget of the relay, and what crosses its end |
//! | ferry | [`ferry::Event`] | relay, seat_relay | signal: two for a parcel at most, and one for each change of the window |
//! | ferry | [`route::Route`] with stanzas of another node | router | kept and offered again; the window of that node bounds them |
//! | a receipt that is dropped, or gives stanzas back | [`ParcelChanged`](flow::journal::ParcelChanged) | ferry | signal: one for each parcel, and one for each batch of it that is given back |
//! | the task of the broker's events | `Came` | cluster | signal, quiet but for frames: 64 are on the way at most; the next one waits in the channel of the client |
//! | cluster | `Arrived` | ferry | signal: one for a frame, which is among these 64 |
//! | cluster | `Joined`, `Died`, `LeaseHeld`, `LeaseLost`, `Up`, `Down` | ferry | signal: one for each change |
//! | ferry | `Flush` to itself | ferry | signal: one at a time |
//! | node | `Reconfigure`, `StopReceiving`, `Leave` | cluster | signal: one at a reload, one of each at the stop |
//! | cluster | `StopReceiving` | ferry | signal: one at the stop |
//! | a command, a scrape | `Show` | cluster, and from there all ferries | signal: 32 commands and 128 scrapes at most |
//! | a command | [`Ask`](relaying::questions::Ask) | cluster | signal: 32 commands at most; four of them ask other nodes at a time |
//! | cluster | `Reply` | a command | lost: the command names the node as one that has not answered. 256 parts of 48 KiB fit |
//! | cluster | `Question` | the desk, a task that answers other nodes | refused: the node that asks is told. Four fit |
//!
//! A parcel of a relay is in the custody of this node until the other one has settled it: the relay keeps the stanzas, the
//! ferry copies of the bytes. The other node gives each parcel a receipt with a fence, which its stanzas share. When the
//! receipt is dropped, the parcel is settled. Stanzas for a component that is not connected there any more come back, and what
//! comes later of the same relay too. When the lease of that node or the session is over, the stanzas must not be
//! written there any more, and what is not settled comes back (`relaying/ferry.rs`, crate [`::cluster`]).
//!
//! ## Links and connections
//!
//! | from | message | to | if the mailbox is full |
//! |---|---|---|---|
//! | promise | [`outgoing::SendFirst`], [`outgoing::SendPortion`], [`outgoing::Open`], [`outgoing::GiveWay`] | outgoing | signal |
//! | outgoing | [`outgoing::Established`], [`outgoing::Failed`], [`outgoing::Returned`] | promise | signal |
//! | outgoing | [`outgoing::Requested`], [`outgoing::GivenBack`], [`outgoing::Stopped`] | promise | signal: one that awaits its answer at most |
//! | outgoing | [`outgoing::Congested`] | router | signal: one until [`outgoing::Open`] |
//! | promise | [`promise::Fulfilled`], [`promise::Linked`], [`promise::Unlinked`] | router | signal |
//! | router | [`promise::TakeOver`] | promise | signal |
//! | router, promise | [`outgoing::Pull`] | outgoing | signal |
//! | router | [`promise::Release`], [`promise::Expect`] | promise | signal |
//! | outgoing | [`outgoing::Closed`] | router | signal |
//! | router, promise | [`outgoing::Retire`] | outgoing | signal |
//! | an attempt of outgoing | [`attempt::Waiting`], [`attempt::Resumed`] | promise | signal |
//! | attempts | [`resolver::Resolve`], [`resolver::Locate`] | resolver | the attempt fails |
//! | lookups of the resolver | `NewAnswer`, `Done` | resolver | signal: four answers and one end for each lookup |
//! | attempts | [`dial_limit::Acquire`] | dial_limit | the attempt fails |
//! | a permit that is dropped | `Released` | dial_limit | signal |
//! | incoming | [`verifier::Verify`] | verifier | the initiator gets `resource-constraint` |
//! | verifier | [`verifier::Verified`] | incoming | signal |
//! | incoming | [`incoming::Authorized`] | promise | signal |
//! | incoming | [`resumer::Enrol`], [`resumer::Part`], [`resumer::Forget`] | resumer | signal: one of each for a stream |
//! | incoming | [`resumer::Claim`] | resumer | the stream ends with `resource-constraint`: the peer may ask again |
//! | incoming | [`resumer::Withdraw`], [`resumer::Keep`] | resumer | signal: one for a claim |
//! | resumer | [`resumer::Contested`] | the incoming that holds the id | signal: one for a claim |
//! | resumer | [`resumer::Claimed`] | the incoming that claims the id | signal: one for a claim |
//! | component | [`component::BindRequested`], [`component::Gone`], [`component::ReadAll`], [`component::Pinged`], [`component::Answered`], [`component::Rejected`] | router | signal |
//! | router | [`component::BindDecided`], [`component::Prove`], [`component::GiveWay`] | component | signal |
//! | router | [`mailroom::TakeOver`], [`mailroom::Release`], [`mailroom::Expect`] | mailroom | signal |
//! | mailroom | [`mailroom::HandedOver`] | router | signal |
//! | component | [`component::Congested`] | router | signal: one until [`component::Open`] |
//! | router | [`component::Pull`] | component | signal |
//! | component | [`component::Requested`], [`component::Returned`] | mailroom | signal: one request at a time |
//! | mailroom | [`component::Open`], [`component::Retire`] | component | signal |
//! | link | [`link::Event`] | its owner | signal: at most one read and one write are under way |
//! | listener | [`component::Forbid`] | component | signal: one at a reload |
//! | listener | [`incoming::MakeRoom`], [`component::MakeRoom`] | incoming, component | signal: one in three seconds |
//! | incoming, component | [`accepted::Ended`], [`accepted::Authenticated`], [`accepted::WrongSecret`] | listener | signal |
//! | tasks that accept | `Accepted` | listener | kept and offered again; the next connection waits in the kernel |
//! | other tasks | `Detected`, `Heard`, `Attempted`, `Done` | listener, listener, outgoing, verifier | signal |
//!
//! ## The journal
//!
//! | from | message | to | if the mailbox is full |
//! |---|---|---|---|
//! | promise, mailroom, outgoing, component, relays | [`journal::Write`] | journal | the stanzas count as not kept, and are offered again in ten seconds; so do those beyond 64 MiB on the way |
//! | handles that are dropped | [`journal::Forget`] | journal | signal: one for each record |
//! | a receipt that is dropped | `Settled` | incoming | signal: one for each read, if the stream waits for it |
//! | journal | `Commit` to itself | journal | signal: one at a time |
//! | a timer of the promise, of the mailroom | `WriteDue` | promise, mailroom | signal: one at a time |
//! | node | [`router::Restore`] | router | signal: one at the start, before all others |
//! | router | [`promise::Restore`], [`mailroom::Restore`] | promise, mailroom | signal: the same |
//! | promise, mailroom | [`Sync`](routing::journal::Sync) | journal | signal: one for each group of stanzas that are left at the stop |
//! | journal | [`Synced`](routing::journal::Synced) | promise, mailroom | signal: one for each question |
//! | promise, mailroom | [`Confirm`](routing::journal::Confirm) | journal | signal: one at a time for each |
//! | journal | [`Confirmed`](routing::journal::Confirmed) | promise, mailroom | signal: one for each question |
//! | promise, mailroom | [`Fetch`](routing::journal::Fetch) | journal | signal: one at a time for each queue, and one for answers |
//! | journal | [`Fetched`](routing::journal::Fetched) | promise, mailroom | signal: one for each question |
//! | node | [`TryAgain`](routing::journal::TryAgain), [`Close`](routing::journal::Close) | journal | signal: one at the stop |
//! | a task of the node | [`heartbeat::Respond`] | journal | signal: one at a time |
//!
//! The router reserves the key of each stanza, so records are in the order in which it takes stanzas, whoever writes them.
//! Whoever gives a stanza to the journal attaches a handle to it. The handle goes where the stanza goes, and when it is
//! dropped, the record is removed.
//!
//! A queue that is full in memory goes on in the journal (`routing/overflow.rs`). The promise or the mailroom keeps a stanza
//! in memory until the journal has confirmed it, then only its key, its size and its times. It asks for the next records
//! before the part in memory is used up; a session or component that asks for a portion meanwhile gets it when they are here,
//! and is handed over to the router only when nothing of its queue is on the disk. Stanzas on the disk that are not to be
//! delivered are read, and answered then.
//!
//! ## Reload
//!
//! | from | message | to |
//! |---|---|---|
//! | node | `Adopt` | promise, router, listener, verifier, resumer, resolver, dial_limit |
//! | router | [`mailroom::Adopt`], [`mailroom::TakeOver`] | mailroom |
//! | mailroom | [`component::Pull`] | component |
//! | router, promise | [`outgoing::Adopt`], [`outgoing::Forbid`], [`service::Adopt`], [`component::Expel`] | outgoing, service, component |
//! | listener | [`incoming::Adopt`], [`component::Adopt`] | incoming, component |
//!
//! All of them are signals.
//!
//! ## Stop
//!
//! | from | message | to |
//! |---|---|---|
//! | node | [`listener::Stop`], [`listener::Drain`], [`promise::Drain`], [`mailroom::Drain`] | listener, promise, mailroom |
//! | node | [`router::Broadcast`] of a message for the sessions, [`router::Acknowledge`], [`router::LogAccount`] | router |
//! | node | [`promise::LogUnsent`] | promise |
//! | router | [`service::Acknowledge`], and [`service::Acknowledged`] back | service |
//! | router, listener | [`outgoing::Flush`], [`outgoing::Abandon`], [`outgoing::Finish`], [`incoming::Drain`], [`component::Drain`] | the streams |
//! | node | [`router::FinishSeats`] | router |
//! | router | [`component::Finish`] | seat_relay |
//! | node | [`GiveUp`](routing::journal::GiveUp), [`LeaveAll`](routing::journal::LeaveAll), [`Conclude`](routing::journal::Conclude) | promise, mailroom |
//!
//! All of them are signals. `node/stop.rs` has the phases.
//!
//! ## Commands and observation
//!
//! | from | message | to | if the mailbox is full |
//! |---|---|---|---|
//! | a command | [`promise::Show`], [`promise::Retry`], [`mailroom::Show`] | promise, mailroom | signal: 32 commands at most |
//! | a command | [`router::ShowSessions`], [`router::ShowDomain`], [`router::ShowComponents`], [`router::Dismiss`], [`router::DismissComponent`] | router | signal |
//! | a command | [`listener::Show`], [`listener::ExpectProbe`], [`listener::Dismiss`] | listener | signal |
//! | a command | [`monitor::Look`] | monitor | signal |
//! | a command | [`recorder::Recall`], [`recorder::Locate`] | recorder | signal |
//! | router, listener | `Show`, `Dismiss` of outgoing, incoming, component | the streams | signal: one for each command |
//! | a scrape | [`monitor::Show`], [`router::ShowFigures`], [`promise::ShowFigures`], [`mailroom::ShowFigures`], [`metrics::Show`] | | signal: 128 scrapes at most |
//! | node | [`monitor::Report`], [`router::Report`] | monitor, router | signal |
//! | every mailbox | [`mailbox::Register`] | monitor | signal |
//! | incoming, attempts, listener | [`metrics::Count`] | metrics | not counted |
//! | incoming, attempts | [`fingerprints::Record`] | fingerprints | forgotten: a change is not logged |
//! | promise, router, streams, verifier, fingerprints | [`recorder::Record`], [`recorder::Settled`] | recorder | lost and counted |
//! | the watchdog | [`heartbeat::Respond`] | router, promise, mailroom | signal: one at a time |
//! | tasks of the control socket | `Accepted`, `Done` | control | closed: the command reports that the node is too busy |
//!
//! Questions (`Show`, `Recall`, `Locate`, `Report`, `Respond`) are quiet signals, and so are the events of a link that only
//! reads or writes a little whitespace, and those of the pings of a component (`Pinged`, `Answered`): an actor that handles nothing else has no mailbox line
//! ([`mailbox::Mailbox::signal_quietly`]).
//!
#![doc = include_str!("handover.md")]
//!
//! [`route::Route`]: flow::route::Route
//! [`route::Refuse`]: flow::route::Refuse
//! [`route::Return`]: flow::route::Return
//! [`claims::Claim`]: flow::claims::Claim
//! [`claims::Conflict`]: flow::claims::Conflict
//! [`claims::Contest`]: flow::claims::Contest
//! [`claims::Contested`]: flow::claims::Contested
//! [`claims::Granted`]: flow::claims::Granted
//! [`claims::HeldBy`]: flow::claims::HeldBy
//! [`claims::Renounce`]: flow::claims::Renounce
//! [`claims::Seat`]: flow::claims::Seat
//! [`claims::SeatAt`]: flow::claims::SeatAt
//! [`claims::SeatDelayed`]: flow::claims::SeatDelayed
//! [`claims::SeatTaken`]: flow::claims::SeatTaken
//! [`claims::SeatUnknown`]: flow::claims::SeatUnknown
//! [`claims::Seated`]: flow::claims::Seated
//! [`claims::Unknown`]: flow::claims::Unknown
//! [`claims::Unseat`]: flow::claims::Unseat
//! [`ferry::Carry`]: flow::ferry::Carry
//! [`ferry::Event`]: flow::ferry::Event
//! [`component::Finish`]: streams::component::Finish
//! [`outgoing::Yield`]: streams::outgoing::Yield
//! [`router::FinishSeats`]: routing::router::FinishSeats
//! [`attempt::Resumed`]: dial::attempt::Resumed
//! [`attempt::Waiting`]: dial::attempt::Waiting
//! [`accepted::Authenticated`]: streams::accepted::Authenticated
//! [`accepted::Ended`]: streams::accepted::Ended
//! [`accepted::WrongSecret`]: streams::accepted::WrongSecret
//! [`component::Adopt`]: streams::component::Adopt
//! [`component::Answered`]: streams::component::Answered
//! [`component::BindDecided`]: streams::component::BindDecided
//! [`component::BindRequested`]: streams::component::BindRequested
//! [`component::Drain`]: streams::component::Drain
//! [`component::Expel`]: streams::component::Expel
//! [`component::GiveWay`]: streams::component::GiveWay
//! [`component::Congested`]: streams::component::Congested
//! [`component::Forbid`]: streams::component::Forbid
//! [`component::Gone`]: streams::component::Gone
//! [`component::MakeRoom`]: streams::component::MakeRoom
//! [`component::Open`]: streams::component::Open
//! [`component::Pinged`]: streams::component::Pinged
//! [`component::PresenceSent`]: streams::component::PresenceSent
//! [`component::Prove`]: streams::component::Prove
//! [`component::Pull`]: streams::component::Pull
//! [`component::ReadAll`]: streams::component::ReadAll
//! [`component::Rejected`]: streams::component::Rejected
//! [`component::Requested`]: streams::component::Requested
//! [`component::Retire`]: streams::component::Retire
//! [`component::Returned`]: streams::component::Returned
//! [`component::Send`]: streams::component::Send
//! [`component::SendPortion`]: streams::component::SendPortion
//! [`dial_limit::Acquire`]: dial::dial_limit::Acquire
//! [`fingerprints::Record`]: observe::fingerprints::Record
//! [`heartbeat::Respond`]: node::heartbeat::Respond
//! [`incoming::Adopt`]: streams::incoming::Adopt
//! [`incoming::Authorized`]: streams::incoming::Authorized
//! [`incoming::Drain`]: streams::incoming::Drain
//! [`journal::Forget`]: flow::journal::Forget
//! [`journal::Write`]: flow::journal::Write
//! [`incoming::MakeRoom`]: streams::incoming::MakeRoom
//! [`link::Event`]: flow::link::Event
//! [`listener::Dismiss`]: streams::listener::Dismiss
//! [`listener::Drain`]: streams::listener::Drain
//! [`listener::ExpectProbe`]: streams::listener::ExpectProbe
//! [`listener::Show`]: streams::listener::Show
//! [`listener::Stop`]: streams::listener::Stop
//! [`mailroom::Adopt`]: routing::mailroom::Adopt
//! [`mailroom::Answered`]: routing::mailroom::Answered
//! [`mailroom::Bounced`]: routing::mailroom::Bounced
//! [`mailroom::Deliver`]: routing::mailroom::Deliver
//! [`mailroom::Drain`]: routing::mailroom::Drain
//! [`mailroom::Expect`]: routing::mailroom::Expect
//! [`mailroom::HandedOver`]: routing::mailroom::HandedOver
//! [`mailroom::Moved`]: routing::mailroom::Moved
//! [`mailroom::Notified`]: routing::mailroom::Notified
//! [`mailroom::Precede`]: routing::mailroom::Precede
//! [`mailroom::Release`]: routing::mailroom::Release
//! [`mailroom::Restore`]: routing::mailroom::Restore
//! [`mailroom::ShowFigures`]: routing::mailroom::ShowFigures
//! [`mailroom::Show`]: routing::mailroom::Show
//! [`mailroom::TakeOver`]: routing::mailroom::TakeOver
//! [`metrics::Count`]: observe::metrics::Count
//! [`metrics::Show`]: observe::metrics::Show
//! [`monitor::Look`]: mailbox::monitor::Look
//! [`monitor::Report`]: mailbox::monitor::Report
//! [`monitor::Show`]: mailbox::monitor::Show
//! [`outgoing::Abandon`]: streams::outgoing::Abandon
//! [`outgoing::Adopt`]: streams::outgoing::Adopt
//! [`outgoing::Closed`]: streams::outgoing::Closed
//! [`outgoing::Congested`]: streams::outgoing::Congested
//! [`outgoing::Established`]: streams::outgoing::Established
//! [`outgoing::Failed`]: streams::outgoing::Failed
//! [`outgoing::Finish`]: streams::outgoing::Finish
//! [`outgoing::Flush`]: streams::outgoing::Flush
//! [`outgoing::Forbid`]: streams::outgoing::Forbid
//! [`outgoing::GivenBack`]: streams::outgoing::GivenBack
//! [`outgoing::GiveWay`]: streams::outgoing::GiveWay
//! [`outgoing::Open`]: streams::outgoing::Open
//! [`outgoing::Pull`]: streams::outgoing::Pull
//! [`outgoing::Requested`]: streams::outgoing::Requested
//! [`outgoing::Retire`]: streams::outgoing::Retire
//! [`outgoing::Returned`]: streams::outgoing::Returned
//! [`outgoing::SendFirst`]: streams::outgoing::SendFirst
//! [`outgoing::SendPortion`]: streams::outgoing::SendPortion
//! [`outgoing::Send`]: streams::outgoing::Send
//! [`outgoing::Stopped`]: streams::outgoing::Stopped
//! [`promise::Deliver`]: routing::promise::Deliver
//! [`promise::Drain`]: routing::promise::Drain
//! [`promise::Expect`]: routing::promise::Expect
//! [`promise::Fulfilled`]: routing::promise::Fulfilled
//! [`promise::Linked`]: routing::promise::Linked
//! [`promise::LogUnsent`]: routing::promise::LogUnsent
//! [`promise::MoveOut`]: routing::promise::MoveOut
//! [`promise::MovedOut`]: routing::promise::MovedOut
//! [`promise::Release`]: routing::promise::Release
//! [`promise::Restore`]: routing::promise::Restore
//! [`promise::Retry`]: routing::promise::Retry
//! [`promise::ShowFigures`]: routing::promise::ShowFigures
//! [`promise::Show`]: routing::promise::Show
//! [`promise::TakeOver`]: routing::promise::TakeOver
//! [`promise::Unlinked`]: routing::promise::Unlinked
//! [`recorder::Locate`]: observe::recorder::Locate
//! [`recorder::Recall`]: observe::recorder::Recall
//! [`recorder::Record`]: observe::recorder::Record
//! [`recorder::Settled`]: observe::recorder::Settled
//! [`resolver::Locate`]: dial::resolver::Locate
//! [`resolver::Resolve`]: dial::resolver::Resolve
//! [`resumer::Claim`]: streams::resumer::Claim
//! [`resumer::Claimed`]: streams::resumer::Claimed
//! [`resumer::Contested`]: streams::resumer::Contested
//! [`resumer::Enrol`]: streams::resumer::Enrol
//! [`resumer::Forget`]: streams::resumer::Forget
//! [`resumer::Keep`]: streams::resumer::Keep
//! [`resumer::Part`]: streams::resumer::Part
//! [`resumer::Withdraw`]: streams::resumer::Withdraw
//! [`router::Acknowledge`]: routing::router::Acknowledge
//! [`router::Broadcast`]: routing::router::Broadcast
//! [`router::DismissComponent`]: routing::router::DismissComponent
//! [`router::Dismiss`]: routing::router::Dismiss
//! [`router::LogAccount`]: routing::router::LogAccount
//! [`router::Report`]: routing::router::Report
//! [`router::Restore`]: routing::router::Restore
//! [`router::ShowComponents`]: routing::router::ShowComponents
//! [`router::ShowDomain`]: routing::router::ShowDomain
//! [`router::ShowFigures`]: routing::router::ShowFigures
//! [`router::ShowSessions`]: routing::router::ShowSessions
//! [`service::Acknowledge`]: routing::service::Acknowledge
//! [`service::Acknowledged`]: routing::service::Acknowledged
//! [`service::Adopt`]: routing::service::Adopt
//! [`service::Answered`]: routing::service::Answered
//! [`service::Serve`]: routing::service::Serve
//! [`verifier::Verified`]: streams::verifier::Verified
//! [`verifier::Verify`]: streams::verifier::Verify

#![allow(rustdoc::private_intra_doc_links, reason = "the message map is for readers of the code")]

mod dial;
#[cfg(any(test, feature = "test-util"))]
pub mod fixture;
mod flow;
mod node;
mod observe;
pub mod parts;
mod relaying;
mod routing;
#[cfg(test)]
mod scenario;
pub mod settings;
mod streams;

pub use flow::account::{Outcome, Totals};
pub use node::{
    ClusterError, Node, StartError,
    heartbeat::Heartbeat,
    identities,
    reload::{Prepared, Preparer},
};
pub use routing::journal::OpenError as JournalError;

/// Attempts to connect to a remote domain, as `nuncio probe` makes them without a node.
pub mod attempt {
    pub use crate::{
        dial::{
            attempt::{
                Attempt, Dialer, Goal, OpenSession, Session, Strategy, VerifyKey, Visit, Walk, redirect,
            },
            error::{At, AttemptError, Observations, certificate_cause},
            observer::{self, Observer},
            remote_policy::RemotePolicies,
            resolver::Resolver,
        },
        observe::{fingerprints::Fingerprints, metrics::MetricsHandle, recorder::RecorderHandle},
    };
}

/// What `nuncio check` asks the message broker of a cluster.
pub mod cluster_check {
    pub use crate::node::broker_check::{Examined, Running, ShortPayload, check};
    pub use ::cluster::engine::{
        Bucket,
        examination::{Fault, Forbidden, Stage},
    };
}
