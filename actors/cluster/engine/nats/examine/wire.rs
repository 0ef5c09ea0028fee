//! The protocol of NATS, as far as an examination needs it. The library reports refusals some time later; here a ping shows
//! when all of them are here.

use super::super::{Login, connection::CONNECT};
use crate::engine::examination::{Fault, Stage};
use async_nats::ServerAddr;
use serde::Deserialize;
use std::{collections::VecDeque, fmt::Write as _, future::Future, io, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

/// A connection to a server.
pub(super) struct Wire {
    socket: BufReader<TcpStream>,
    /// What is written with the next [`Wire::settle`].
    output: String,
    /// Messages that nobody has taken.
    messages: VecDeque<Message>,
    /// Errors that nobody has taken.
    errors: Vec<String>,
}

/// How a server presents itself.
#[derive(Deserialize)]
pub(super) struct Greeting {
    pub(super) version: String,
    pub(super) max_payload: usize,
    #[serde(default)]
    pub(super) tls_required: bool,
    /// The name of the cluster of servers; `None`: the server is alone.
    pub(super) cluster: Option<String>,
    /// The addresses for clients of all its servers.
    #[serde(default)]
    pub(super) connect_urls: Vec<String>,
}

/// A message to a subject of the examination.
pub(super) struct Message {
    pub(super) subject: String,
    pub(super) payload: Vec<u8>,
}

/// One line of the server.
enum Line {
    Pong,
    Error(String),
    Message(Message),
    /// Nothing that concerns an examination.
    Other,
}

impl Wire {
    /// Connects, and reads how the server presents itself.
    pub(super) async fn connect(server: &ServerAddr) -> Result<(Self, Greeting), Fault> {
        let connecting = TcpStream::connect((server.host(), server.port()));
        let socket = within(Stage::Connection, CONNECT, connecting).await?.map_err(Fault::Unreachable)?;
        let mut wire = Self {
            socket: BufReader::new(socket),
            output: String::new(),
            messages: VecDeque::new(),
            errors: Vec::new(),
        };
        let line = within(Stage::Greeting, CONNECT, wire.line()).await??;
        let greeting = line.strip_prefix("INFO ").and_then(|json| serde_json::from_str(json).ok());
        Ok((wire, greeting.ok_or(Fault::NotNats)?))
    }

    /// Logs in.
    pub(super) async fn log_in(&mut self, login: &Login, name: &str) -> Result<(), Fault> {
        let mut options = serde_json::json!({
            "verbose": false, "pedantic": false, "tls_required": false, "name": name, "lang": "rust",
            "version": env!("CARGO_PKG_VERSION"), "protocol": 1, "headers": true, "no_responders": true,
        });
        match login {
            Login::None => {}
            Login::User(user, password) => {
                options["user"] = user.as_str().into();
                options["pass"] = password.as_str().into();
            }
            Login::Token(token) => options["auth_token"] = token.as_str().into(),
        }
        let _ = write!(self.output, "CONNECT {options}\r\n");
        self.settle(Stage::Login).await?;
        match self.errors.pop() {
            None => Ok(()),
            Some(error) => Err(refusal(error)),
        }
    }

    /// Subscribes. The number is that of the subscription.
    pub(super) fn subscribe(&mut self, subject: &str, number: usize) {
        let _ = write!(self.output, "SUB {subject} {number}\r\n");
    }

    /// Publishes.
    pub(super) fn publish(
        &mut self,
        subject: &str,
        reply: &str,
        header: Option<(&str, &str)>,
        payload: &str,
    ) {
        let headers =
            header.map_or_else(String::new, |(key, value)| format!("NATS/1.0\r\n{key}: {value}\r\n\r\n"));
        let (before, all) = (headers.len(), headers.len() + payload.len());
        let _ = match before {
            0 => write!(self.output, "PUB {subject} {reply} {all}\r\n{payload}\r\n"),
            _ => write!(self.output, "HPUB {subject} {reply} {before} {all}\r\n{headers}{payload}\r\n"),
        };
    }

    /// Writes everything, and waits until the server has read it. The errors that it had then are here.
    pub(super) async fn settle(&mut self, stage: Stage) -> Result<(), Fault> {
        self.output.push_str("PING\r\n");
        let output = std::mem::take(&mut self.output);
        // A server that refuses the login ends the connection; it has said why.
        let written = self.socket.write_all(output.as_bytes()).await;
        let settled = async {
            loop {
                match self.read().await? {
                    Line::Pong => return Ok(()),
                    Line::Error(error) => self.errors.push(error),
                    Line::Message(message) => self.messages.push_back(message),
                    Line::Other => {}
                }
            }
        };
        match within(stage, ANSWER, settled).await? {
            Ok(()) => Ok(()),
            Err(Fault::Unreachable(_)) if !self.errors.is_empty() => Err(refusal(self.errors.remove(0))),
            Err(fault) => Err(written.map_or_else(Fault::Unreachable, |()| fault)),
        }
    }

    /// The errors since they were taken last.
    pub(super) fn take_errors(&mut self) -> Vec<String> {
        std::mem::take(&mut self.errors)
    }

    /// Waits for the message to a subject.
    pub(super) async fn message(&mut self, subject: &str) -> Result<Message, Fault> {
        let arrives = async {
            loop {
                if let Some(at) = self.messages.iter().position(|message| message.subject == subject) {
                    return self.messages.remove(at).ok_or(Fault::NotNats);
                }
                match self.read().await? {
                    Line::Message(message) => self.messages.push_back(message),
                    Line::Error(error) => return Err(refusal(error)),
                    Line::Pong | Line::Other => {}
                }
            }
        };
        within(Stage::Tables, ANSWER, arrives).await?
    }

    async fn read(&mut self) -> Result<Line, Fault> {
        let line = self.line().await?;
        let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
        Ok(match word {
            "PING" => {
                self.socket.write_all(b"PONG\r\n").await.map_err(Fault::Unreachable)?;
                Line::Other
            }
            "PONG" => Line::Pong,
            "-ERR" => Line::Error(rest.trim().trim_matches('\'').to_owned()),
            "MSG" | "HMSG" => Line::Message(self.payload(rest, word == "HMSG").await?),
            _ => Line::Other,
        })
    }

    /// Reads what follows `MSG <subject> <number> [<reply>] <bytes>` and `HMSG … <bytes of headers> <bytes>`.
    async fn payload(&mut self, line: &str, has_headers: bool) -> Result<Message, Fault> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let size = |from_end: usize| -> Option<usize> { words.iter().rev().nth(from_end)?.parse().ok() };
        let headers = if has_headers { size(1) } else { Some(0) };
        let (Some(subject), Some(headers), Some(all)) = (words.first(), headers, size(0)) else {
            return Err(Fault::NotNats);
        };
        if all > LONGEST || headers > all {
            return Err(Fault::NotNats);
        }
        let mut bytes = vec![0; all + "\r\n".len()];
        self.socket.read_exact(&mut bytes).await.map_err(Fault::Unreachable)?;
        bytes.truncate(all);
        Ok(Message { subject: (*subject).to_owned(), payload: bytes.split_off(headers) })
    }

    async fn line(&mut self) -> Result<String, Fault> {
        let mut line = Vec::new();
        let limit = u64::try_from(LONGEST).unwrap_or(u64::MAX);
        let read = (&mut self.socket).take(limit).read_until(b'\n', &mut line).await;
        read.map_err(Fault::Unreachable)?;
        if line.is_empty() {
            return Err(Fault::Unreachable(io::ErrorKind::UnexpectedEof.into()));
        }
        match line.ends_with(b"\n") {
            true => {
                String::from_utf8(line).map(|line| line.trim_end().to_owned()).map_err(|_| Fault::NotNats)
            }
            false => Err(Fault::NotNats),
        }
    }
}

/// The reason for which a server ends the connection.
fn refusal(error: String) -> Fault {
    // The words are those of the protocol: `Authorization Violation`, `Authentication Timeout`.
    if error.starts_with("Authorization") || error.starts_with("Authentication") {
        Fault::Login
    } else {
        Fault::Refused(error)
    }
}

async fn within<T>(stage: Stage, limit: Duration, future: impl Future<Output = T>) -> Result<T, Fault> {
    tokio::time::timeout(limit, future).await.map_err(|_| Fault::Silent(stage))
}

/// An answer of the broker. An election among three servers takes 5 s.
const ANSWER: Duration = Duration::from_secs(6);

/// Bytes of a line or a message: more than the description of a table has.
const LONGEST: usize = 256 << 10;
