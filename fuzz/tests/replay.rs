//! Runs every target on its corpus, and on damaged variants of it that are the same in every run.
//!
//! `NUNCIO_CASES=100000 fuzz/run --replay` runs more variants. When a target fails, the last input on standard error is the
//! one that failed.

use fuzz::{TARGETS, damaged};
use std::{env, fs, path::Path};

#[test]
fn no_target_fails_on_its_corpus_or_on_damaged_variants() {
    let cases = env::var("NUNCIO_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(2_000);
    for target in TARGETS {
        let corpus = corpus(target.name);
        for input in corpus.iter().cloned().chain(damaged(&corpus).take(cases)) {
            eprintln!("{}: {:?}", target.name, String::from_utf8_lossy(&input));
            (target.run)(&input);
        }
    }
}

/// The inputs in the corpus of a target.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}
