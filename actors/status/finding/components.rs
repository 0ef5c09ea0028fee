//! Components as all nodes see them: each is connected to one node at most, and something may wait for it at each.

use std::{cmp::Ordering, mem};

use super::Merge;
use crate::{
    answer::Components,
    report::{ComponentReport, ComponentState, Denials, Rejections, Seconds},
};

impl Merge for Components {
    fn name(&mut self, node: &str) {
        self.components.iter_mut().for_each(|component| component.name(node));
    }

    fn add(&mut self, other: Self) {
        for theirs in other.components {
            match self.components.iter_mut().find(|component| component.name == theirs.name) {
                Some(component) => component.add(theirs),
                None => self.components.push(theirs),
            }
        }
        self.components.sort_by(|a, b| a.name.cmp(&b.name));
    }
}

impl Merge for ComponentReport {
    fn name(&mut self, node: &str) {
        if let Some(link) = &mut self.link {
            link.node = Some(node.to_owned());
        }
        let is_here = self.connected || self.state == ComponentState::WaitsForCluster;
        if is_here && self.node.is_none() {
            self.node = Some(node.to_owned());
        }
    }

    /// Its state is that at the node which knows most of it; what waits and what was refused are sums.
    fn add(&mut self, mut other: Self) {
        if other.knows_more_than(self) {
            mem::swap(self, &mut other);
        }
        if ended(&other) > ended(self) {
            self.last_end = other.last_end.take();
        }
        self.refused = self.refused.plus(other.refused);
        self.waiting = self.waiting.plus(other.waiting);
        self.kept += other.kept;
        self.on_disk = self.on_disk.plus(other.on_disk);
        self.first_answered = earlier(self.first_answered, other.first_answered);
        add_rejections(&mut self.rejected, other.rejected);
        add_rejections(&mut self.conflicts, other.conflicts);
        add_denials(&mut self.denied, other.denied);
    }
}

impl ComponentReport {
    /// The node with its connection knows most of it, then one that knows that node, then one at which it waits, then the
    /// last one to which it was connected.
    fn knows_more_than(&self, other: &Self) -> bool {
        let rank = |component: &Self| match component.state {
            _ if component.link.is_some() => 4,
            ComponentState::Connected | ComponentState::PingUnanswered => 3,
            ComponentState::WaitsForCluster => 2,
            ComponentState::NotConnected => 1,
            ComponentState::NeverConnected => 0,
        };
        match rank(self).cmp(&rank(other)) {
            Ordering::Equal if rank(self) == 1 => self.since > other.since,
            order => order == Ordering::Greater,
        }
    }
}

fn ended(component: &ComponentReport) -> Option<crate::report::Time> {
    component.last_end.as_ref().map(|end| end.at)
}

fn earlier(one: Option<Seconds>, other: Option<Seconds>) -> Option<Seconds> {
    one.into_iter().chain(other).min()
}

fn add_rejections(sum: &mut Rejections, other: Rejections) {
    sum.count += other.count;
    if other.last > sum.last {
        (sum.last, sum.address) = (other.last, other.address);
    }
}

