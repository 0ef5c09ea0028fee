//! The text of a configuration gives either settings or problems, and no panic.

use std::path::Path;

/// The modules of the binary that read the configuration.
#[path = "../../src"]
mod nuncio {
    #[expect(dead_code, reason = "the binary uses the rest")]
    pub(super) mod config;
    #[expect(dead_code, reason = "the commands use the rest")]
    mod users;
}

pub(crate) fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    // Reading a device would not end. Only the operator can put such a path into the configuration.
    if text.contains("/dev") || text.contains("/proc") || text.contains("\\u") {
        return;
    }
    let file = Path::new("/nonexistent/nuncio.toml");
    match nuncio::config::parse(file, text) {
        Ok(config) => {
            assert!(config.warnings.iter().all(nuncio::config::Finding::is_warning));
            assert!(!config.settings.domains.is_empty() || !config.settings.components.is_empty());
        }
        Err(findings) => {
            assert!(!findings.is_empty(), "no settings and no problem");
            for finding in findings {
                assert!(finding.to_string().lines().count() >= 1);
            }
        }
    }
}
