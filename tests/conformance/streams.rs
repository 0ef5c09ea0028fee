//! Rows of shared/CONFORMANCE.md; each test names its rows in a line `// rows: …` above `#[test]`.
