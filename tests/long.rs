//! Soaks and attacks, which `tests/run` leaves out without `--long`.

mod abuse_load;
mod acks;
mod cluster;
mod deaf;
mod delivery;
mod promise;
