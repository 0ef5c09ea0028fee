//! Describes a value of the wrong kind, and the value that is expected in its place.

use toml::de::DeValue;

/// Describes the string that is expected in place of `value`, with an example if `value` is a number without
/// unit.
pub(super) fn string_for(value: &DeValue<'_>, mut is_valid: impl FnMut(&str) -> bool) -> String {
    let example = match value {
        DeValue::Integer(number) if is_valid(&format!("{number} B")) => Some("512 KiB"),
        DeValue::Integer(number) if is_valid(&format!("{number}s")) => Some("30s"),
        // Zero and negative numbers are wrong with a unit too, so any size shows what the key is for.
        DeValue::Integer(_) if is_valid("1 B") => Some("512 KiB"),
        DeValue::Integer(_) | DeValue::Float(_) if is_valid("1s") => Some("30s"),
        DeValue::Float(_) if is_valid("1 B") => Some("512 KiB"),
        _ => None,
    };
    match example {
        Some(example) => format!("a quoted string with a unit, for example \"{example}\""),
        None => "a quoted string".to_owned(),
    }
}

pub(super) fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
