//! Just enough HTTP/1.1 (RFC 9112) for a scrape: one request a connection, bounded in size, time and number.

use std::{sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};

use super::{exposition::Format, gather::Sources};
use crate::quiet::Quiet;

/// Serves the figures of `sources` for ever.
pub async fn serve(listener: TcpListener, sources: Sources) {
    let seats = Arc::new(Semaphore::new(AT_ONCE));
    let failures = Quiet::new(LOG, 1, "more connections could not be accepted");
    loop {
        // Whoever comes when all seats are taken waits in the kernel.
        let Ok(seat) = Arc::clone(&seats).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((socket, _)) => {
                let sources = sources.clone();
                actix::spawn(async move {
                    let _seat = seat;
                    // Whoever is too slow, or gone, gets no answer.
                    let _ = timeout(TIME, attend(socket, &sources)).await;
                });
            }
            Err(error) => {
                if failures.permits() {
                    log::warn!(target: LOG, reason:% = error; "no connection can be accepted");
                }
                sleep(PAUSE).await;
            }
        }
    }
}

async fn attend(mut socket: TcpStream, sources: &Sources) -> std::io::Result<()> {
    let answer = match timeout(ASK_WITHIN, head(&mut socket)).await {
        Ok(head) => match head? {
            Some(head) => answer(&head, sources).await,
            None => Answer::error("431 Request Header Fields Too Large"),
        },
        Err(_) => Answer::error("408 Request Timeout"),
    };
    socket.write_all(&answer.into_bytes()).await?;
    socket.shutdown().await?;
    // What still comes is read for a moment, or the kernel would reset the connection and the answer be lost.
    let mut rest = [0; 1024];
    let _ = timeout(PAUSE, async { while matches!(socket.read(&mut rest).await, Ok(1..)) {} }).await;
    Ok(())
}

/// Reads up to the empty line; `None` if that is too far.
async fn head(socket: &mut TcpStream) -> std::io::Result<Option<String>> {
    let mut head = Vec::new();
    let mut buffer = [0; 1024];
    loop {
        let length = socket.read(&mut buffer).await?;
        head.extend_from_slice(&buffer[..length]);
        let whole =
            head.windows(4).any(|end| end == b"\r\n\r\n") || head.windows(2).any(|end| end == b"\n\n");
        if whole || length == 0 {
            return Ok(Some(String::from_utf8_lossy(&head).into_owned()));
        }
        if head.len() > LONGEST_HEAD {
            return Ok(None);
        }
    }
}

/// An answer to be written.
struct Answer {
    status: &'static str,
    content_type: &'static str,
    body: String,
    with_body: bool,
}

impl Answer {
    fn error(status: &'static str) -> Self {
        Self {
            status,
            content_type: "text/plain; charset=utf-8",
            body: format!("{status}\n"),
            with_body: true,
        }
    }

    fn into_bytes(self) -> Vec<u8> {
        let Self { status, content_type, body, with_body } = self;
        let allow = if status.starts_with("405") { "Allow: GET, HEAD\r\n" } else { "" };
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n{allow}Connection: close\r\n\r\n",
            body.len()
        );
        let body = if with_body { body } else { String::new() };
        (head + &body).into_bytes()
    }
}

async fn answer(head: &str, sources: &Sources) -> Answer {
    let mut lines = head.lines();
    let request: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
    let [method, target, version] = request[..] else { return Answer::error("400 Bad Request") };
    if !version.starts_with("HTTP/1.") {
        return Answer::error("400 Bad Request");
    }
    let path = target.split('?').next().unwrap_or_default();
    if path != "/metrics" {
        return Answer::error("404 Not Found");
    }
    if !matches!(method, "GET" | "HEAD") {
        return Answer::error("405 Method Not Allowed");
    }
    let accept = lines.filter_map(|line| line.split_once(':'));
    let accept: String = accept
        .filter(|(name, _)| name.eq_ignore_ascii_case("accept"))
        .map(|(_, value)| value.to_ascii_lowercase())
        .collect();
    let format = Format::of(&accept);
    match sources.write(format).await {
        Some(body) => {
            Answer { status: "200 OK", content_type: format.content_type(), body, with_body: method == "GET" }
        }
        None => Answer::error("503 Service Unavailable"),
    }
}

const LOG: &str = "nuncio::metrics";

/// Scrapers are few; there is room for some that only connect.
const AT_ONCE: usize = 64;

/// From the first byte to the last.
const TIME: Duration = Duration::from_secs(10);

/// For the request: who says nothing must not keep the seat of who has something to ask.
const ASK_WITHIN: Duration = Duration::from_secs(1);

const PAUSE: Duration = Duration::from_millis(500);

/// What a request may take before its body, which it does not have.
const LONGEST_HEAD: usize = 8 * 1024;
