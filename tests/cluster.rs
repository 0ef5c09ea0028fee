//! Several nodes serve one domain, over a real nats-server.

mod absence;
mod accounts;
mod broker;
mod changes;
mod clock;
mod commands;
mod components;
mod dialback;
mod fixture;
mod freeze;
mod holder;
mod hostile_broker;
mod links;
mod metrics;
mod moves;
mod namesakes;
mod replicas;
mod resumption;
mod shipped;
mod stop;
mod streams;
mod too_long;

pub(crate) use self::holder::{of_holders_that_are_killed, of_holders_that_stop};
pub(crate) use self::links::of_cold_domains;
