//! The metrics exporter.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Command, Stdio};

use crate::support::{Behaviour, Network, Node, Server, Setup, eventually, needs, read_to_end};

#[test]
fn a_link_and_its_stanzas_show_in_the_figures() {
    let network = Network::new();
    let other = Node::start(&network, Setup::of("other.example"));
    let node = Watched::start(&network, Setup::of("nuncio.example"));
    let (mut sender, mut receiver) = (node.node.inbox(), other.inbox());
    sender.sends_message(receiver.name(), "one", "");
    receiver.receives_id("one");
    receiver.sends_message(sender.name(), "two", "");
    sender.receives_id("two");
    for figure in [
        "nuncio_stanzas_taken_total 2",
        "nuncio_stanzas_settled_total{outcome=\"written\"} 2",
        "nuncio_stanzas_waiting 0",
        "nuncio_stanzas_acknowledged_total 1",
        "nuncio_stanzas_open 0",
        "nuncio_stanzas_repeated_total 0",
        "nuncio_ack_seconds_count 1",
        "nuncio_account_difference 0",
        "nuncio_sessions{direction=\"outgoing\",state=\"established\"} 1",
        "nuncio_sessions{direction=\"incoming\",state=\"authenticated\"} 1",
        "nuncio_sessions{direction=\"component\",state=\"connected\"} 1",
        "nuncio_attempts_total{purpose=\"session\",result=\"established\"} 1",
        "nuncio_tls_handshakes_total{direction=\"outgoing\",version=\"TLSv1.3\"} 1",
        "nuncio_tls_handshakes_total{direction=\"incoming\",version=\"TLSv1.3\"} 1",
        "nuncio_mailbox_capacity{actor=\"outgoing\"} 1024",
    ] {
        node.eventually_shows(figure);
    }
    for phase in ["resolve", "connect", "tls", "authenticate"] {
        node.eventually_shows(&format!("nuncio_setup_seconds_count{{phase=\"{phase}\"}} 1"));
    }
}

#[test]
fn what_waits_for_a_component_has_a_figure_for_each() {
    let network = Network::new();
    let node = Watched::start(&network, Setup::of("nuncio.example"));
    let mut outbox = node.node.outbox();
    for number in 0..3 {
        outbox.sends_message("inbox.nuncio.example", &number.to_string(), "");
    }
    for (name, up, waiting) in [("inbox", 0, 3), ("outbox", 1, 0)] {
        let label = format!("component=\"{name}.nuncio.example\"");
        node.eventually_shows(&format!("nuncio_component_up{{{label}}} {up}"));
        node.eventually_shows(&format!("nuncio_absent_waiting{{{label}}} {waiting}"));
    }
    let _inbox = node.node.inbox();
    node.eventually_shows("nuncio_absent_waiting{component=\"inbox.nuncio.example\"} 0");
}

#[test]
fn acknowledgements_and_resumptions_have_figures_before_the_first_of_them() {
    let network = Network::new();
    let node = Watched::start(&network, Setup::of("nuncio.example"));
    let scrape = node.scrape();
    let mut figures: Vec<String> = ["sender", "receiver"]
        .iter()
        .flat_map(|role| {
            ["resumed", "counted", "unknown", "refused"]
                .map(|result| format!("nuncio_resumptions_total{{role=\"{role}\",result=\"{result}\"}} 0"))
        })
        .collect();
    figures.extend(
        ["stanzas_acknowledged_total", "stanzas_open", "stanzas_repeated_total", "ack_seconds_count"]
            .map(|name| format!("nuncio_{name} 0")),
    );
    for figure in figures {
        assert!(scrape.lines().any(|line| line == figure), "no {figure} in\n{scrape}");
    }
}

