//! Every target with its corpus, and with damage to it that is the same in every run.
//!
//! `NUNCIO_CASES=100000 fuzz/run --replay` tries more damage. When a target fails, the input is the last one written to
//! standard error.

use fuzz::{TARGETS, damaged};
use std::{env, fs, path::Path};

#[test]
fn no_target_minds_its_corpus_or_damage_to_it() {
    let cases = env::var("NUNCIO_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(2_000);
    for target in TARGETS {
        let corpus = corpus(target.name);
        for input in corpus.iter().cloned().chain(damaged(&corpus).take(cases)) {
            eprintln!("{}: {:?}", target.name, String::from_utf8_lossy(&input));
            (target.run)(&input);
        }
    }
}

/// What the corpus of a target holds.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}
