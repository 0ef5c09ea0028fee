//! Soaks and sieges, which `tests/run` leaves out without `--long`.

mod promise;
mod siege;
