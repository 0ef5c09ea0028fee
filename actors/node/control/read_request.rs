//! Reads from a client of the control socket: one request, and the rest, which is dropped.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};

use status::request::Request;

/// Reads one request. It ends with a line break or when the client closes its side.
///
/// # Errors
///
/// The request is too long, not a request, or cannot be read.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Request, String> {
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
    Request::parse(line).map_err(|wrong| wrong.to_string())
}

/// Reads and drops what follows the request, until the client closes its side. A connection that is closed with unread
/// bytes is reset, and its client may lose the answer, or cannot even read it because it still writes.
pub(super) async fn discard(stream: &mut (impl AsyncRead + Unpin)) {
    let rest = async {
        let mut bytes = vec![0; 8 * 1024];
        let mut left = DISCARDED;
        while left > 0 {
            match stream.read(&mut bytes).await {
                Ok(0) | Err(_) => return,
                Ok(length) => left = left.saturating_sub(length),
            }
        }
    };
    // A client that goes on for longer has no use for an answer.
    let _ = tokio::time::timeout(DISCARD_WITHIN, rest).await;
}

/// The longest request in bytes. A domain has at most 1023.
const LONGEST: usize = 4096;

/// Bytes behind a request that are read and dropped.
const DISCARDED: usize = 16 * 1024 * 1024;

/// The time limit for this.
const DISCARD_WITHIN: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;
    use status::request::{DEFAULT_LIMIT, Order};

    async fn read_from(mut bytes: &[u8]) -> Result<Request, String> {
        read(&mut bytes).await
    }

    #[actix::test]
    async fn reads_what_a_client_writes() {
        let explain = Request::Explain { domain: "b.example".to_owned(), this_node: false };
        assert_eq!(explain.line(), "{\"ask\":\"explain\",\"domain\":\"b.example\"}\n");
        assert_eq!(read_from(explain.line().as_bytes()).await, Ok(explain));
        let sessions =
            Request::Sessions { domain: None, limit: DEFAULT_LIMIT, order: Order::Domain, this_node: false };
        assert_eq!(
            read_from(b"{\"ask\":\"sessions\"}").await,
            Ok(sessions),
            "the end of the input ends the request too"
        );
    }

    #[actix::test]
    async fn refuses_anything_else_with_a_reason() {
        let long = "x".repeat(LONGEST + 1);
        for (bytes, why) in [
            ("", "is empty"),
            ("GET / HTTP/1.1\r\n", "is not JSON"),
            ("{\"ask\":\"dance\"}\n", "none of the commands"),
            ("{\"ask\":\"retry\"}\n", "needs the field"),
            (long.as_str(), "longer than"),
        ] {
            let refused = read_from(bytes.as_bytes()).await.unwrap_err();
            assert!(refused.contains(why), "{refused}");
        }
        assert!(read_from(b"\xff\xfe\n").await.is_err());
    }

    #[actix::test]
    async fn the_first_of_many_lines_is_the_request() {
        let lines = "{\"ask\":\"sessions\"}\n".to_owned() + &"{\"ask\":\"dance\"}\n".repeat(1000);
        let sessions =
            Request::Sessions { domain: None, limit: DEFAULT_LIMIT, order: Order::Domain, this_node: false };
        assert_eq!(read_from(lines.as_bytes()).await, Ok(sessions));
    }

    #[actix::test]
    async fn a_limited_amount_is_discarded() {
        tokio::time::pause();
        let began = tokio::time::Instant::now();
        discard(&mut tokio::io::repeat(b'x')).await;
        let (mut near, _far) = tokio::io::duplex(64);
        discard(&mut near).await;
        let took = began.elapsed();
        assert!(
            took >= DISCARD_WITHIN && took < 2 * DISCARD_WITHIN,
            "only the silent client is waited for: {took:?}"
        );
    }
}
