//! Several nodes serve one domain, over a real nats-server.

mod broker;
mod commands;
mod components;
mod dialback;
mod fixture;
mod holder;
mod links;
mod metrics;
mod stop;
