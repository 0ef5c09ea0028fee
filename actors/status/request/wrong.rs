//! Reads a request, and says what is wrong with one that cannot be understood.

use std::{fmt, net::SocketAddr};

use serde::Deserialize as _;
use serde_json::Value;

use super::{Order, Request};

/// A fault of a request. `Display` names it, says what was expected, and gives an example.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WrongRequest {
    /// There is nothing but white space.
    Empty,
    /// It is not UTF-8 at this byte; the first one has the number 1.
    NotUtf8(usize),
    /// It is not JSON at this byte.
    NotJson(usize),
    /// It ends before its JSON does.
    Incomplete,
    /// Objects or lists are nested.
    Nested,
    /// It is this, and not an object.
    NotAnObject(String),
    /// It has no `ask`.
    NoCommand,
    /// `ask` is this, and not the name of a command.
    UnknownCommand(String),
    /// The command has no such field.
    UnknownField {
        /// The command.
        command: &'static Command,
        /// The field.
        field: String,
    },
    /// A field is missing.
    MissingField {
        /// The command.
        command: &'static Command,
        /// The field.
        field: &'static Field,
    },
    /// A field has a value that it cannot have.
    WrongValue {
        /// The command.
        command: &'static Command,
        /// The field.
        field: &'static Field,
        /// The value.
        value: String,
    },
}

/// A command, as it is written.
#[derive(Debug, PartialEq, Eq)]
pub struct Command {
    name: &'static str,
    fields: &'static [Field],
    example: &'static str,
}

/// A field of a command.
#[derive(Debug, PartialEq, Eq)]
pub struct Field {
    name: &'static str,
    kind: Kind,
    is_required: bool,
}

/// The values of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Domain,
    Limit,
    Address,
    Order,
    Flag,
}

const fn required(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, is_required: true }
}

const fn optional(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, is_required: false }
}

const THIS_NODE: Field = optional("this_node", Kind::Flag);

const LIST: &[Field] = &[optional("domain", Kind::Domain), optional("limit", Kind::Limit), THIS_NODE];

const SESSIONS: &[Field] = &[
    optional("domain", Kind::Domain),
    optional("limit", Kind::Limit),
    optional("order", Kind::Order),
    THIS_NODE,
];

const DOMAIN: &[Field] = &[required("domain", Kind::Domain), THIS_NODE];

