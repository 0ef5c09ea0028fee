//! Parsers of single values. Their errors are sentences for the operator.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use xmpp::{Domain, policy::Pattern};

use super::source::Source;
use actors::settings::{Address, HostPort, Subnet, UNIX};
use net::unix_socket;

/// A duration: `"30s"`, `"1h 30min"`, `"250ms"`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text)
        .map_err(|_| format!("\"{text}\" is not a duration: expected a number and a unit, for example \"30s\", \"10m\" or \"1h\""))?;
    if duration > MAX_DURATION { Err("must not be longer than 100 years".to_owned()) } else { Ok(duration) }
}

/// A duration that is not zero.
pub(crate) fn some_duration(text: &str) -> Result<Duration, String> {
    let duration = duration(text)?;
    if duration.is_zero() { Err("must be greater than zero".to_owned()) } else { Ok(duration) }
}

/// A size in bytes: an integer and a unit (`B`; `KB`, `MB`, `GB`: powers of 1000; `KiB`, `MiB`, `GiB`: powers
/// of 1024), in any case, with or without a space between them.
pub(crate) fn size(text: &str) -> Result<usize, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim().to_ascii_lowercase();
    let factor = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor);
    match (number.parse::<usize>(), factor) {
        (Ok(0), Some(_)) => Err("must be greater than zero".to_owned()),
        (Ok(number), Some(factor)) => {
            number.checked_mul(factor).ok_or_else(|| format!("\"{text}\" is too large for this machine"))
        }
        _ => Err(format!(
            "\"{text}\" is not a size: expected a number and a unit, for example \"256 KiB\" or \"4 MiB\""
        )),
    }
}

/// A rate in bytes per second; `None` for `"unlimited"`.
pub(crate) fn rate(text: &str) -> Result<Option<usize>, String> {
    if text == "unlimited" { Ok(None) } else { size(text).map(Some) }
}

/// An address to listen on.
pub(crate) fn listen(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        format!("\"{text}\" is not an IP address with a port, for example \"0.0.0.0:5269\" or \"[::]:5269\"")
    })
}

/// An address to listen on for components: an IP address with a port, or `unix:` and a path. A relative path starts at the
/// directory of the file.
pub(crate) fn component(source: &Source, text: &str) -> Result<Address, String> {
    let Some(path) = text.strip_prefix(UNIX) else {
        return listen(text).map(Address::Tcp).map_err(|_| {
            format!(
                "\"{text}\" is not an IP address with a port, for example \"127.0.0.1:5347\", and not \"{UNIX}\" with a \
                 path, for example \"{UNIX}/run/nuncio/component.sock\""
            )
        });
    };
    if path.is_empty() {
        return Err(format!(
            "\"{UNIX}\" has to be followed by a path, for example \"{UNIX}/run/nuncio/component.sock\""
        ));
    }
    let path = source.path(path);
    if !unix_socket::fits(&path) {
        return Err(format!("{}: {}", path.display(), unix_socket::Error::TooLong));
    }
    Ok(Address::from(path.as_path()))
}

/// An IP address, or a network in CIDR notation.
pub(crate) fn subnet(text: &str) -> Result<Subnet, String> {
    text.parse().map_err(|error| format!("\"{text}\": {error}"))
}

/// The permissions of a Unix socket, in octal digits.
pub(crate) fn mode(text: &str) -> Result<u32, String> {
    let is_octal = (3..=4).contains(&text.len()) && text.bytes().all(|digit| matches!(digit, b'0'..=b'7'));
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| is_octal && *mode <= 0o777);
    let mode = mode.ok_or_else(|| {
        format!(
            "\"{text}\" is not a file mode: expected three octal digits, for example \"0660\" or \"0666\""
        )
    })?;
    if mode & 0o222 == 0 {
        return Err(format!(
            "nobody could connect with mode {text}: that needs the permission to write, as in \"0660\""
        ));
    }
    Ok(mode)
}

/// The address of a name server. The default of the port is 53.
pub(crate) fn nameserver(text: &str) -> Result<SocketAddr, String> {
    let with_port = text.parse().ok();
    with_port.or_else(|| Some(SocketAddr::new(text.parse::<IpAddr>().ok()?, DNS_PORT))).ok_or_else(|| {
        format!(
            "\"{text}\" is not the IP address of a name server, for example \"9.9.9.9\" or \"127.0.0.1:5353\""
        )
    })
}

/// The name or address of a host, and a port.
pub(crate) fn host_port(text: &str) -> Result<HostPort, String> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(HostPort { host: address.ip().to_string(), port: address.port() });
    }
    let wrong = || {
        format!(
            "\"{text}\" is not a host with a port, for example \"127.0.0.2:5269\" or \"xmpp.b.example:5269\""
        )
    };
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(wrong)?;
    // More colons mean an IPv6 address without brackets, whose last group is not a port.
    if host.contains([':', '[', ']']) {
        return Err(wrong());
    }
    Ok(HostPort { host: domain(host).map_err(|_| wrong())?.to_string(), port })
}

/// A domain name, which is normalised.
pub(crate) fn domain(text: &str) -> Result<Domain, String> {
    Domain::new(text).map_err(|error| not_a_domain(text, &error.to_string()))
}

/// A domain name, or all domains below one, `*.example.org`, in normal form.
pub(crate) fn served_name(text: &str) -> Result<Domain, String> {
    if text == "*" {
        return Err("\"*\" would be every domain: name the domain above them, \"*.example.org\"".to_owned());
    }
    match text.strip_prefix("*.") {
        Some(parent) => {
            let parent = domain(parent)?;
            parent.wildcard().ok_or_else(|| format!("\"{text}\": there are no domains below an IP address"))
        }
        None => domain(text),
    }
}

