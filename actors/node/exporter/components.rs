//! The figures of the configured components. Their names are those of the configuration, so their number is bounded.

use std::time::UNIX_EPOCH;

use super::{
    exposition::{Exposition, Family, Kind},
    gather::Snapshot,
};
use crate::routing::router::ComponentFigures;
use status::report::EndCause;

/// Writes the figures of all components.
pub(super) fn components(out: &mut Exposition, snapshot: &Snapshot) {
    let components = &snapshot.router.components;
    let family = |out: &mut Exposition, name, kind, help, each: fn(&ComponentFigures, &mut Family<'_>)| {
        let mut family = out.family(name, kind, help);
        components.iter().for_each(|component| each(component, &mut family));
    };
    family(
        out,
        "nuncio_component_up",
        Kind::Gauge,
        "1 while a configured component is connected.",
        |of, family| {
            family.figure(&[of.label()], u64::from(of.is_connected));
        },
    );
    family(
        out,
        "nuncio_component_since_seconds",
        Kind::Gauge,
        "Time since 1970-01-01 at which the component connected or its connection ended; before the first connection, at \
         which the node came to know it.",
        |of, family| {
            let since = of.since.0.duration_since(UNIX_EPOCH).unwrap_or_default();
            family.figure(&[of.label()], since.as_secs_f64());
        },
    );
    family(
        out,
        "nuncio_component_ping_unanswered_seconds",
        Kind::Gauge,
        "Time since the ping that the component has not answered; 0: none.",
        |of, family| {
            family.figure(&[of.label()], of.ping_unanswered.as_secs_f64());
        },
    );
    family(
        out,
        "nuncio_component_connections",
        Kind::Counter,
        "Connections of components, by result: accepted, wrong-secret, or conflict: another one serves the name.",
        |of, family| {
            let results = [
                ("accepted", of.history.accepted),
                ("wrong-secret", of.history.rejected.count),
                ("conflict", of.history.conflicts.count),
            ];
            for (result, number) in results {
                family.figure(&[of.label(), ("result", result)], number);
            }
        },
    );
    family(
        out,
        "nuncio_component_ends",
        Kind::Counter,
        "Ends of the connections of components, by cause.",
        |of, family| {
            for cause in EndCause::ALL {
                let number = of.history.ends.get(cause).copied().unwrap_or_default();
                family.figure(&[of.label(), ("cause", cause.as_str())], number);
            }
        },
    );
    family(
        out,
        "nuncio_component_stanzas_denied",
        Kind::Counter,
        "Stanzas that allow and deny of the component do not permit, by sender.",
        |of, family| {
            let senders =
                [("remote", of.history.denied.from_remote), ("component", of.history.denied.from_component)];
            for (sender, number) in senders {
                family.figure(&[of.label(), ("sender", sender)], number);
            }
        },
    );
    family(
        out,
        "nuncio_component_stanzas_answered",
        Kind::Counter,
        "Stanzas answered with an error because the component was not connected.",
        |of, family| {
            family.figure(&[of.label()], of.history.refused.stanzas);
        },
    );
    let mut waiting = out.family(
        "nuncio_absent_waiting",
        Kind::Gauge,
        "Stanzas that wait for a component that is not connected, or that reads slowly.",
    );
    for (name, stanzas) in &snapshot.mailroom.waiting {
        waiting.figure(&[("component", name.as_str())], *stanzas);
    }
}

impl ComponentFigures {
    fn label(&self) -> (&'static str, &str) {
        ("component", self.name.as_str())
    }
}
