//! What can be asked on the control socket: one line of JSON.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt};

/// One command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// Why does federation with a domain work, or not?
    Explain {
        /// The remote domain.
        domain: String,
    },
    /// Which links are there?
    Sessions {
        /// Only with this domain.
        #[serde(default)]
        domain: Option<String>,
        /// At most so many.
        #[serde(default = "limit")]
        limit: usize,
    },
    /// What waits for a link?
    Queues {
        /// Only for this domain.
        #[serde(default)]
        domain: Option<String>,
        /// At most so many.
        #[serde(default = "limit")]
        limit: usize,
    },
    /// How are the configured components?
    Components {
        /// Only this one.
        #[serde(default)]
        name: Option<String>,
    },
    /// End the pause of a domain.
    Retry {
        /// The remote domain.
        domain: String,
    },
    /// Keep no record of a connection: `nuncio probe` announces its own ones.
    ExpectProbe {
        /// Its end of the connection.
        address: SocketAddr,
    },
    /// Close the links with a domain, or the connection of a component.
    Close {
        /// The remote domain, or the component's name.
        domain: String,
    },
}

impl Request {
    /// Reads one request, which ends with a line break or with the client's side of the connection.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Self, String> {
        let mut line = Vec::new();
        let mut bytes = [0; 512];
        while !line.contains(&b'\n') && line.len() <= LONGEST {
            match stream.read(&mut bytes).await {
                Ok(0) => break,
                Ok(length) => line.extend(bytes.iter().take(length)),
                Err(error) => return Err(format!("the request cannot be read: {error}")),
            }
        }
        let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
        if line.len() > LONGEST {
            return Err(format!("the request is longer than {LONGEST} bytes"));
        }
        serde_json::from_slice(line).map_err(|error| format!("the request cannot be understood: {error}"))
    }

    /// The line that asks it.
    pub fn line(&self) -> String {
        // Strings and numbers can always be written.
        serde_json::to_string(self).unwrap_or_default() + "\n"
    }
}

fn limit() -> usize {
    DEFAULT_LIMIT
}

/// Lines of an answer when nothing else is wanted: more than a screen, fewer than anybody minds.
pub const DEFAULT_LIMIT: usize = 100;

/// Lines of an answer at most, whatever is wanted: some megabytes.
pub const MOST: usize = 10_000;

/// Bytes of a request: a domain is 1023 at most.
const LONGEST: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(mut bytes: &[u8]) -> Result<Request, String> {
        Request::read(&mut bytes).await
    }

    #[actix::test]
    async fn a_request_is_understood_as_it_was_written() {
        let explain = Request::Explain { domain: "b.example".to_owned() };
        assert_eq!(explain.line(), "{\"ask\":\"explain\",\"domain\":\"b.example\"}\n");
        assert_eq!(read(explain.line().as_bytes()).await, Ok(explain));
        let sessions = Request::Sessions { domain: None, limit: DEFAULT_LIMIT };
        assert_eq!(
            read(b"{\"ask\":\"sessions\"}").await,
            Ok(sessions),
            "the end of what comes is an end too"
        );
    }

    #[actix::test]
    async fn what_is_no_request_is_refused_with_a_reason() {
        let long = "x".repeat(LONGEST + 1);
        for (bytes, why) in [
            ("", "cannot be understood"),
            ("GET / HTTP/1.1\r\n", "cannot be understood"),
            ("{\"ask\":\"dance\"}\n", "unknown variant"),
            ("{\"ask\":\"retry\"}\n", "missing field"),
            (long.as_str(), "longer than"),
        ] {
            let refused = read(bytes.as_bytes()).await.unwrap_err();
            assert!(refused.contains(why), "{refused}");
        }
        assert!(read(b"\xff\xfe\n").await.is_err());
    }
}
