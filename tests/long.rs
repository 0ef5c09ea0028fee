//! Soaks and sieges, which `tests/run` leaves out without `--long`.

mod acks;
mod deaf;
mod delivery;
mod promise;
mod siege;
