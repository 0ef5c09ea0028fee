//! `config/deploy-hook`: installs renewed certificates for a running node, and never half of a pair.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::{BINARY, Identity, Network, Peer, Process, SECRET, SOON};

#[test]
fn a_certificate_renewed_by_certbot_is_installed_and_served_after_the_reload() {
    let desk = Desk::new();
    let (old, new) = (desk.identity(&NAMES), desk.identity(&NAMES));
    desk.puts_pair("nuncio.example", &old);
    let node = desk.runs();
    assert_eq!(desk.serial(), serial(&old));
    let lineage = desk.lineage("nuncio.example", &new);

    let told = desk.succeeds(&[], &[("RENEWED_LINEAGE", &lineage), ("RENEWED_DOMAINS", "nuncio.example")]);
    assert!(told.contains("nuncio.example: installed "), "{told}");
    assert!(told.contains(&format!("sent SIGHUP to the node (process {})", node.id())), "{told}");
    node.logs_within(SOON, &["nuncio::node", "reloaded"]);
    assert_eq!(desk.serial(), serial(&new));
    desk.holds_pair("nuncio.example", &new);
    let mode = |ending| fs::metadata(desk.target("nuncio.example", ending)).unwrap().mode() & 0o7777;
    assert_eq!((mode("crt"), mode("key")), (0o644, 0o640));
    assert_eq!(desk.files(), ["nuncio.example.crt", "nuncio.example.key"], "nothing else is left");
}

#[test]
fn the_clients_acme_sh_dehydrated_and_lego_are_understood_and_so_are_arguments() {
    let desk = Desk::new();
    let (certificate, key) = ("new.crt", "new.key");
    let arguments = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<String>>();
    for way in 0..5 {
        let new = desk.identity(&NAMES);
        let (chain, secret) = desk.puts_files(certificate, key, &new);
        let (words, variables) = match way {
            0 => (vec![], vec![("CERT_FULLCHAIN_PATH", chain.as_str()), ("CERT_KEY_PATH", &secret)]),
            1 => (vec![], vec![("LEGO_CERT_PATH", chain.as_str()), ("LEGO_CERT_KEY_PATH", &secret)]),
            2 => {
                (arguments(&["deploy_cert", "nuncio.example", &secret, "cert", &chain, "chain", "0"]), vec![])
            }
            3 => (arguments(&["--certificate", &chain, "--key", &secret]), vec![]),
            _ => (arguments(&["--lineage", &desk.lineage("nuncio.example", &new)]), vec![]),
        };
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let told = desk.succeeds(&words, &variables);
        assert!(told.contains("no node is running with "), "{told}");
        desk.holds_pair("nuncio.example", &new);
    }
    assert_eq!(desk.succeeds(&["deploy_challenge", "nuncio.example", "token", "value"], &[]), "");
}

#[test]
fn run_by_hand_it_takes_the_newest_certificate_of_certbot_for_each_name() {
    let desk = Desk::new();
    let block =
        "[[domain]]\nname = \"second.example\"\ncertificate = \"certs/2/a.crt\"\nkey = \"certs/2/a.key\"\n";
    desk.writes(&format!("{}{block}", desk.configuration()));
    let [old, new, second, foreign] =
        [&NAMES[..], &NAMES, &["second.example"], &["foreign.example"]].map(|names| desk.identity(names));
    for (name, identity, day) in [
        ("nuncio.example", &old, 1),
        ("nuncio.example-0001", &new, 2),
        ("second.example", &second, 1),
        ("foreign.example", &foreign, 1),
    ] {
        let lineage = desk.lineage(name, identity);
        let date = format!("2026-01-0{day}");
        let mut touch = Command::new("touch");
        assert!(
            touch.args(["--date", &date, &format!("{lineage}/fullchain.pem")]).status().unwrap().success()
        );
    }
    let live = desk.directory.join("live");
    let told = desk.succeeds(&[], &[("NUNCIO_CERTBOT_LIVE", live.to_str().unwrap())]);
    assert!(told.contains("foreign.example/fullchain.pem is for no name in "), "{told}");
    desk.holds_pair("nuncio.example", &new);
    desk.holds_pair("2/a", &second);
    assert!(!desk.target("foreign.example", "crt").exists());

    // Again, nothing changes.
    let told = desk.succeeds(&[], &[("NUNCIO_CERTBOT_LIVE", live.to_str().unwrap())]);
    assert_eq!(told.matches("is this certificate already").count(), 2, "{told}");
    let told = desk.succeeds(&["--dry-run", "--lineage", &desk.lineage("nuncio.example", &old)], &[]);
    assert!(told.contains("would install "), "{told}");
    desk.holds_pair("nuncio.example", &new);
}

