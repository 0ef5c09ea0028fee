//! Marks stanzas that have waited (XEP-0203), so that their recipient can tell them from new ones.

use std::time::{Duration, Instant};

use xmpp::{Domain, Stanza};

use crate::{
    flow::batch::Batch,
    settings::{Absence, is_storable},
};
use status::report::Time;

/// Stamps the messages of a batch that were kept for a while. A message that has a stamp of its recipient's domain gets
/// no second one.
pub(super) fn stamp_kept(batch: &mut Batch, rules: &Absence, now: Instant) {
    if rules.keep.is_none() || now.saturating_duration_since(batch.since) < NEW {
        return;
    }
    let (since, name) = (batch.since, &batch.to);
    for stanza in batch.stanzas.iter_mut().filter(|stanza| is_storable(stanza)) {
        stamp(stanza, name, since);
    }
}

/// Stamps stanzas that may arrive a second time.
pub(super) fn stamp_repeated(batch: &mut Batch) {
    let (since, name) = (batch.since, &batch.to);
    batch.stanzas.iter_mut().for_each(|stanza| stamp(stanza, name, since));
}

fn stamp(stanza: &mut Stanza, name: &Domain, since: Instant) {
    if !is_stamped(stanza, name) {
        *stanza = stanza.delayed(name, &Time::of(since).to_string());
    }
}

fn is_stamped(stanza: &Stanza, name: &Domain) -> bool {
    let by = name.wire();
    let is_ours =
        |element: &xmpp::xml::Element| element.is("delay", DELAY) && element.attribute("from") == Some(&*by);
    stanza.has_child("delay", DELAY) && stanza.element().is_ok_and(|element| element.elements().any(is_ours))
}

/// The namespace of XEP-0203.
const DELAY: &str = "urn:xmpp:delay";

/// A message that has waited for less is as good as new.
const NEW: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use xmpp::xml::Element;

    use super::*;

    fn batch(type_: &str, age: Duration) -> Batch {
        let element = Element::new("message", "jabber:server")
            .with("type", type_)
            .with("from", "a@a.example")
            .with("to", "b@b.example");
        let mut batch = Batch::of(Stanza::from_element(&element).unwrap());
        batch.since = clock::now().checked_sub(age).unwrap();
        batch
    }

    fn stamps(batch: &Batch) -> usize {
        let element = batch.stanzas[0].element().unwrap();
        element.elements().filter(|child| child.is("delay", DELAY)).count()
    }

    fn rules(keep: Option<Duration>) -> Absence {
        Absence { keep, ..super::super::seat::tests::rules() }
    }

    #[test]
    fn a_kept_message_is_stamped_once_when_it_has_waited() {
        let kept = rules(Some(Duration::from_secs(3600)));
        let stamped = |mut batch: Batch, rules: &Absence| {
            for _ in 0..2 {
                stamp_kept(&mut batch, rules, clock::now());
            }
            stamps(&batch)
        };
        assert_eq!(stamped(batch("chat", NEW), &kept), 1);
        assert_eq!(stamped(batch("chat", NEW / 2), &kept), 0, "it is new");
        assert_eq!(stamped(batch("groupchat", NEW), &kept), 0, "it is not kept");
        assert_eq!(stamped(batch("chat", NEW), &rules(None)), 0, "the component keeps nothing");
    }

    #[test]
    fn the_stamp_of_another_does_not_count() {
        let mut batch = batch("chat", NEW);
        let since = batch.since;
        stamp(&mut batch.stanzas[0], &Domain::new("c.example").unwrap(), since);
        stamp_repeated(&mut batch);
        stamp_repeated(&mut batch);
        assert_eq!(stamps(&batch), 2);
    }
}
