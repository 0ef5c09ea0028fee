//! The part of a link report about acknowledged stanzas (XEP-0198).

use std::{fmt, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::time::Seconds;
use crate::amount::Amount;

/// Whether stanzas are acknowledged on a link, and which of them are not acknowledged yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Acknowledgement {
    /// Whether the receiver of the stanzas acknowledges them: the peer on a link that this node opened, this node on a
    /// link that the peer opened.
    pub acks: Acks,
    /// Stanzas that were written and are not acknowledged; a part of the sent ones.
    pub open: Amount,
    /// The time since the oldest of them was written.
    pub open_for: Option<Seconds>,
    /// The time from the last answered request for acknowledgement to its answer.
    pub ack_latency: Option<Latency>,
}

/// A short time, written to JSON as a number of seconds with six decimals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Latency(pub Duration);

/// Whether a link is acknowledged, and can be resumed after its loss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Acks {
    /// Stanzas are not acknowledged.
    #[default]
    No,
    /// Stanzas are acknowledged, and the stream cannot be resumed.
    Yes,
    /// Stanzas are acknowledged, and the stream can be resumed (XEP-0198 section 5).
    Resumable,
}

impl Acks {
    /// The name in the log and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Yes => "yes",
            Self::Resumable => "resumable",
        }
    }
}

impl fmt::Display for Latency {
    /// Writes the time in one unit: `0.4 ms`, `12 ms`, `1.2 s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = self.0.as_secs_f64() * 1_000.0;
        match self.0.as_millis() {
            0..10 => write!(f, "{milliseconds:.1} ms"),
            10..1_000 => write!(f, "{milliseconds:.0} ms"),
            _ => write!(f, "{:.1} s", self.0.as_secs_f64()),
        }
    }
}

impl Serialize for Latency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64((self.0.as_secs_f64() * 1e6).round() / 1e6)
    }
}

impl<'de> Deserialize<'de> for Latency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        Duration::try_from_secs_f64(seconds).map(Self).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_json_equal_those_in_the_log() {
        for acks in [Acks::No, Acks::Yes, Acks::Resumable] {
            assert_eq!(serde_json::to_value(acks).unwrap(), acks.as_str());
        }
    }

    #[test]
    fn a_latency_below_a_millisecond_is_kept() {
        let latency = Latency(Duration::from_micros(431));
        assert_eq!(
            (latency.to_string().as_str(), serde_json::to_string(&latency).unwrap().as_str()),
            ("0.4 ms", "0.000431")
        );
        assert_eq!(serde_json::from_str::<Latency>("0.000431").unwrap(), latency);
        assert!(serde_json::from_str::<Latency>("-1").is_err());
        let written = |micros| Latency(Duration::from_micros(micros)).to_string();
        assert_eq!([written(12_400), written(1_230_000)], ["12 ms", "1.2 s"]);
    }

    #[test]
    fn a_report_without_acknowledgements_is_read() {
        let nothing = serde_json::from_str::<Acknowledgement>("{}").unwrap();
        assert_eq!(nothing, Acknowledgement::default());
    }
}
