//! Components that connect to the wrong kind of port: with TLS to one without, or without TLS to one with.

use xmpp::stream::{self, Condition};

/// What a component began with at the wrong port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Misplaced {
    /// A ClientHello at `listen.component`.
    Tls,
    /// XML at `listen.component_tls`.
    ClearText,
}

impl Misplaced {
    /// What is wrong and what to do, for the log and for the component.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Tls => {
                "TLS on a port without component_tls: the component must connect without TLS, or to an address of \
                 listen.component_tls"
            }
            Self::ClearText => {
                "clear text on a port of component_tls: the component must begin with TLS, or connect to an address of \
                 listen.component"
            }
        }
    }

    /// The stream error, in clear text. A component that began with TLS cannot read it; its TLS library reports that the
    /// port has no TLS, and the text shows in a trace. An alert would look like a mismatch of TLS versions.
    pub(super) fn error(self) -> stream::Error {
        let condition = match self {
            Self::Tls => Condition::NotWellFormed,
            Self::ClearText => Condition::PolicyViolation,
        };
        stream::Error::new(condition, self.text())
    }

    /// The kind of the failed handshake in the metrics.
    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::Tls => "port-without-tls",
            Self::ClearText => "clear-text",
        }
    }
}

/// Whether XML begins with this byte: with an element or a declaration, white space, or a byte order mark.
pub(super) fn begins_xml(first: u8) -> bool {
    matches!(first, b'<' | b' ' | b'\t' | b'\r' | b'\n' | 0xef)
}
