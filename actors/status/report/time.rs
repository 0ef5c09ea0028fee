//! Times and durations in reports.

use std::{
    fmt,
    time::{Duration, Instant, SystemTime},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A point in time, written as RFC 3339 in UTC with milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub SystemTime);

/// A duration, written to JSON as a number of seconds with three decimals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seconds(pub Duration);

impl Time {
    /// The current time.
    pub fn now() -> Self {
        Self(clock::system())
    }

    /// The calendar time of an instant.
    pub fn of(instant: Instant) -> Self {
        Self(clock::system().checked_sub(clock::since(instant)).unwrap_or(SystemTime::UNIX_EPOCH))
    }

    /// The time from `self` to `later`; zero if `later` is earlier.
    pub fn before(self, later: Self) -> Duration {
        later.0.duration_since(self.0).unwrap_or_default()
    }
}

impl Seconds {
    /// The time since `then`.
    pub fn since(then: Instant) -> Self {
        Self(clock::since(then))
    }

    /// The time until `then`; zero if it is in the past.
    pub fn until(then: Instant) -> Self {
        Self(then.saturating_duration_since(clock::now()))
    }
}

impl fmt::Display for Seconds {
    /// Writes the duration in one unit: `12 ms`, `34 s`, `12 min`, `5 h`, `3 days`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        match seconds {
            0 => write!(f, "{} ms", self.0.as_millis()),
            1..120 => write!(f, "{seconds} s"),
            120..7_200 => write!(f, "{} min", seconds / 60),
            7_200..172_800 => write!(f, "{} h", seconds / 3_600),
            _ => write!(f, "{} days", seconds / 86_400),
        }
    }
}

impl fmt::Display for Time {
    /// Writes RFC 3339 in UTC: `2026-11-01T08:30:00.000Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_rfc3339_millis(self.0).fmt(f)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_rfc3339(&text).map(Self).map_err(de::Error::custom)
    }
}

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64((self.0.as_secs_f64() * 1_000.0).round() / 1_000.0)
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        Duration::try_from_secs_f64(seconds).map(Self).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_durations_are_read_as_they_were_written() {
        let time = Time(SystemTime::UNIX_EPOCH + Duration::from_millis(1_793_376_000_250));
        let text = serde_json::to_string(&time).unwrap();
        assert_eq!(text, "\"2026-10-30T16:00:00.250Z\"");
        assert_eq!(serde_json::from_str::<Time>(&text).unwrap(), time);
        let length = Seconds(Duration::from_millis(1_500));
        assert_eq!(serde_json::to_string(&length).unwrap(), "1.5");
        assert_eq!(serde_json::from_str::<Seconds>("1.5").unwrap(), length);
        assert!(serde_json::from_str::<Seconds>("-1").is_err());
    }
}
