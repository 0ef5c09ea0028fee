//! `nuncio probe` reports every kind of failure at the right step, with the right cause and the side that has to act.

mod acks;
mod authentication;
mod bench;
mod certificates;
mod good;
mod names;
mod own;
mod screens;
mod stream;
mod transport;
