//! The text of the configuration: settings or problems come out, each with its place.

use std::path::Path;

/// The reading half of the node's binary.
#[path = "../../src"]
mod nuncio {
    #[expect(dead_code, reason = "the node uses the rest")]
    pub(super) mod config;
    #[expect(dead_code, reason = "the commands use the rest")]
    mod users;
}

pub(crate) fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    // Devices never end; whoever writes one into the configuration gets what is in it.
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
            assert!(!findings.is_empty(), "no settings, and no word why");
            for finding in findings {
                assert!(finding.to_string().lines().count() >= 1);
            }
        }
    }
}
