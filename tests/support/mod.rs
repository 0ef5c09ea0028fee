//! What the tests are made of: a network for each, real servers on it, a scripted peer and a
//! component that sends and observes. Everything blocks, and every wait has an end.

mod authority;
mod component;
mod der;
mod dns;
mod ejabberd;
mod eventually;
mod jabberd2;
mod network;
mod node;
mod peer;
mod process;
mod prosody;
mod proxy;
mod scene;
mod setup;
mod staple;
mod wire;
mod xml;

pub(crate) use self::authority::{Authority, Identity, Purpose};
pub(crate) use self::component::{Component, SECRET};
pub(crate) use self::dns::{Behaviour, Dns, in_ascii};
pub(crate) use self::ejabberd::Ejabberd;
pub(crate) use self::eventually::{SOON, eventually};
pub(crate) use self::jabberd2::Jabberd2;
pub(crate) use self::network::Network;
pub(crate) use self::node::{BINARY, Node, configuration};
pub(crate) use self::peer::{Listener, Peer, offers_external, plays};
pub(crate) use self::process::{Process, needs};
pub(crate) use self::prosody::Prosody;
pub(crate) use self::proxy::Proxy;
pub(crate) use self::scene::{HEADER, INBOX, Scene, connect_from, message, read_to_end};
pub(crate) use self::setup::{Auth, Certificate, Server, Setup, Tls};
pub(crate) use self::staple::Status;
pub(crate) use self::wire::{Nothing, Wire};
pub(crate) use self::xml::{Element, Event, Splitter};
