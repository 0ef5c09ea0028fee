//! Targets as the log shows them.

use net::dns::Target;

/// The targets in the order in which they are tried, `host:port(tls),…`.
pub(super) fn list(targets: &[Target]) -> String {
    let names: Vec<String> = targets
        .iter()
        .map(|target| if target.direct_tls { format!("{target}(tls)") } else { target.to_string() })
        .collect();
    names.join(",")
}
