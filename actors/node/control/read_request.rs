//! Reads one request from the control socket.

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
    serde_json::from_slice(line).map_err(|error| format!("the request cannot be understood: {error}"))
}

/// The longest request in bytes. A domain has at most 1023.
const LONGEST: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use status::request::DEFAULT_LIMIT;

    async fn read_from(mut bytes: &[u8]) -> Result<Request, String> {
        read(&mut bytes).await
    }

    #[actix::test]
    async fn reads_what_a_client_writes() {
        let explain = Request::Explain { domain: "b.example".to_owned() };
        assert_eq!(explain.line(), "{\"ask\":\"explain\",\"domain\":\"b.example\"}\n");
        assert_eq!(read_from(explain.line().as_bytes()).await, Ok(explain));
        let sessions = Request::Sessions { domain: None, limit: DEFAULT_LIMIT };
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
            ("", "cannot be understood"),
            ("GET / HTTP/1.1\r\n", "cannot be understood"),
            ("{\"ask\":\"dance\"}\n", "unknown variant"),
            ("{\"ask\":\"retry\"}\n", "missing field"),
            (long.as_str(), "longer than"),
        ] {
            let refused = read_from(bytes.as_bytes()).await.unwrap_err();
            assert!(refused.contains(why), "{refused}");
        }
        assert!(read_from(b"\xff\xfe\n").await.is_err());
    }
}
