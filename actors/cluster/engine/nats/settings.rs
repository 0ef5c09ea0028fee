//! Compares the settings of a table that exists with those that a node gives it.

use crate::engine::examination::Setting;
use async_nats::jetstream::stream::Config;

/// A setting of a table that differs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) setting: Setting,
    pub(super) found: String,
    pub(super) wanted: String,
}

/// The settings with which the table refuses records of nodes, loses them, or keeps more than the last one of a key.
pub(super) fn differences(found: &Config, wanted: &Config) -> Vec<Difference> {
    // The broker has -1 or 0 where there is no limit.
    let limit = |value: i64| if value > 0 { value.to_string() } else { NONE.to_owned() };
    let age = |config: &Config| limit(i64::try_from(config.max_age.as_nanos()).unwrap_or(i64::MAX));
    let of = |config: &Config| {
        [
            (Setting::Subjects, config.subjects.join(", ")),
            (Setting::RecordSize, limit(config.max_message_size.into())),
            (Setting::History, limit(config.max_messages_per_subject)),
            (Setting::Age, age(config)),
            (Setting::Records, limit(config.max_messages)),
            (Setting::Bytes, limit(config.max_bytes)),
        ]
    };
    let permits_more = found.max_message_size <= 0 || found.max_message_size >= wanted.max_message_size;
    let pairs = of(found).into_iter().zip(of(wanted));
    let differing = pairs.filter(|((setting, found), (_, wanted))| {
        found != wanted && !(*setting == Setting::RecordSize && permits_more)
    });
    differing.map(|((setting, found), (_, wanted))| Difference { setting, found, wanted }).collect()
}

const NONE: &str = "unlimited";

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn wanted() -> Config {
        Config {
            subjects: vec!["a.>".to_owned()],
            max_message_size: 100,
            max_messages_per_subject: 1,
            ..Config::default()
        }
    }

    #[test]
    fn each_setting_that_refuses_or_loses_records_is_found() {
        let with = |change: fn(&mut Config)| {
            let mut config = wanted();
            change(&mut config);
            let found = differences(&config, &wanted());
            found.into_iter().map(|it| (it.setting, it.found)).collect::<Vec<_>>()
        };
        let one = |setting, found: &str| vec![(setting, found.to_owned())];
        assert_eq!(with(|it| it.subjects = vec!["b.>".to_owned()]), one(Setting::Subjects, "b.>"));
        assert_eq!(with(|it| it.max_message_size = 64), one(Setting::RecordSize, "64"));
        assert_eq!(with(|it| it.max_messages_per_subject = -1), one(Setting::History, NONE));
        assert_eq!(with(|it| it.max_age = Duration::from_micros(1)), one(Setting::Age, "1000"));
        assert_eq!(with(|it| it.max_messages = 5), one(Setting::Records, "5"));
        assert_eq!(with(|it| it.max_bytes = 5), one(Setting::Bytes, "5"));
    }

    #[test]
    fn no_limit_has_two_forms_and_longer_records_do_no_harm() {
        let found = Config { max_messages: -1, max_bytes: -1, max_message_size: -1, ..wanted() };
        assert_eq!(differences(&found, &wanted()), []);
        assert_eq!(differences(&Config { max_message_size: 200, ..wanted() }, &wanted()), []);
    }
}