#[test]
fn a_bad_pair_is_refused_and_the_old_one_stays() {
    let desk = Desk::new();
    let old = desk.identity(&NAMES);
    desk.puts_pair("nuncio.example", &old);
    let node = desk.runs();
    let expired = desk.network.authority.certificate(&NAMES).expired().issue();
    let (one, other) = (desk.identity(&NAMES), desk.identity(&NAMES));
    let mixed = Identity { key: other.key.clone(), ..one.clone() };
    for (identity, reason) in
        [(&mixed, "does not belong to the certificate"), (&expired, "expired on "), (&mixed, "domain.key")]
    {
        let told = desk.fails(&[], &[("RENEWED_LINEAGE", &desk.lineage("nuncio.example", identity))]);
        assert!(told.contains("the old certificate stays") && told.contains(reason), "{told}");
        desk.holds_pair("nuncio.example", &old);
    }
    let lineage = desk.lineage("nuncio.example", &one);
    fs::write(Path::new(&lineage).join("fullchain.pem"), "half a certifi").unwrap();
    desk.fails(&["--lineage", &lineage], &[]);
    fs::remove_file(Path::new(&lineage).join("privkey.pem")).unwrap();
    let told = desk.fails(&["--lineage", &lineage], &[]);
    assert!(told.contains("cannot read ") && told.contains("privkey.pem"), "{told}");
    desk.holds_pair("nuncio.example", &old);
    assert!(!node.logged(&["reloaded"]), "{:?}", node.lines());
    assert_eq!(desk.files(), ["nuncio.example.crt", "nuncio.example.key"], "nothing else is left");
}

#[test]
fn the_old_pair_comes_back_if_the_configuration_has_errors() {
    let desk = Desk::new();
    let (old, new) = (desk.identity(&NAMES), desk.identity(&NAMES));
    desk.puts_pair("nuncio.example", &old);
    let node = desk.runs();
    desk.writes(&format!("wrokers = 3\n{}", desk.configuration()));
    let lineage = desk.lineage("nuncio.example", &new);
    let told = desk.fails(&["--lineage", &lineage], &[]);
    for part in ["did you mean \"workers\"?", "the old certificate stays", "no node was reloaded"] {
        assert!(told.contains(part), "no {part} in {told}");
    }
    desk.holds_pair("nuncio.example", &old);
    assert!(!node.logged(&["reloaded"]) && !node.logged(&["reload failed"]), "{:?}", node.lines());

    // Without an old pair there is nothing to come back to: the certificates of two domains come one after the other.
    let block =
        "[[domain]]\nname = \"second.example\"\ncertificate = \"certs/2.crt\"\nkey = \"certs/2.key\"\n";
    desk.writes(&format!("{}{block}", desk.configuration()));
    for ending in ["crt", "key"] {
        fs::remove_file(desk.target("nuncio.example", ending)).unwrap();
    }
    let told = desk.fails(&["--lineage", &lineage], &[]);
    assert!(told.contains("certs/2.crt does not exist") && told.contains("no node was reloaded"), "{told}");
    desk.holds_pair("nuncio.example", &new);
    let second = desk.identity(&["second.example"]);
    let told = desk.succeeds(&["--lineage", &desk.lineage("second.example", &second)], &[]);
    assert!(told.contains("sent SIGHUP"), "{told}");
    desk.holds_pair("2", &second);
    node.logs_within(SOON, &["nuncio::node", "reloaded"]);
}

