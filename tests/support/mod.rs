//! The fixture of the whole-node tests: a network for each test and servers on it. Everything blocks, and every wait has
//! an end.

mod ejabberd;
mod fixture;
mod jabberd2;
mod nats;
mod nats_operator;
mod network;
mod node;
mod process;
mod prosody;
mod quiet;
mod setup;
mod tenant;
mod terminal;

pub(crate) use testkit::dns::in_ascii;
pub(crate) use testkit::{
    Authority, Behaviour, Component, Counted, Dns, Element, Event, Identity, Listener, NEVER, Nothing, OFFER,
    Passed, Peer, Proxy, Purpose, Reset, SECRET, SM, SOON, Status, Wire, Wiretap, eventually, h, is_request,
    offers_external, plays, within,
};

pub(crate) use self::ejabberd::Ejabberd;
pub(crate) use self::fixture::{Fixture, HEADER, INBOX, connect_from, message, read_to_end};
pub(crate) use self::jabberd2::Jabberd2;
pub(crate) use self::nats::{Broker, Place, program as nats_server};
pub(crate) use self::nats_operator::NatsOperator;
pub(crate) use self::network::Network;
pub(crate) use self::node::{BINARY, Node, configuration, figure};
pub(crate) use self::process::{Process, needs};
pub(crate) use self::prosody::Prosody;
pub(crate) use self::quiet::most_lines;
pub(crate) use self::setup::{Auth, Certificate, Server, Setup, Tls};
pub(crate) use self::tenant::Tenant;
pub(crate) use self::terminal::Terminal;
