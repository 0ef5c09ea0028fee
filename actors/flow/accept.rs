//! Accepts connections, and retries after a failure.

use std::{io, sync::Arc, time::Duration};

use crate::observe::log_limit::LogLimiter;

/// Accepts connections of one listening socket. A failure is logged within a limit, and retried after a
/// pause.
#[derive(Debug)]
pub(crate) struct Acceptor {
    target: &'static str,
    message: &'static str,
    failures: Arc<LogLimiter>,
}

impl Acceptor {
    /// Logs a failure as `message` to `target`; `summary` describes those that are not logged one by one.
    pub(crate) fn new(target: &'static str, message: &'static str, summary: &'static str) -> Self {
        Self { target, message, failures: LogLimiter::new(target, 1, summary) }
    }

    /// The next connection. Dropping the future loses no connection if that holds for `accept`.
    pub(crate) async fn next<T, F: Future<Output = io::Result<T>>>(&self, accept: impl Fn() -> F) -> T {
        loop {
            match accept().await {
                Ok(accepted) => return accepted,
                Err(error) => {
                    if self.failures.count_line() {
                        log::warn!(target: self.target, reason:% = error; "{}", self.message);
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

/// The pause after a failure: the system may have file descriptors again.
pub(crate) const PAUSE: Duration = Duration::from_millis(25);

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[actix::test]
    async fn a_failure_is_retried_after_a_pause() {
        tokio::time::pause();
        let (acceptor, attempts, start) =
            (Acceptor::new("test", "a failure", "more failures"), Cell::new(0), clock::now());
        let accept = || {
            attempts.set(attempts.get() + 1);
            let attempt = attempts.get();
            async move { if attempt < 3 { Err(io::ErrorKind::Other.into()) } else { Ok(attempt) } }
        };
        assert_eq!(acceptor.next(accept).await, 3);
        assert!(clock::since(start) >= 2 * PAUSE);
    }
}
