//! Component connections (XEP-0114) of the load generator, with the minimum of parsing.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use crate::support::SECRET;

/// Connects the component `name` to a server and completes the handshake.
pub(crate) fn component(server: Ipv4Addr, name: &str) -> TcpStream {
    let attempt = || -> io::Result<TcpStream> {
        let mut stream = connect(server)?;
        write!(
            stream,
            "<stream:stream xmlns='jabber:component:accept' \
             xmlns:stream='http://etherx.jabber.org/streams' to='{name}'>"
        )?;
        let header = read_until(&mut stream, |text| {
            text.find("<stream:stream").is_some_and(|at| text[at..].contains('>'))
        })?;
        let header = &header[header.find("<stream:stream").unwrap_or_default()..];
        let id = header.split_once(" id=").map_or("", |(_, rest)| rest);
        let id = id.get(1..).and_then(|text| text.split(['\'', '"']).next()).unwrap_or_default();
        let digest = openssl::sha::sha1(format!("{id}{SECRET}").as_bytes());
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        write!(stream, "<handshake>{digest}</handshake>")?;
        read_until(&mut stream, |text| text.contains("<handshake"))?;
        Ok(stream)
    };
    attempt().unwrap_or_else(|error| panic!("{name} cannot connect to {server}: {error}"))
}

/// Connects to the component port without a handshake.
pub(crate) fn connect(server: Ipv4Addr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((server, 5347))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(LONGEST))?;
    Ok(stream)
}

fn read_until(stream: &mut TcpStream, enough: impl Fn(&str) -> bool) -> io::Result<String> {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    while !enough(&text) {
        let length = stream.read(&mut buffer)?;
        if length == 0 || text.contains("<stream:error") {
            return Err(io::Error::other(format!("refused: {text}")));
        }
        text.push_str(&String::from_utf8_lossy(&buffer[..length]));
    }
    Ok(text)
}

/// Timeout for every operation.
pub(crate) const LONGEST: Duration = Duration::from_secs(120);