/// `*`, `*.example.net` or one domain.
pub(crate) fn pattern(text: &str) -> Result<Pattern, String> {
    Pattern::parse(text).map_err(|error| match contained_domain(text) {
        Some(_) => not_a_domain(text, &error.to_string()),
        None => format!("\"{text}\" is not a domain name, \"*.example.net\" or \"*\": {error}"),
    })
}

/// The reason why a text is not a domain, and the domain that it contains, if any.
fn not_a_domain(text: &str, error: &str) -> String {
    let kind = if text.contains("://") {
        "a URL"
    } else if text.contains(['@', '/']) {
        "an address"
    } else {
        "a domain with a port"
    };
    match contained_domain(text) {
        Some(domain) => format!("\"{text}\" is {kind}: use only its domain, \"{domain}\""),
        None => format!("\"{text}\" is not a domain name: {error}"),
    }
}

/// The domain in an address or a URL, or before a port.
fn contained_domain(text: &str) -> Option<Domain> {
    let after_scheme = text.split_once("://").map_or(text, |(_, rest)| rest);
    let bare = after_scheme.split('/').next()?;
    let bare = bare.rsplit_once('@').map_or(bare, |(_, domain)| domain);
    let bare = match bare.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() => host,
        _ => bare,
    };
    Domain::new(bare).ok().filter(|_| bare != text)
}

/// A URI, for example of a contact address.
pub(crate) fn uri(text: &str) -> Result<String, String> {
    let scheme = text.split_once(':').map(|(scheme, _)| scheme).unwrap_or_default();
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    if is_scheme && !text.contains(char::is_whitespace) {
        return Ok(text.to_owned());
    }
    Err(format!(
        "\"{text}\" is not a URI, for example \"mailto:abuse@example.org\" or \"xmpp:admin@example.org\""
    ))
}

/// The value of a word from a fixed set.
pub(crate) fn one_of<T: Copy>(words: &[(&str, T)]) -> impl Fn(&str) -> Result<T, String> {
    move |text| {
        let found = words.iter().find(|(word, _)| *word == text);
        found.map(|(_, value)| *value).ok_or_else(|| {
            let words: Vec<String> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
            format!("\"{text}\" is not one of {}", words.join(", "))
        })
    }
}

/// The first item that `list` contains twice.
pub(crate) fn repeated<T: PartialEq>(list: &[T]) -> Option<&T> {
    list.iter().enumerate().find(|(at, item)| list[..*at].contains(item)).map(|(_, item)| item)
}

/// The longest duration. A longer one, added to a point in time, could overflow.
const MAX_DURATION: Duration = Duration::from_secs(100 * 366 * 24 * 60 * 60);

/// Units of sizes, in lower case. There is no default unit, so that a size is unambiguous.
const UNITS: [(&str, usize); 7] = [
    ("b", 1),
    ("kb", 1000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
];

/// The port of name servers (RFC 1035 section 4.2).
const DNS_PORT: u16 = 53;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_needs_a_unit() {
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
    fn a_socket_for_components_is_an_address_or_a_path() {
        let source = Source::new("/etc/nuncio/nuncio.toml".as_ref(), "");
        for (text, read) in [
            ("127.0.0.1:5347", "127.0.0.1:5347"),
            ("unix:/run/nuncio/component.sock", "unix:/run/nuncio/component.sock"),
            ("unix:component.sock", "unix:/etc/nuncio/component.sock"),
        ] {
            assert_eq!(component(&source, text).unwrap().to_string(), read);
        }
        for (wrong, why) in [
            ("localhost:5347", "\"unix:/run/nuncio/component.sock\""),
            ("/run/nuncio/component.sock", "\"unix:/run/nuncio/component.sock\""),
            ("unix:", "followed by a path"),
            (&format!("unix:/{}", "x".repeat(107)), "longer than 107 bytes"),
        ] {
            let error = component(&source, wrong).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn a_file_mode_lets_somebody_connect() {
        assert_eq!((mode("0660"), mode("666"), mode("0600")), (Ok(0o660), Ok(0o666), Ok(0o600)));
        for wrong in ["", "660 ", "0o660", "rw-rw----", "1777", "0990", "66", "00660", "+660", "0440", "000"]
        {
            assert!(mode(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_network_has_no_bits_after_its_prefix() {
        assert_eq!(subnet("192.0.2.0/24").map(|network| network.to_string()), Ok("192.0.2.0/24".to_owned()));
        assert!(subnet("192.0.2.1/24").unwrap_err().starts_with("\"192.0.2.1/24\": it has bits"));
        assert!(subnet("component.example").unwrap_err().contains("not an IP address or a network"));
    }

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("1h 30min"), Ok(Duration::from_secs(5400)));
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        assert!(some_duration("0s").is_err());
        assert!(duration("soon").is_err());
        assert!(duration("101y").is_err());
        assert!(duration("-1s").is_err());
    }

    #[test]
    fn a_host_needs_a_port() {
        let read = |host: &str, port| Ok(HostPort { host: host.to_owned(), port });
        assert_eq!(host_port("127.0.0.2:5269"), read("127.0.0.2", 5269));
        assert_eq!(host_port("[2001:db8::1]:5270"), read("2001:db8::1", 5270));
        assert_eq!(host_port("xmpp.b.example:5269"), read("xmpp.b.example", 5269));
        for wrong in ["b.example", "b.example:0", "b.example:x", ":5269", "2001:db8::1", "[::1]", "a b:1"] {
            assert!(host_port(wrong).is_err(), "{wrong}");
        }
    }
}
