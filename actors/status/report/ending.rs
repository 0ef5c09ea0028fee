//! The end of a component's connection, and its cause.

use serde::{Deserialize, Serialize};

use super::time::Time;

/// The end of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// The time of the end.
    pub at: Time,
    /// The cause as a constant.
    pub cause: EndCause,
    /// The reason, as in the log.
    pub reason: String,
}

/// Declares each cause once: variant, name in metrics and JSON, and description.
macro_rules! causes {
    ($($(#[$doc:meta])* $variant:ident => $name:literal,)*) => {
        /// The cause for which the connection of a component ended.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum EndCause {
            $($(#[$doc])* #[serde(rename = $name)] $variant,)*
        }

        impl EndCause {
            /// All causes.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name in the log, in metrics and in JSON.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

causes! {
    /// The component closed its stream.
    Closed => "closed",
    /// The connection broke, or the component ended it without closing its stream.
    Lost => "lost",
    /// The component did not answer a ping, or did not read.
    Hung => "hung",
    /// The component sent a stream error.
    ComponentError => "component-error",
    /// The component violated the protocol.
    ProtocolError => "protocol-error",
    /// Another connection of the component took its place.
    Replaced => "replaced",
    /// An operator closed it.
    Operator => "operator",
    /// A reload does not permit it any more.
    Reload => "reload",
    /// The node stops.
    Shutdown => "shutdown",
    /// An error of the node.
    Internal => "internal-error",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_has_one_name() {
        let mut names: Vec<&str> = EndCause::ALL.iter().map(|cause| cause.as_str()).collect();
        for cause in EndCause::ALL {
            assert_eq!(serde_json::to_value(cause).unwrap(), cause.as_str());
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), EndCause::ALL.len());
    }
}
