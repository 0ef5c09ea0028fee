//! The report of a ping that a component has not answered.

use serde::{Deserialize, Serialize};

use super::time::Time;

/// A ping that a component has not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnansweredPing {
    /// When it was sent.
    pub since: Time,
    /// Whether the connection is closed if the component stays silent. A component that has never answered a ping on this
    /// connection keeps it.
    pub closes: bool,
}