#[test]
fn failures_show_by_stage_and_bounces_by_reason() {
    let network = Network::new();
    let node =
        Watched::start(&network, Setup::of("nuncio.example").set("promise.backoff", "[\"60s\", \"60s\"]"));
    let mut sender = node.node.inbox();
    // No server listens there.
    network.publish("closed.example", network.address());
    sender.asks("nowhere.example", "<ping xmlns='urn:xmpp:ping'/>");
    sender.asks("closed.example", "<ping xmlns='urn:xmpp:ping'/>");
    for figure in [
        "nuncio_bounces_total{reason=\"remote-server-not-found\"} 1",
        "nuncio_bounces_total{reason=\"remote-server-timeout\"} 1",
        "nuncio_attempts_total{purpose=\"session\",result=\"no-such-domain\"} 1",
        "nuncio_attempts_total{purpose=\"session\",result=\"connect\"} 1",
        "nuncio_stanzas_settled_total{outcome=\"answered\"} 2",
        "nuncio_sessions{direction=\"outgoing\",state=\"backing-off\"} 2",
    ] {
        node.eventually_shows(figure);
    }
    sender.sends("<message from='u@inbox.nuncio.example' to='@'/><foo/>");
    for figure in [
        "nuncio_stanzas_refused_total{reason=\"bad-to\"} 1",
        "nuncio_stanzas_refused_total{reason=\"not-a-stanza\"} 1",
        "nuncio_stanzas_settled_total{outcome=\"answered\"} 3",
        "nuncio_stanzas_settled_total{outcome=\"dropped\"} 1",
        "nuncio_account_difference 0",
    ] {
        node.eventually_shows(figure);
    }
    let pause = node.scrape();
    let pause =
        pause.lines().find_map(|line| line.strip_prefix("nuncio_backoff_seconds ")).unwrap().to_owned();
    assert!(pause.parse::<f64>().unwrap() > 10.0, "{pause}");
}

#[test]
fn invented_domains_do_not_add_time_series() {
    let network = Network::new();
    let setup = Setup::of("nuncio.example").set("dns.timeout", "\"60s\"");
    let node = Watched::start(&network, setup);
    let sender = node.node.inbox();
    let from = sender.name().to_owned();
    for number in 0..60 {
        network.dns.behaves(&format!("d{number}.example"), Behaviour::Silence);
    }
    let flood = sender.floods(60, move |number| {
        format!("<message from='a@{from}' to='b@d{number}.example' id='{number}'><body>x</body></message>")
    });
    flood.join().unwrap();
    node.eventually_shows("nuncio_stanzas_waiting 60");
    node.eventually_shows("nuncio_domain_stanzas_waiting{domain=\"all others\"} 40");
    let text = node.scrape();
    assert_eq!(text.matches("nuncio_domain_stanzas_waiting{").count(), 21, "{text}");
}

#[test]
fn promtool_finds_nothing_to_complain_about() {
    needs("command -v promtool", "prometheus");
    let network = Network::new();
    let node = Watched::start(&network, Setup::of("nuncio.example"));
    let mut sender = node.node.inbox();
    sender.asks("nowhere.example", "<ping xmlns='urn:xmpp:ping'/>");
    node.eventually_shows("result=\"no-such-domain\"");
    node.suits_promtool();
}

#[test]
fn a_node_alone_has_no_figures_of_a_cluster() {
    let network = Network::new();
    let scrape = Watched::start(&network, Setup::of("nuncio.example")).scrape();
    for name in ["cluster_", "claims", "seats", "relays", "ferry_", "carried"] {
        assert!(!scrape.contains(&format!(" nuncio_{name}")), "{name} in {scrape}");
    }
}

