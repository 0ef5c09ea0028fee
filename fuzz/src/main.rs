//! Runs one target under libFuzzer. `fuzz/run` sets `NUNCIO_FUZZ` to its name.
#![no_main]

use fuzz::{Target, target};
use libfuzzer_sys::fuzz_target;
use std::{env, sync::LazyLock};

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = env::var("NUNCIO_FUZZ").unwrap_or_default();
    target(&name).unwrap_or_else(|| panic!("no target is called '{name}'"))
});

fuzz_target!(|input: &[u8]| (TARGET.run)(input));
