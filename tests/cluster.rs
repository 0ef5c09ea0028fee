//! Several nodes serve one domain, over a real nats-server.

mod broker;
mod components;
mod dialback;
mod fixture;
mod holder;
mod links;

pub(crate) use self::holder::{of_holders_that_are_killed, of_holders_that_stop};
