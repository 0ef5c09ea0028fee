//! Single parts of a node, for benchmarks that measure one part alone. Nothing else uses this module.

pub use crate::{
    dial::attempt::{Dial, Lost, PendingDial, Session},
    flow::{
        batch::Batch,
        link,
        route::{Ingress, Route},
        trace::Trace,
    },
    observe::{log_limit, metrics::MetricsHandle, recorder::RecorderHandle},
    routing::{mailroom, promise, router, service},
    streams::component,
};
