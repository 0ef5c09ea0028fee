//! The task of an actor. It counts a panic of the actor, so that no actor has to.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use super::Meter;

/// The future of an actor, with the meter of its kind.
pub(super) struct Running<F> {
    actor: F,
    meter: Arc<Meter>,
}

impl<F> Running<F> {
    pub(super) fn new(actor: F, meter: Arc<Meter>) -> Self {
        Self { actor, meter }
    }
}

impl<F: Future<Output = ()> + Unpin> Future for Running<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.actor).poll(context)
    }
}

impl<F> Drop for Running<F> {
    fn drop(&mut self) {
        // The runtime drops a task that panicked before the panic ends.
        if std::thread::panicking() {
            self.meter.count_panic();
        }
    }
}