static KNOWN: [Command; 9] = [
    Command { name: "explain", fields: DOMAIN, example: r#"{"ask":"explain","domain":"b.example"}"# },
    Command { name: "sessions", fields: SESSIONS, example: r#"{"ask":"sessions","limit":100}"# },
    Command { name: "queues", fields: LIST, example: r#"{"ask":"queues","limit":100}"# },
    Command {
        name: "components",
        fields: &[optional("name", Kind::Domain), THIS_NODE],
        example: r#"{"ask":"components","name":"echo.example.org"}"#,
    },
    Command { name: "nodes", fields: &[], example: r#"{"ask":"nodes"}"# },
    Command { name: "mailboxes", fields: &[], example: r#"{"ask":"mailboxes"}"# },
    Command { name: "retry", fields: DOMAIN, example: r#"{"ask":"retry","domain":"b.example"}"# },
    Command {
        name: "expect-probe",
        fields: &[required("address", Kind::Address)],
        example: r#"{"ask":"expect-probe","address":"192.0.2.1:40000"}"#,
    },
    Command { name: "close", fields: DOMAIN, example: r#"{"ask":"close","domain":"b.example"}"# },
];

impl Kind {
    fn admits(self, value: &Value) -> bool {
        match self {
            Self::Domain => value.is_string(),
            Self::Limit => value.as_u64().is_some_and(|limit| usize::try_from(limit).is_ok()),
            Self::Address => value.as_str().is_some_and(|text| text.parse::<SocketAddr>().is_ok()),
            Self::Order => Order::deserialize(value).is_ok(),
            Self::Flag => value.is_boolean(),
        }
    }

    fn describe(self) -> &'static str {
        match self {
            Self::Domain => "a string with a domain",
            Self::Limit => "a whole number from 0 on",
            Self::Address => "a string with an IP address and a port",
            Self::Order => r#""domain" or "recent""#,
            Self::Flag => "true or false",
        }
    }
}

impl Field {
    fn admits(&self, value: &Value) -> bool {
        self.kind.admits(value) || value.is_null() && !self.is_required && self.kind == Kind::Domain
    }
}

impl Request {
    /// Reads a line of JSON without its line break.
    ///
    /// # Errors
    /// It is not a request.
    pub fn parse(line: &[u8]) -> Result<Self, WrongRequest> {
        let text =
            std::str::from_utf8(line).map_err(|error| WrongRequest::NotUtf8(error.valid_up_to() + 1))?;
        if text.trim().is_empty() {
            return Err(WrongRequest::Empty);
        }
        if is_nested(text) {
            return Err(WrongRequest::Nested);
        }
        let read: Value = serde_json::from_str(text).map_err(|error| match error.is_eof() {
            true => WrongRequest::Incomplete,
            false => WrongRequest::NotJson(error.column()),
        })?;
        let Value::Object(fields) = &read else { return Err(WrongRequest::NotAnObject(shown(&read))) };
        let asked = fields.get("ask").ok_or(WrongRequest::NoCommand)?;
        let known = KNOWN.iter().find(|command| asked.as_str() == Some(command.name));
        let command = known.ok_or_else(|| WrongRequest::UnknownCommand(shown(asked)))?;
        for (name, value) in fields.iter().filter(|(name, _)| *name != "ask") {
            let field = command.fields.iter().find(|field| field.name == name);
            let field =
                field.ok_or_else(|| WrongRequest::UnknownField { command, field: truncated(name) })?;
            if !field.admits(value) {
                return Err(WrongRequest::WrongValue { command, field, value: shown(value) });
            }
        }
        let missing = |field: &&Field| field.is_required && !fields.contains_key(field.name);
        match command.fields.iter().find(missing) {
            Some(field) => Err(WrongRequest::MissingField { command, field }),
            // Not an error: all fields are known and have a value that they can have.
            None => serde_json::from_value(read).map_err(|_| WrongRequest::NotJson(1)),
        }
    }
}

/// Whether objects or lists are inside of others so deep that no request can be meant. It says so before the parser
/// reaches its own limit.
fn is_nested(text: &str) -> bool {
    let (mut depth, mut is_quoted, mut is_escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            b'{' | b'[' if !is_quoted => depth += 1,
            b'}' | b']' if !is_quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > NESTING {
            return true;
        }
    }
    false
}

/// A value as JSON, truncated.
fn shown(value: &Value) -> String {
    truncated(&value.to_string())
}

fn truncated(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// `"explain", "sessions", …`
fn names(names: impl Iterator<Item = &'static str>) -> String {
    names.map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for WrongRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let commands = || names(KNOWN.iter().map(|command| command.name));
        match self {
            Self::Empty => f.write_str("the request is empty")?,
            Self::NotUtf8(byte) => write!(f, "the request is not UTF-8 at byte {byte}")?,
            Self::NotJson(byte) => write!(f, "the request is not JSON at byte {byte}")?,
            Self::Incomplete => f.write_str("the line ends before the JSON of the request does")?,
            Self::Nested => {
                f.write_str("the request is nested too deep: no field has an object or a list")?;
            }
            Self::NotAnObject(value) => write!(f, "the request is {value}, and not an object")?,
            Self::NoCommand => {
                write!(f, "the request has no field \"ask\", which names the command: {}", commands())?;
            }
            Self::UnknownCommand(value) => {
                write!(f, "\"ask\" is {value}, which is none of the commands {}", commands())?;
            }
            Self::UnknownField { command, field } => {
                let fields = names(command.fields.iter().map(|field| field.name));
                let fields = if fields.is_empty() { "none" } else { &fields };
                write!(f, "\"{field}\" is not a field of \"{}\", which has {fields}", command.name)?;
            }
            Self::MissingField { command, field } => {
                let (field, expected) = (field.name, field.kind.describe());
                write!(f, "\"{}\" needs the field \"{field}\": {expected}", command.name)?;
            }
            Self::WrongValue { field, value, .. } => {
                write!(f, "\"{}\" is {value}: it has to be {}", field.name, field.kind.describe())?;
            }
        }
        let example = match self {
            Self::UnknownField { command, .. }
            | Self::MissingField { command, .. }
            | Self::WrongValue { command, .. } => command.example,
            _ => EXAMPLE,
        };
        write!(f, "; a request is one line, for example {example}")
    }
}

impl std::error::Error for WrongRequest {}

const EXAMPLE: &str = r#"{"ask":"explain","domain":"b.example"}"#;

/// A request has one object. A few more levels are read, so that the field with the wrong value can be named.
const NESTING: usize = 8;

/// Characters of a wrong value in the error: enough to find it.
const SHOWN: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::DEFAULT_LIMIT;

    fn why(line: &str) -> String {
        Request::parse(line.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn every_request_is_read_as_it_is_written() {
        let domain = || "b.example".to_owned();
        let requests = [
            Request::Explain { domain: domain(), this_node: false },
            Request::Sessions { domain: None, limit: DEFAULT_LIMIT, order: Order::Domain, this_node: false },
            Request::Sessions { domain: Some(domain()), limit: 5, order: Order::Recent, this_node: true },
            Request::Nodes,
            Request::Mailboxes,
            Request::Queues { domain: Some(domain()), limit: 0, this_node: false },
            Request::Components { name: None, this_node: true },
            Request::Components { name: Some(domain()), this_node: false },
            Request::Retry { domain: domain(), this_node: true },
            Request::ExpectProbe { address: "[2001:db8::1]:5269".parse().unwrap() },
            Request::Close { domain: domain(), this_node: false },
        ];
        for request in requests {
            assert_eq!(Request::parse(request.line().trim_end().as_bytes()), Ok(request));
        }
        for command in &KNOWN {
            assert!(Request::parse(command.example.as_bytes()).is_ok(), "{}", command.example);
        }
        let all =
            Request::Sessions { domain: None, limit: DEFAULT_LIMIT, order: Order::Domain, this_node: false };
        assert_eq!(Request::parse(br#" {"ask":"sessions","domain":null} "#), Ok(all));
    }

    #[test]
    fn a_wrong_request_is_answered_with_the_field_the_expectation_and_an_example() {
        let example = format!("; a request is one line, for example {EXAMPLE}");
        let commands = r#""explain", "sessions", "queues", "components", "nodes", "mailboxes", "retry", "expect-probe", "close""#;
        for (line, answer) in [
            ("", "the request is empty"),
            (" \r", "the request is empty"),
            ("null", "the request is null, and not an object"),
            ("5", "the request is 5, and not an object"),
            ("[]", "the request is [], and not an object"),
            ("GET / HTTP/1.1", "the request is not JSON at byte 1"),
            (r#"{"ask":"sessions",}"#, "the request is not JSON at byte 19"),
            (r#"{"ask":"sessions"} {}"#, "the request is not JSON at byte 20"),
            (r#"{"ask":"#, "the line ends before the JSON of the request does"),
            ("{", "the line ends before the JSON of the request does"),
        ] {
            assert_eq!(why(line), format!("{answer}{example}"), "{line}");
        }
        assert_eq!(
            why("{}"),
            format!(r#"the request has no field "ask", which names the command: {commands}{example}"#)
        );
        for value in ["\"dance\"", "5", "null", "[\"sessions\"]"] {
            let answer = format!(r#""ask" is {value}, which is none of the commands {commands}{example}"#);
            assert_eq!(why(&format!(r#"{{"ask":{value}}}"#)), answer);
        }
    }

    #[test]
    fn a_wrong_field_is_named_with_the_command_that_was_meant() {
        for (line, answer) in [
            (
                r#"{"ask":"retry"}"#,
                r#""retry" needs the field "domain": a string with a domain; a request is one line, for example {"ask":"retry","domain":"b.example"}"#,
            ),
            (
                r#"{"ask":"retry","domain":null}"#,
                r#""domain" is null: it has to be a string with a domain; a request is one line, for example {"ask":"retry","domain":"b.example"}"#,
            ),
            (
                r#"{"ask":"sessions","limit":-1}"#,
                r#""limit" is -1: it has to be a whole number from 0 on; a request is one line, for example {"ask":"sessions","limit":100}"#,
            ),
            (
                r#"{"ask":"queues","max":5}"#,
                r#""max" is not a field of "queues", which has "domain", "limit", "this_node"; a request is one line, for example {"ask":"queues","limit":100}"#,
            ),
            (
                r#"{"ask":"mailboxes","limit":5}"#,
                r#""limit" is not a field of "mailboxes", which has none; a request is one line, for example {"ask":"mailboxes"}"#,
            ),
            (
                r#"{"ask":"sessions","order":"size"}"#,
                r#""order" is "size": it has to be "domain" or "recent"; a request is one line, for example {"ask":"sessions","limit":100}"#,
            ),
            (
                r#"{"ask":"expect-probe","address":"b.example"}"#,
                r#""address" is "b.example": it has to be a string with an IP address and a port; a request is one line, for example {"ask":"expect-probe","address":"192.0.2.1:40000"}"#,
            ),
        ] {
            assert_eq!(why(line), answer);
        }
        for limit in ["null", "\"5\"", "1.5", "1e3", "true", "[]", "{}", "18446744073709551616"] {
            let answer = why(&format!(r#"{{"ask":"sessions","limit":{limit}}}"#));
            assert!(answer.starts_with("\"limit\" is "), "{answer}");
        }
    }

    #[test]
    fn what_is_no_text_or_too_deep_or_too_long_is_not_repeated() {
        let not_text = Request::parse(b"{\"ask\":\"\xff\"}").unwrap_err();
        assert_eq!(not_text, WrongRequest::NotUtf8(9));
        for line in ["[".repeat(4000), format!(r#"{{"ask":{}"#, "{\"a\":".repeat(500))] {
            assert!(why(&line).starts_with("the request is nested too deep"), "{line}");
        }
        let brackets = format!(r#"{{"ask":"explain","domain":"\"{}"}}"#, "[".repeat(100));
        assert!(Request::parse(brackets.as_bytes()).is_ok(), "brackets in a string are text");
        let long = why(&format!(r#"{{"ask":"{}"}}"#, "ö".repeat(2000)));
        assert!(long.chars().count() < 400, "{long}");
    }
}