#[test]
fn the_alerts_about_a_cluster_fire_when_they_should() {
    needs("command -v promtool", "prometheus");
    let rules = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/metrics/alerts.yml");
    let output = Command::new("promtool").args(["test", "rules", rules]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// The metrics of the journal exist only with a journal, and those of the cluster only in one. The broker need not be there.
fn with_all_metrics() -> Setup {
    Setup::of("nuncio.example")
        .set("journal.path", "\"waiting.redb\"")
        .dialback_secret("the secret of the cluster, which all nodes know")
        .set("cluster.name", "\"test\"")
        .set("cluster.node", "\"a\"")
        .set("cluster.servers", "[\"nats://127.0.0.1:9\"]")
}

#[test]
fn the_documentation_has_a_row_for_every_metric_and_for_no_other() {
    let network = Network::new();
    let node = Watched::start(&network, with_all_metrics());
    let scrape = node.scrape();
    let served: BTreeSet<String> = scrape
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .map(str::to_owned)
        .collect();
    assert!(served.len() > 20, "{served:?}");
    assert_eq!(documented(), served);
}

/// The names in the tables of the documentation.
fn documented() -> BTreeSet<String> {
    let rows = include_str!("../docs/monitoring.md").lines().filter(|line| line.starts_with("| `nuncio_"));
    let names = rows.flat_map(|row| {
        let cell = row.trim_start_matches("| ").split(" |").next().unwrap();
        cell.split(", ").map(|name| name.trim_matches('`'))
    });
    // Those of the mailboxes share a row: `nuncio_mailbox_instances`, `_depth`.
    let whole = |name: &str| match name.strip_prefix('_') {
        Some(short) => format!("nuncio_mailbox_{short}"),
        None => name.to_owned(),
    };
    names.map(whole).collect()
}

#[test]
fn every_name_in_the_dashboard_is_one_of_a_metric() {
    let network = Network::new();
    let node = Watched::start(&network, with_all_metrics());
    let text = node.scrape();
    let mut known = BTreeSet::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').unwrap();
        let suffixes: &[&str] = if kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
        known.extend(suffixes.iter().map(|suffix| format!("{name}{suffix}")));
    }
    let dashboard = concat!(env!("CARGO_MANIFEST_DIR"), "/config/grafana/nuncio.json");
    let dashboard: serde_json::Value = serde_json::from_str(&fs::read_to_string(dashboard).unwrap()).unwrap();
    let mut queries = Vec::new();
    expressions(&dashboard, &mut queries);
    assert!(queries.len() > 10, "{queries:?}");
    for query in &queries {
        let words = query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let names: Vec<_> = words.filter(|word| word.starts_with("nuncio_")).collect();
        assert!(!names.is_empty(), "no metric in {query}");
        for name in names {
            assert!(known.contains(name), "the dashboard asks for {name}, which is not among {known:?}");
        }
    }
}

#[test]
fn the_alert_rules_are_valid_and_ask_for_metrics_that_exist() {
    needs("command -v promtool", "prometheus");
    let rules = concat!(env!("CARGO_MANIFEST_DIR"), "/config/prometheus/alerts.yml");
    let output = Command::new("promtool").args(["check", "rules", rules]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let network = Network::new();
    let node = Watched::start(&network, with_all_metrics());
    let (text, scrape) = (fs::read_to_string(rules).unwrap(), node.scrape());
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let names: BTreeSet<&str> = words.filter(|word| word.starts_with("nuncio_")).collect();
    assert!(names.len() > 5, "{names:?}");
    for name in names {
        assert!(scrape.contains(&format!("\n# TYPE {name} ")), "no metric {name}");
    }
}

#[test]
fn openmetrics_is_served_to_scrapers_that_accept_it() {
    let network = Network::new();
    let node = Watched::start(&network, Setup::of("nuncio.example"));
    let answer = node.asks(
        "GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: application/openmetrics-text;version=1.0.0\r\n\r\n",
    );
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("Content-Type: application/openmetrics-text; version=1.0.0"), "{answer}");
    assert!(answer.contains("# TYPE nuncio_stanzas_taken counter\n"), "{answer}");
    assert!(answer.contains("\nnuncio_stanzas_taken_total 0\n"), "{answer}");
    assert!(answer.ends_with("# EOF\n"), "{answer}");
}

#[test]
fn other_requests_are_refused_or_closed() {
    let network = Network::new();
    let node = Watched::start(&network, Setup::of("nuncio.example"));
    for (request, status) in [
        ("GET / HTTP/1.1\r\n\r\n", "404 "),
        ("POST /metrics HTTP/1.1\r\n\r\n", "405 "),
        ("GET /metrics SPDY/9\r\n\r\n", "400 "),
        ("\r\n\r\n", "400 "),
        ("HEAD /metrics HTTP/1.0\r\n\r\n", "200 "),
    ] {
        let answer = node.asks(request);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{request:?} gets {answer}");
    }
    let head = node.asks("HEAD /metrics HTTP/1.1\r\n\r\n");
    assert!(head.ends_with("\r\n\r\n"), "no body: {head}");
    let endless = format!("GET /metrics HTTP/1.1\r\n{}", "X-Filling: yes\r\n".repeat(1000));
    assert!(node.asks(&endless).starts_with("HTTP/1.1 431 "));
}

#[test]
fn a_scrape_replaces_the_oldest_silent_client() {
    let network = Network::new();
    let node = Watched::start(&network, Setup::of("nuncio.example"));
    // More clients than are served at once: some send nothing, some half a request, some do not read the answer.
    let idle: Vec<TcpStream> = (0..200)
        .map(|number| {
            let mut client = TcpStream::connect(node.metrics).unwrap();
            let said = match number % 3 {
                0 => "",
                1 => "GET /metr",
                _ => "GET /metrics HTTP/1.1\r\n\r\n",
            };
            // The node may have closed it already.
            let _ = client.write_all(said.as_bytes());
            client
        })
        .collect();
    for _ in 0..20 {
        assert!(node.scrape().contains("nuncio_build_info"));
    }
    drop(idle);
}

/// A node with metrics.
pub(crate) struct Watched {
    pub(crate) node: Node,
    metrics: SocketAddr,
}

impl Watched {
    #[track_caller]
    pub(crate) fn start(network: &Network, setup: Setup) -> Self {
        let address: Ipv4Addr = network.address();
        let metrics = SocketAddr::from((address, 9469));
        let node = Node::start(network, setup.set("listen.metrics", &format!("[\"{metrics}\"]")));
        node.eventually_logs(&["ready", &format!("metrics={metrics}")]);
        Self { node, metrics }
    }

    #[track_caller]
    fn asks(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.metrics).unwrap();
        // The node may close the connection before the end.
        let _ = stream.write_all(request.as_bytes());
        read_to_end(&mut stream)
    }

    #[track_caller]
    pub(crate) fn scrape(&self) -> String {
        let answer = self.asks("GET /metrics HTTP/1.1\r\nHost: nuncio\r\n\r\n");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
        body.to_owned()
    }

    /// Has promtool check the exposition.
    #[track_caller]
    pub(crate) fn suits_promtool(&self) {
        let mut promtool = Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        promtool.stdin.take().unwrap().write_all(self.scrape().as_bytes()).unwrap();
        let output = promtool.wait_with_output().unwrap();
        assert!(
            output.status.success() && output.stderr.is_empty() && output.stdout.is_empty(),
            "{output:?}"
        );
    }

    /// The value of a metric without labels.
    #[track_caller]
    pub(crate) fn figure(&self, name: &str) -> usize {
        let scrape = self.scrape();
        let value = scrape.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name} in {scrape}"))
    }

    #[track_caller]
    pub(crate) fn eventually_shows(&self, figure: &str) {
        eventually(&format!("the metrics have {figure}"), || self.scrape().contains(figure).then_some(()));
    }
}

/// Every `expr` in a dashboard.
fn expressions(value: &serde_json::Value, found: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(fields) => {
            for (name, field) in fields {
                match field.as_str() {
                    Some(text) if name == "expr" => found.push(text.to_owned()),
                    _ => expressions(field, found),
                }
            }
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| expressions(item, found)),
        _ => {}
    }
}
