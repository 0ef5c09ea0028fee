//! The fixture of the probe tests: a network, a configuration for `nuncio.example`, and the output of the probe.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::{BINARY, Identity, Listener, Network, Peer, Setup, configuration, plays};

/// A network on which `nuncio.example` probes `peer.example`.
pub(crate) struct Bench {
    pub(crate) network: Network,
    /// The address of `peer.example`.
    pub(crate) peer: Ipv4Addr,
    /// The address at which `nuncio.example` would listen.
    pub(crate) own: Ipv4Addr,
    setup: Setup,
}

impl Bench {
    /// With short timeouts, and a dialback secret that another process can share.
    pub(crate) fn new() -> Self {
        Self::of(Setup::of("nuncio.example").set("s2s.dialback_secret", "\"as in the node\""))
    }

    /// With that configuration.
    pub(crate) fn of(setup: Setup) -> Self {
        let network = Network::new();
        let (peer, own) = (network.address(), network.address());
        let quick = setup.set("s2s.connect_timeout", "\"2s\"");
        let setup = if quick.node.values.contains_key("s2s.handshake_timeout") {
            quick
        } else {
            quick.set("s2s.handshake_timeout", "\"20s\"")
        };
        Self { network, peer, own, setup }
    }

    /// For a remote that does not answer in time.
    pub(crate) fn impatient() -> Self {
        Self::of(
            Setup::of("nuncio.example")
                .set("s2s.dialback_secret", "\"as in the node\"")
                .set("s2s.handshake_timeout", "\"2s\"")
                .set("dns.timeout", "\"1s\""),
        )
    }

    /// Publishes `peer.example`, which plays `script` on every connection.
    pub(crate) fn plays(&self, script: impl Fn(Peer) + Send + Sync + Clone + 'static) {
        self.network.publish("peer.example", self.peer);
        plays(Listener::at(self.peer), script);
    }

    /// Publishes `peer.example`, which shows `identity` in TLS, and plays `script` from its second header on.
    pub(crate) fn plays_secured(
        &self,
        identity: &Identity,
        script: impl Fn(&mut Peer) + Send + Sync + Clone + 'static,
    ) {
        let identity = identity.clone();
        self.plays(move |mut peer| {
            peer.answers_to_tls("peer.example", &identity);
            script(&mut peer);
            peer.waits_for_the_end();
        });
    }

    /// A valid certificate for `peer.example`.
    pub(crate) fn identity(&self) -> Identity {
        self.network.authority.issue(&["peer.example"])
    }

    /// Writes the configuration.
    pub(crate) fn file(&self) -> PathBuf {
        let file = self.network.directory("probe").join("nuncio.toml");
        fs::write(&file, configuration(&self.network, &self.setup, self.own)).unwrap();
        file
    }

    /// Probes `peer.example`, with JSON output.
    #[track_caller]
    pub(crate) fn probes(&self) -> Probed {
        probes(&self.file(), "peer.example")
    }

    /// Probes `peer.example`, with text output.
    #[track_caller]
    pub(crate) fn shows(&self) -> String {
        shows(&self.file(), "peer.example")
    }
}

