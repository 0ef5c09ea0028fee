//! Several nodes serve one domain, over a real nats-server.

mod fixture;
mod links;