fn add_denials(sum: &mut Denials, other: Denials) {
    sum.from_remote += other.from_remote;
    sum.from_component += other.from_component;
    let at = |denials: &Denials| denials.last.as_ref().map(|last| last.at);
    if at(&other) > at(sum) {
        sum.last = other.last;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        address::Host,
        amount::Amount,
        finding::{
            Finding, Head,
            gathering::tests::{asked, found, link, parsed},
        },
        report::{EndCause, Ending, SinceEvent, Time},
        request::Request,
    };

    fn before(seconds: u64) -> Time {
        Time(Time::now().0 - Duration::from_secs(seconds))
    }

    fn absent(name: &str, waiting: u64) -> ComponentReport {
        let end =
            Ending { at: before(50 + waiting), cause: EndCause::Lost, reason: format!("lost {waiting}") };
        ComponentReport {
            name: name.to_owned(),
            names: vec![name.to_owned()],
            connected: false,
            node: None,
            state: ComponentState::NotConnected,
            since: before(50 + waiting),
            since_event: SinceEvent::Disconnected,
            ping_unanswered: None,
            last_end: Some(end),
            refused: Amount { stanzas: 1, bytes: 10 },
            waiting: Amount { stanzas: waiting, bytes: waiting },
            kept: 0,
            on_disk: Amount::default(),
            first_answered: Some(Seconds(Duration::from_secs(waiting))),
            rejected: Rejections {
                count: 1,
                last: Some(before(waiting)),
                address: "192.0.2.7".parse::<Host>().ok(),
            },
            conflicts: Rejections::default(),
            denied: Denials { from_remote: 1, from_component: 0, last: None },
            link: None,
        }
    }

    fn connected(name: &str, node: Option<&str>) -> ComponentReport {
        ComponentReport {
            connected: true,
            node: node.map(str::to_owned),
            state: ComponentState::Connected,
            link: node.is_none().then(|| link("b.example", 0)),
            ..absent(name, 0)
        }
    }

    fn merged(own: Vec<ComponentReport>, theirs: Vec<ComponentReport>) -> serde_json::Value {
        let finding = |components| found(Finding::Components(Components { components }));
        let mut gathering = asked(Request::Components { name: None, this_node: false }, finding(own));
        gathering.add("b".to_owned(), finding(theirs));
        parsed(&gathering.document(Head::now()))["components"].clone()
    }

    #[test]
    fn a_component_has_one_line_with_the_node_to_which_it_is_connected() {
        for (own, theirs) in [
            (connected("echo", Some("b")), connected("echo", None)),
            (absent("echo", 0), connected("echo", None)),
            (connected("echo", Some("b")), absent("echo", 0)),
        ] {
            let components = merged(vec![own], vec![theirs]);
            assert_eq!(components.as_array().unwrap().len(), 1, "{components}");
            assert_eq!((&components[0]["connected"], &components[0]["node"]), (&true.into(), &"b".into()));
        }
        let components = merged(vec![connected("echo", None)], vec![connected("echo", Some("a"))]);
        assert_eq!((&components[0]["node"], &components[0]["link"]["node"]), (&"a".into(), &"a".into()));
    }

    #[test]
    fn a_component_is_connected_since_the_time_that_its_node_knows() {
        let (relayed, here) = (
            ComponentReport { since: before(2), ..connected("echo", Some("b")) },
            ComponentReport { since: before(70), ..connected("echo", None) },
        );
        let since = here.since;
        for reports in [[relayed.clone(), here.clone()], [here, relayed]] {
            let [own, theirs] = reports;
            let components = merged(vec![own], vec![theirs]);
            assert_eq!(components[0]["since"], serde_json::to_value(since).unwrap());
        }
    }

    #[test]
    fn a_component_that_waits_for_the_cluster_is_shown_at_the_node_to_which_it_connects() {
        let waits = || ComponentReport {
            state: ComponentState::WaitsForCluster,
            since: before(4),
            since_event: SinceEvent::Asked,
            ..absent("echo", 0)
        };
        let components = merged(vec![absent("echo", 1)], vec![waits()]);
        assert_eq!(
            (&components[0]["state"], &components[0]["node"]),
            (&"waits-for-cluster".into(), &"b".into())
        );
        let components = merged(vec![connected("echo", None)], vec![waits()]);
        assert_eq!((&components[0]["state"], &components[0]["node"]), (&"connected".into(), &"a".into()));
    }

    #[test]
    fn what_waits_at_all_nodes_is_a_sum_and_the_last_connection_is_that_of_the_cluster() {
        let components =
            merged(vec![absent("echo", 7), absent("one", 1)], vec![absent("echo", 2), absent("zoo", 1)]);
        let names: Vec<_> =
            components.as_array().unwrap().iter().map(|component| &component["name"]).collect();
        assert_eq!(names, ["echo", "one", "zoo"]);
        let echo = &components[0];
        assert_eq!((&echo["waiting"]["stanzas"], &echo["refused"]["stanzas"]), (&9.into(), &2.into()));
        assert_eq!(
            (&echo["last_end"]["reason"], &echo["node"]),
            (&"lost 2".into(), &serde_json::Value::Null)
        );
        assert_eq!((&echo["first_answered"], &echo["rejected"]["count"]), (&2.0.into(), &2.into()));
        assert_eq!(echo["denied"]["from_remote"], 2);
    }
}