/// Probes `remote` with the configuration in `file`, with text output.
#[track_caller]
pub(crate) fn shows(file: &Path, remote: &str) -> String {
    let arguments = ["probe", "--config", file.to_str().unwrap(), remote];
    let output = Command::new(BINARY).args(arguments).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Probes `remote` with the configuration in `file`.
#[track_caller]
pub(crate) fn probes(file: &Path, remote: &str) -> Probed {
    let output = Command::new(BINARY)
        .args(["probe", "--json", "--config", file.to_str().unwrap(), remote])
        .output()
        .unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    let steps: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    assert!(!steps.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    Probed { code: output.status.code(), steps }
}

/// The JSON output of a probe.
#[derive(Debug)]
pub(crate) struct Probed {
    code: Option<i32>,
    steps: Vec<Value>,
}

impl Probed {
    /// The values of `fact` in all steps that have it.
    pub(crate) fn facts(&self, fact: &str) -> Vec<String> {
        self.steps.iter().filter_map(|step| Some(step[fact].as_str()?.to_owned())).collect()
    }

    /// Checks that the probe failed at `step`, with that cause and side.
    #[track_caller]
    pub(crate) fn fails(&self, step: &str, cause: &str, side: &str) -> &Self {
        self.tells("remote", "failed", step, cause, side);
        assert_eq!(self.code, Some(1), "{self}");
        let failures = self.verdict()["failures"].as_array().unwrap();
        assert!(failures.iter().any(|failure| failure["cause"] == cause), "{self}");
        let remote = self.steps.iter().filter(|step| step["part"] == "remote" && step["result"] == "failed");
        for other in remote {
            assert_eq!(other["finding"]["cause"], cause, "another cause: {self}");
        }
        self
    }

    /// Checks that the verdict is unknown, which fails the probe.
    #[track_caller]
    pub(crate) fn leaves_open(&self) -> &Self {
        assert_eq!((self.code, &self.verdict()["result"]), (Some(1), &"unknown".into()), "{self}");
        self
    }

    /// Checks that a step has a note with that cause.
    #[track_caller]
    pub(crate) fn notes(&self, step: &str, cause: &str, side: &str) -> &Self {
        self.tells("remote", "warning", step, cause, side)
    }

    /// Checks that the probe found that fault on our side.
    #[track_caller]
    pub(crate) fn blames_us(&self, step: &str, cause: &str) -> &Self {
        self.tells("own", "failed", step, cause, "us")
    }

    /// Checks that the probe found no fault on our side.
    #[track_caller]
    pub(crate) fn finds_us_well(&self) -> &Self {
        let bad: Vec<_> =
            self.steps.iter().filter(|step| step["part"] == "own" && step["result"] != "ok").collect();
        assert!(bad.is_empty(), "{bad:#?}");
        self
    }

    /// Checks that the probe found no other fault on our side.
    #[track_caller]
    pub(crate) fn finds_us_well_but_for(&self, cause: &str) -> &Self {
        self.tells("own", "warning", "dns", cause, "us");
        let own = self.steps.iter().filter(|step| step["part"] == "own" && step["result"] != "ok");
        let bad: Vec<_> = own.filter(|step| step["finding"]["cause"] != cause).collect();
        assert!(bad.is_empty(), "{bad:#?}");
        self
    }

    /// Checks that the output does not contain a cause.
    #[track_caller]
    pub(crate) fn says_nothing_of(&self, cause: &str) -> &Self {
        assert!(self.steps.iter().all(|step| step["finding"]["cause"] != cause), "{cause} in\n{self}");
        self
    }

    /// Checks that a step of that kind has that finding.
    #[track_caller]
    pub(crate) fn tells(&self, part: &str, result: &str, step: &str, cause: &str, side: &str) -> &Self {
        let found = self.steps.iter().any(|line| {
            line["part"] == part
                && line["result"] == result
                && line["step"] == step
                && line["finding"]["cause"] == cause
                && line["finding"]["side"] == side
        });
        assert!(found, "no {result} step {step} of part {part} with {cause} for {side} in\n{self}");
        self
    }

    /// Checks that the remote accepted that mechanism.
    #[track_caller]
    pub(crate) fn arrives(&self, mechanism: &str) -> &Self {
        assert_eq!(self.code, Some(0), "{self}");
        assert_eq!(self.verdict()["mechanism"], mechanism, "{self}");
        self
    }

    /// Checks that a step was skipped, and that the output says so.
    #[track_caller]
    pub(crate) fn leaves_out(&self, words: &str) -> &Self {
        let untested = self.verdict()["untested"].to_string();
        assert!(untested.contains(words), "{untested}");
        self
    }

    /// The sentence of a cause.
    #[track_caller]
    pub(crate) fn happened(&self, cause: &str) -> String {
        let finding =
            self.steps.iter().map(|step| &step["finding"]).find(|finding| finding["cause"] == cause);
        finding.expect(cause)["happened"].as_str().unwrap().to_owned()
    }

    /// The steps of one kind towards the remote.
    pub(crate) fn steps(&self, name: &str) -> Vec<&Value> {
        self.steps.iter().filter(|step| step["part"] == "remote" && step["step"] == name).collect()
    }

    fn verdict(&self) -> &Value {
        let last = self.steps.last().unwrap();
        assert_eq!(last["step"], "verdict", "{self}");
        last
    }
}

impl std::fmt::Display for Probed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "exit status {:?}", self.code)?;
        self.steps.iter().try_for_each(|step| writeln!(f, "{step}"))
    }
}
