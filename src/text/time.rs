//! Times of day with their age, and dates.

use std::time::{Duration, UNIX_EPOCH};

use jiff::{Timestamp, tz::TimeZone};
use openssl::asn1::{Asn1Time, Asn1TimeRef};
use status::report::{Seconds, Time};

/// Displays times in a time zone, with their age at a given time.
pub(crate) struct Clock {
    now: Time,
    zone: TimeZone,
}

impl Clock {
    /// Displays times in the time zone of the system.
    pub(crate) fn new(now: Time) -> Self {
        Self { now, zone: TimeZone::system() }
    }

    /// The time at which ages are shown.
    pub(crate) fn now(&self) -> Time {
        self.now
    }

    /// The time of day and the age: `12:03:04 (34 s ago)`.
    pub(crate) fn time_with_age(&self, time: Time) -> String {
        format!("{} ({} ago)", self.time(time), self.age(time))
    }

    /// The time of day, with the date if it is not today.
    pub(crate) fn time(&self, time: Time) -> String {
        let zoned = |time: Time| {
            Timestamp::try_from(time.0).map(|timestamp| timestamp.to_zoned(self.zone.clone())).ok()
        };
        match (zoned(time), zoned(self.now)) {
            (Some(then), Some(now)) if then.date() == now.date() => then.strftime("%H:%M:%S").to_string(),
            (Some(then), _) => then.strftime("%Y-%m-%d %H:%M:%S").to_string(),
            (None, _) => "-".to_owned(),
        }
    }

    /// The time between `time` and now.
    pub(crate) fn age(&self, time: Time) -> Seconds {
        Seconds(time.before(self.now))
    }
}

/// The date of a point in time of a certificate, in UTC: `2026-11-01`.
pub(crate) fn date(time: &Asn1TimeRef) -> String {
    let since_epoch = Asn1Time::from_unix(0).and_then(|epoch| epoch.diff(time));
    let days = since_epoch.map_or(0, |diff| u64::try_from(diff.days).unwrap_or(0));
    let day = UNIX_EPOCH + Duration::from_secs(days * 24 * 60 * 60);
    humantime::format_rfc3339_seconds(day).to_string().chars().take("2026-11-01".len()).collect()
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn times_are_in_the_zone_of_the_clock() {
        // 2026-11-22 12:00:00 UTC.
        let now = Time(SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_348_800));
        let before = |seconds| Time(now.0 - Duration::from_secs(seconds));
        let clock = Clock { now, zone: TimeZone::fixed(jiff::tz::offset(2)) };
        assert_eq!(clock.time_with_age(before(34)), "13:59:26 (34 s ago)");
        assert_eq!(clock.time_with_age(before(3 * 86_400)), "2026-11-19 14:00:00 (3 days ago)");
    }

    #[test]
    fn a_date_is_a_day_in_utc() {
        assert_eq!(date(&Asn1Time::from_unix(1_795_348_800).unwrap()), "2026-11-22");
    }
}
