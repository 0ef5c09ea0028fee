//! The section `[limits]`.

use xmpp::policy::Bounds;

use super::{section::Section, value};
use actors::settings::{ComponentLimits, Dials, Limits, Recording, Verifications};
use net::tls;

/// Reads the section.
pub(super) fn limits(section: Section<'_>) -> Limits {
    let stream = Bounds::default();
    let limits = Limits {
        max_connections: section.count("max_connections", 1).unwrap_or(16_384),
        max_connections_unauthenticated: section.count("max_connections_unauthenticated", 1).unwrap_or(4096),
        max_attempts_per_address: section.count("max_attempts_per_address", 1).unwrap_or(600),
        max_handshake: section.read("max_handshake", value::size).unwrap_or(tls::MAX_HANDSHAKE),
        components: ComponentLimits {
            connections: section.count("max_component_connections", 1).unwrap_or(1024),
            unproved_per_address: section
                .count("max_components_unauthenticated_per_address", 1)
                .unwrap_or(64),
        },
        stream: Bounds {
            early_bytes: section.read("max_bytes_unauthenticated", value::size).unwrap_or(stream.early_bytes),
            early_elements: section.count("max_elements_unauthenticated", 8).unwrap_or(stream.early_elements),
            depth: section.count("max_depth", 8).unwrap_or(stream.depth),
            attributes: section.count("max_attributes", 8).unwrap_or(stream.attributes),
            declarations: section.count("max_namespaces", 8).unwrap_or(stream.declarations),
            pairs: section.count("max_pairs_per_stream", 1).unwrap_or(stream.pairs),
            pending_keys: section.count("max_verifications_per_stream", 1).unwrap_or(stream.pending_keys),
        },
        verifications: Verifications {
            at_once: section.count("max_verifications", 1).unwrap_or(64),
            per_address: section.count("max_verifications_per_address", 1).unwrap_or(32),
            waiting: section.count("max_verifications_waiting", 0).unwrap_or(1024),
        },
        dials: Dials {
            at_once: section.count("max_dials", 1).unwrap_or(256),
            hanging: section.count("max_dials_hanging", 0).unwrap_or(1024),
            per_address: section.count("max_dials_per_address", 1).unwrap_or(32),
            per_attempt: section.count("max_dials_per_attempt", 1).unwrap_or(20),
        },
        resumable: section.count("resumable", 0).unwrap_or(20_000),
        recording: Recording {
            domains: section.count("recorded_domains", 0).unwrap_or(2_000),
            events: section.count("recorded_events", 1).unwrap_or(32),
        },
    };
    section.finish();
    limits
}
