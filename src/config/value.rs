//! Single values: text in, or a sentence that says what is wrong with it.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use actors::settings::HostPort;
use xmpp::{Domain, policy::Pattern};

/// A length of time: `"30s"`, `"1h 30min"`, `"250ms"`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text)
        .map_err(|_| format!("\"{text}\" is not a length of time such as \"30s\", \"10m\" or \"1h\""))?;
    if duration > LONGEST { Err("is longer than a hundred years".to_owned()) } else { Ok(duration) }
}

/// A length of time that is not zero.
pub(crate) fn some_duration(text: &str) -> Result<Duration, String> {
    let duration = duration(text)?;
    if duration.is_zero() { Err("must be greater than zero".to_owned()) } else { Ok(duration) }
}

/// A number of bytes: a whole number and a unit (`B`, `KB`, `MB`, `GB` count in thousands, `KiB`, `MiB`, `GiB` in 1024),
/// in any case, with or without a space between.
pub(crate) fn size(text: &str) -> Result<usize, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim().to_ascii_lowercase();
    let factor = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor);
    match (number.parse::<usize>(), factor) {
        (Ok(0), Some(_)) => Err("must be greater than zero".to_owned()),
        (Ok(number), Some(factor)) => number
            .checked_mul(factor)
            .ok_or_else(|| format!("\"{text}\" is more than this machine can count")),
        _ => Err(format!("\"{text}\" is not a size with its unit, such as \"256 KiB\" or \"4 MiB\"")),
    }
}

/// Bytes a second, or `"unlimited"`.
pub(crate) fn rate(text: &str) -> Result<Option<usize>, String> {
    if text == "unlimited" { Ok(None) } else { size(text).map(Some) }
}

/// An address to listen on.
pub(crate) fn listen(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        format!("\"{text}\" is not an IP address and a port, such as \"0.0.0.0:5269\" or \"[::]:5269\"")
    })
}

/// A name server; its port is 53 unless given.
pub(crate) fn nameserver(text: &str) -> Result<SocketAddr, String> {
    let with_port = text.parse().ok();
    with_port.or_else(|| Some(SocketAddr::new(text.parse::<IpAddr>().ok()?, DNS_PORT))).ok_or_else(|| {
        format!(
            "\"{text}\" is not the IP address of a name server, such as \"9.9.9.9\" or \"127.0.0.1:5353\""
        )
    })
}

/// A host, by name or address, and a port.
pub(crate) fn host_port(text: &str) -> Result<HostPort, String> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(HostPort { host: address.ip().to_string(), port: address.port() });
    }
    let wrong = || {
        format!("\"{text}\" is not a host and a port, such as \"127.0.0.2:5269\" or \"xmpp.b.example:5269\"")
    };
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(wrong)?;
    // Colons are left only in an IPv6 address without brackets, whose last group would pass for a port.
    if host.contains([':', '[', ']']) {
        return Err(wrong());
    }
    Ok(HostPort { host: domain(host).map_err(|_| wrong())?.to_string(), port })
}

/// A domain name in any spelling.
pub(crate) fn domain(text: &str) -> Result<Domain, String> {
    Domain::new(text).map_err(|why| not_a_domain(text, &why.to_string()))
}

/// `*`, `*.example.net` or one domain.
pub(crate) fn pattern(text: &str) -> Result<Pattern, String> {
    Pattern::parse(text).map_err(|why| match only_domain(text) {
        Some(_) => not_a_domain(text, &why.to_string()),
        None => format!("\"{text}\" is neither \"*\", nor \"*.example.net\", nor a domain name: {why}"),
    })
}

/// Says why a text is not a domain, and which domain it contains.
fn not_a_domain(text: &str, why: &str) -> String {
    let kind = if text.contains("://") {
        "a URL"
    } else if text.contains(['@', '/']) {
        "an address"
    } else {
        "a domain with a port"
    };
    match only_domain(text) {
        Some(domain) => format!("\"{text}\" is {kind}; give the domain only: \"{domain}\""),
        None => format!("\"{text}\" is not a domain name: {why}"),
    }
}

/// The domain in an address, a URL, or in front of a port.
fn only_domain(text: &str) -> Option<Domain> {
    let after_scheme = text.split_once("://").map_or(text, |(_, rest)| rest);
    let bare = after_scheme.split('/').next()?;
    let bare = bare.rsplit_once('@').map_or(bare, |(_, domain)| domain);
    let bare = match bare.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() => host,
        _ => bare,
    };
    Domain::new(bare).ok().filter(|_| bare != text)
}

/// An address of a person or a page, as a URI.
pub(crate) fn uri(text: &str) -> Result<String, String> {
    let scheme = text.split_once(':').map(|(scheme, _)| scheme).unwrap_or_default();
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    if is_scheme && !text.contains(char::is_whitespace) {
        return Ok(text.to_owned());
    }
    Err(format!("\"{text}\" is not a URI such as \"mailto:abuse@example.org\" or \"xmpp:admin@example.org\""))
}

/// The value of one of a few words.
pub(crate) fn one_of<T: Copy>(words: &[(&str, T)]) -> impl Fn(&str) -> Result<T, String> {
    move |text| {
        let found = words.iter().find(|(word, _)| *word == text);
        found.map(|(_, value)| *value).ok_or_else(|| {
            let words: Vec<String> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
            format!("\"{text}\" is not one of {}", words.join(", "))
        })
    }
}

/// The first thing that stands in `list` twice.
pub(crate) fn repeated<T: PartialEq>(list: &[T]) -> Option<&T> {
    list.iter().enumerate().find(|(at, item)| list[..*at].contains(item)).map(|(_, item)| item)
}

/// What is longer stands for never, and added to a point in time could leave what a clock can tell.
const LONGEST: Duration = Duration::from_secs(100 * 366 * 24 * 60 * 60);

/// In lower case; the unit has to be said, so that no one has to know which one is meant.
const UNITS: [(&str, usize); 7] = [
    ("b", 1),
    ("kb", 1000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
];

/// RFC 1035 section 4.2.
const DNS_PORT: u16 = 53;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_say_their_unit() {
        assert_eq!(size("256 KiB"), Ok(262_144));
        assert_eq!(size("4MiB"), Ok(4 << 20));
        assert_eq!(size("10 kb"), Ok(10_000));
        assert_eq!(size("1 GiB"), Ok(1 << 30));
        assert_eq!(size("512 B"), Ok(512));
        for wrong in [
            "",
            "12",
            "KiB",
            "-1 KiB",
            "1.5 MiB",
            "1 KiB of",
            "0 B",
            "99999999999999999999 B",
            "99999999999 GiB",
        ] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn durations_read_as_people_write_them() {
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("1h 30min"), Ok(Duration::from_secs(5400)));
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        assert!(some_duration("0s").is_err());
        assert!(duration("soon").is_err());
        assert!(duration("101y").is_err());
        assert!(duration("-1s").is_err());
    }

    #[test]
    fn hosts_have_a_port() {
        let read = |host: &str, port| Ok(HostPort { host: host.to_owned(), port });
        assert_eq!(host_port("127.0.0.2:5269"), read("127.0.0.2", 5269));
        assert_eq!(host_port("[2001:db8::1]:5270"), read("2001:db8::1", 5270));
        assert_eq!(host_port("xmpp.b.example:5269"), read("xmpp.b.example", 5269));
        for wrong in ["b.example", "b.example:0", "b.example:x", ":5269", "2001:db8::1", "[::1]", "a b:1"] {
            assert!(host_port(wrong).is_err(), "{wrong}");
        }
    }
}
