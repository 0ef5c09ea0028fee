//! Serves scrapes over HTTP/1.1 (RFC 9112): one request for each connection, bounded in size, time and number.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::{mpsc, oneshot},
    time::timeout,
};

use super::{exposition::Format, families, gather::Sources};
use crate::{
    flow::accept::Acceptor,
    node::client_slots::{Slot, Slots, unless_needed, write_answer},
};
use net::network::{Listener, Socket};

/// Serves the figures of `sources`; never returns.
pub(crate) async fn serve(listener: Listener, sources: Sources) {
    let mut slots = Slots::new(AT_ONCE);
    let (done, mut left) = mpsc::channel(2 * AT_ONCE);
    let (message, summary) = ("no connection can be accepted", "more connections could not be accepted");
    let acceptor = Acceptor::new(LOG, message, summary);
    loop {
        let (socket, _) = tokio::select! {
            Some(number) = left.recv() => {
                slots.release(number);
                continue;
            }
            accepted = acceptor.next(|| listener.accept()) => accepted,
        };
        let Slot { number, ends } = loop {
            if let Some(slot) = slots.acquire() {
                break slot;
            }
            // The exchanges that were asked to end do so soon. The next client waits in the kernel.
            let Some(number) = left.recv().await else { return };
            slots.release(number);
        };
        let (sources, done) = (sources.clone(), done.clone());
        actix::spawn(async move {
            // A task of its own, so that the slot is released after a panic too. A client that is too slow gets no
            // answer.
            let _ = actix::spawn(async move { timeout(TIME, attend(socket, &sources, ends)).await }).await;
            let _ = done.send(number).await;
        });
    }
}

/// Reads the request and writes the answer. While it waits for the client, a new client can take its slot.
async fn attend(
    mut socket: Socket,
    sources: &Sources,
    mut ends: oneshot::Receiver<()>,
) -> std::io::Result<()> {
    let answer = match unless_needed(&mut ends, timeout(ASK_WITHIN, head(&mut socket))).await {
        Some(Ok(head)) => match head? {
            Some(head) => answer(&head, sources).await,
            None => Answer::error(Status::HeaderTooLarge),
        },
        Some(Err(_)) => Answer::error(Status::RequestTimeout),
        None => Answer::error(Status::Unavailable),
    };
    let write = async {
        socket.write_all(&answer.into_bytes()).await?;
        socket.shutdown().await?;
        // Read further bytes for a moment. Otherwise the kernel resets the connection, and the answer is lost.
        let mut rest = [0; 1024];
        let _ = timeout(PAUSE, async { while matches!(socket.read(&mut rest).await, Ok(1..)) {} }).await;
        Ok(())
    };
    write_answer(&mut ends, write).await.unwrap_or(Ok(()))
}

/// Reads up to the empty line; `None` if the request is too long.
async fn head(socket: &mut Socket) -> std::io::Result<Option<String>> {
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

/// The status of an HTTP answer (RFC 9110 section 15, RFC 6585 section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Ok,
    BadRequest,
    NotFound,
    MethodNotAllowed,
    RequestTimeout,
    HeaderTooLarge,
    Unavailable,
}

impl Status {
    /// The code and the reason phrase.
    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "200 OK",
            Self::BadRequest => "400 Bad Request",
            Self::NotFound => "404 Not Found",
            Self::MethodNotAllowed => "405 Method Not Allowed",
            Self::RequestTimeout => "408 Request Timeout",
            Self::HeaderTooLarge => "431 Request Header Fields Too Large",
            Self::Unavailable => "503 Service Unavailable",
        }
    }
}

/// An HTTP answer.
struct Answer {
    status: Status,
    content_type: &'static str,
    body: String,
    with_body: bool,
}

impl Answer {
    fn error(status: Status) -> Self {
        Self {
            status,
            content_type: "text/plain; charset=utf-8",
            body: format!("{}\n", status.as_str()),
            with_body: true,
        }
    }

    fn into_bytes(self) -> Vec<u8> {
        let Self { status, content_type, body, with_body } = self;
        let allow = if status == Status::MethodNotAllowed { "Allow: GET, HEAD\r\n" } else { "" };
        let head = format!(
            "HTTP/1.1 {}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n{allow}Connection: close\r\n\r\n",
            status.as_str(),
            body.len()
        );
        let body = if with_body { body } else { String::new() };
        (head + &body).into_bytes()
    }
}

async fn answer(head: &str, sources: &Sources) -> Answer {
    let mut lines = head.lines();
    let request: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
    let [method, target, version] = request[..] else { return Answer::error(Status::BadRequest) };
    if !version.starts_with("HTTP/1.") {
        return Answer::error(Status::BadRequest);
    }
    let path = target.split('?').next().unwrap_or_default();
    if path != "/metrics" {
        return Answer::error(Status::NotFound);
    }
    if !matches!(method, "GET" | "HEAD") {
        return Answer::error(Status::MethodNotAllowed);
    }
    let accept = lines.filter_map(|line| line.split_once(':'));
    let accept: String = accept
        .filter(|(name, _)| name.eq_ignore_ascii_case("accept"))
        .map(|(_, value)| value.to_ascii_lowercase())
        .collect();
    let format = Format::of(&accept);
    match sources.snapshot().await.map(|snapshot| families::write(&snapshot, format)) {
        Some(body) => Answer {
            status: Status::Ok,
            content_type: format.content_type(),
            body,
            with_body: method == "GET",
        },
        None => Answer::error(Status::Unavailable),
    }
}

const LOG: &str = "nuncio::metrics";

/// Clients at once: a few scrapers, and some that only connect. As many more may be ending.
const AT_ONCE: usize = 64;

/// The time limit for an exchange.
const TIME: Duration = Duration::from_secs(10);

/// The time limit for the request: a client that sends nothing must not keep a slot.
const ASK_WITHIN: Duration = Duration::from_secs(1);

const PAUSE: Duration = Duration::from_millis(500);

/// The longest request in bytes. It has no body.
const LONGEST_HEAD: usize = 8 * 1024;