#[test]
fn a_hook_that_was_killed_between_two_files_is_mended_by_the_next_one() {
    let desk = Desk::new();
    let (old, new) = (desk.identity(&NAMES), desk.identity(&NAMES));
    desk.puts_pair("nuncio.example", &old);
    // What a hook leaves that is killed after it has replaced the key.
    let stage = desk.directory.join("certs/.new.killed");
    fs::create_dir(&stage).unwrap();
    for (from, to) in [("crt", "1.crt.old"), ("key", "1.key.old")] {
        fs::copy(desk.target("nuncio.example", from), stage.join(to)).unwrap();
    }
    let target = |ending| desk.target("nuncio.example", ending).to_str().unwrap().to_owned();
    fs::write(stage.join("1.to"), format!("{}\n{}\n", target("crt"), target("key"))).unwrap();
    fs::write(desk.target("nuncio.example", "key"), new.key.private_key_to_pem_pkcs8().unwrap()).unwrap();

    // This one installs nothing.
    let foreign = desk.lineage("foreign.example", &desk.identity(&["foreign.example"]));
    desk.succeeds(&["--lineage", &foreign], &[]);
    desk.holds_pair("nuncio.example", &old);
    assert!(!stage.exists());
}

#[test]
fn files_elsewhere_and_names_without_files_are_told_apart() {
    let desk = Desk::new();
    let new = desk.identity(&NAMES);
    let lineage = desk.lineage("nuncio.example", &new);
    let elsewhere = desk.configuration().replace("certs/", "certs/../elsewhere/");
    desk.writes(&elsewhere);
    let told = desk.succeeds(&["--lineage", &lineage], &[]);
    assert!(told.contains("are not below ") && told.contains("left alone"), "{told}");
    assert!(!desk.directory.join("elsewhere").exists());

    let without: String = desk
        .configuration()
        .lines()
        .filter(|line| !line.contains("certs/"))
        .fold(String::new(), |text, line| text + line + "\n");
    desk.writes(&without);
    let told = desk.succeeds(&["--lineage", &lineage], &[]);
    assert!(told.contains("has no certificate in ") && told.contains("nuncio.example.crt\""), "{told}");
    desk.holds_pair("nuncio.example", &new);

    fs::remove_file(desk.directory.join("nuncio.toml")).unwrap();
    assert!(desk.succeeds(&["--lineage", &lineage], &[]).contains("nothing to do"));
}

#[test]
fn wrong_usage_is_told_apart_from_failures() {
    let desk = Desk::new();
    for words in [&["--nonsense"][..], &["--key"], &["--key", "k.pem"]] {
        assert_eq!(desk.hook(words, &[]).status.code(), Some(2), "{words:?}");
    }
    let told = desk.fails(&["--group", "no-such-group", "--lineage", "x"], &[]);
    assert!(told.contains("there is no group no-such-group"), "{told}");
    assert!(desk.succeeds(&["--help"], &[]).contains("RENEWED_LINEAGE (certbot)"));
}

/// A node's configuration in a directory of its own, with `certs/`, and certificates elsewhere.
struct Desk {
    network: Network,
    address: Ipv4Addr,
    directory: PathBuf,
}

impl Desk {
    fn new() -> Self {
        let network = Network::new();
        let address = network.address();
        let directory = network.directory("desk").canonicalize().unwrap();
        let programs = directory.join("bin");
        fs::create_dir_all(directory.join("certs")).unwrap();
        fs::create_dir(&programs).unwrap();
        symlink(BINARY, programs.join("nuncio")).unwrap();
        let desk = Self { network, address, directory };
        desk.writes(&desk.configuration());
        desk
    }

    fn configuration(&self) -> String {
        let Self { address, .. } = self;
        format!(
            "workers = 1\n[listen]\ns2s = [\"{address}:5269\"]\ncomponent = [\"{address}:5347\"]\ncontrol = \"\"\n\
             [dns]\nnameservers = [\"{}\"]\n[[component]]\nname = \"echo.nuncio.example\"\nsecret = \"{SECRET}\"\n\
             [[domain]]\nname = \"nuncio.example\"\ncertificate = \"certs/nuncio.example.crt\"\n\
             key = \"certs/nuncio.example.key\"\n",
            self.network.dns.address()
        )
    }

    fn writes(&self, configuration: &str) {
        fs::write(self.directory.join("nuncio.toml"), configuration).unwrap();
    }

    fn identity(&self, names: &[&str]) -> Identity {
        self.network.authority.issue(names)
    }

