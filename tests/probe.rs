//! `nuncio probe`: every kind of failure is found at the right step, with the right cause and the right side to act.

mod authentication;
mod bench;
mod certificates;
mod good;
mod names;
mod own;
mod screens;
mod stream;
mod transport;
