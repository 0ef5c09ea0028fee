//! An operator of the broker with its own tools: writes records of a table, and deletes tables.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};

use super::SOON;

/// A connection to a server of the broker.
pub(crate) struct NatsOperator {
    stream: BufReader<TcpStream>,
}

impl NatsOperator {
    /// Connects to a server that asks nobody for a password.
    #[track_caller]
    pub(crate) fn connect(server: Ipv4Addr) -> Self {
        let stream = TcpStream::connect((server, super::nats::PORT)).expect("the server accepts connections");
        stream.set_read_timeout(Some(SOON)).unwrap();
        let mut operator = Self { stream: BufReader::new(stream) };
        assert!(operator.line().starts_with("INFO "), "the greeting of the server");
        operator.says(&format!("CONNECT {{\"verbose\":false,\"lang\":\"test\"}}\r\nSUB {INBOX} 1\r\n"), b"");
        operator
    }

    /// Writes a record of a table, as `nats kv put` does.
    #[track_caller]
    pub(crate) fn puts(&mut self, table: &str, key: &str, value: &[u8]) {
        let answer = self.asks(&format!("$KV.nuncio_test_{table}.{key}"), value);
        assert!(answer.contains("\"seq\""), "{answer}");
    }

    /// Deletes a table, as `nats stream rm` does.
    #[track_caller]
    pub(crate) fn deletes(&mut self, table: &str) {
        let answer = self.asks(&format!("$JS.API.STREAM.DELETE.KV_nuncio_test_{table}"), b"");
        assert!(answer.contains("\"success\":true"), "{answer}");
    }

    fn asks(&mut self, subject: &str, payload: &[u8]) -> String {
        self.says(&format!("PUB {subject} {INBOX} {}\r\n", payload.len()), &[payload, b"\r\n"].concat());
        loop {
            let line = self.line();
            if line.starts_with("PING") {
                self.says("PONG\r\n", b"");
            } else if let Some(message) = line.strip_prefix("MSG ") {
                let length: usize = message.rsplit(' ').next().unwrap().parse().unwrap();
                let mut answer = vec![0; length + 2];
                self.stream.read_exact(&mut answer).unwrap();
                return String::from_utf8_lossy(&answer[..length]).into_owned();
            } else {
                assert!(!line.starts_with("-ERR"), "{line}");
            }
        }
    }

    fn says(&mut self, line: &str, payload: &[u8]) {
        self.stream.get_mut().write_all(&[line.as_bytes(), payload].concat()).unwrap();
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).expect("the server answers");
        line.trim_end().to_owned()
    }
}

/// Where answers go.
const INBOX: &str = "_INBOX.operator";