    /// Writes a certificate and its key to files of the directory, and returns their paths.
    fn puts_files(&self, certificate: &str, key: &str, identity: &Identity) -> (String, String) {
        let [certificate, key] = [certificate, key].map(|name| self.directory.join(name));
        fs::create_dir_all(certificate.parent().unwrap()).unwrap();
        fs::write(&certificate, chain(identity)).unwrap();
        fs::write(&key, identity.key.private_key_to_pem_pkcs8().unwrap()).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        (certificate.to_str().unwrap().to_owned(), key.to_str().unwrap().to_owned())
    }

    /// Writes a pair that the node uses.
    fn puts_pair(&self, name: &str, identity: &Identity) {
        self.puts_files(&format!("certs/{name}.crt"), &format!("certs/{name}.key"), identity);
    }

    /// Writes what certbot has for a certificate, and returns the directory.
    fn lineage(&self, name: &str, identity: &Identity) -> String {
        let file = |ending: &str| format!("live/{name}/{ending}.pem");
        self.puts_files(&file("fullchain"), &file("privkey"), identity);
        self.directory.join("live").join(name).to_str().unwrap().to_owned()
    }

    fn target(&self, name: &str, ending: &str) -> PathBuf {
        self.directory.join(format!("certs/{name}.{ending}"))
    }

    /// The names in `certs/`, without the lock.
    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.directory.join("certs")).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.retain(|name| name != ".lock");
        names.sort();
        names
    }

    #[track_caller]
    fn holds_pair(&self, name: &str, identity: &Identity) {
        let read = |ending| fs::read(self.target(name, ending)).unwrap();
        assert!(read("crt") == chain(identity), "another certificate");
        assert!(read("key") == identity.key.private_key_to_pem_pkcs8().unwrap(), "another key");
    }

    /// Starts the node.
    #[track_caller]
    fn runs(&self) -> Process {
        let file = self.directory.join("nuncio.toml");
        let arguments = ["run", "--config", file.to_str().unwrap()];
        let directory = self.network.directory("node");
        let node = Process::start("nuncio.example", &directory, BINARY, &arguments, &[("RUST_LOG", "info")]);
        node.logs_within(SOON, &["ready", &format!("{}:5269", self.address)]);
        node
    }

    /// The serial number of the certificate that the node shows.
    fn serial(&self) -> String {
        let mut peer = Peer::dials(self.address);
        peer.starts_tls("peer.example", "nuncio.example", None);
        peer.certified_serial()
    }

    fn hook(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
        let mut command = Command::new("sh");
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/config/deploy-hook")).args(arguments);
        for variable in ["RENEWED_LINEAGE", "CERT_FULLCHAIN_PATH", "CERT_KEY_PATH", "LEGO_CERT_PATH"] {
            command.env_remove(variable);
        }
        let path = format!("{}/bin:{}", self.directory.display(), std::env::var("PATH").unwrap());
        let group = fs::metadata(&self.directory).unwrap().gid().to_string();
        let groups = fs::read_to_string("/etc/group").unwrap();
        let line = groups.lines().find(|line| line.split(':').nth(2) == Some(&group));
        let name = line.and_then(|line| line.split(':').next()).expect("the group of this user");
        command
            .env("PATH", path)
            .env("NUNCIO_GROUP", name)
            .env("NUNCIO_CONFIG", self.directory.join("nuncio.toml"));
        command.envs(variables.iter().copied()).current_dir("/").output().unwrap()
    }

    #[track_caller]
    fn ends(&self, status: i32, arguments: &[&str], variables: &[(&str, &str)]) -> String {
        let output = self.hook(arguments, variables);
        let told = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
        assert_eq!(output.status.code(), Some(status), "{told}");
        told
    }

    #[track_caller]
    fn succeeds(&self, arguments: &[&str], variables: &[(&str, &str)]) -> String {
        self.ends(0, arguments, variables)
    }

    #[track_caller]
    fn fails(&self, arguments: &[&str], variables: &[(&str, &str)]) -> String {
        self.ends(1, arguments, variables)
    }
}

fn chain(identity: &Identity) -> Vec<u8> {
    identity.chain.iter().flat_map(|certificate| certificate.to_pem().unwrap()).collect()
}

fn serial(identity: &Identity) -> String {
    identity.certificate().serial_number().to_bn().unwrap().to_hex_str().unwrap().to_string()
}

const NAMES: [&str; 2] = ["nuncio.example", "echo.nuncio.example"];
