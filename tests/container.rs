//! The content of the container image: the binary and CA certificates suffice for a node that runs as its user.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::{BINARY, Component, Network, Process, SECRET, SOON, needs};

#[test]
fn the_root_of_the_image_has_nothing_but_the_binary_and_ca_certificates() {
    let network = Network::new();
    let root = made(&network);
    let mut files = Vec::new();
    collect(&root, &root, &mut files);
    files.sort();
    let (libraries, others): (Vec<_>, Vec<_>) =
        files.into_iter().partition(|file| file.starts_with("lib") || file.starts_with("usr/lib"));
    assert_eq!(others, ["etc/ssl/certs/ca-certificates.crt", "usr/bin/nuncio"]);
    // Those that .ci/libraries permits. The image has a static binary, and none of them.
    let permitted =
        ["libc.so.6", "libm.so.6", "libgcc_s.so.1", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"];
    let name = |file: &String| file.rsplit('/').next().unwrap().to_owned();
    assert!(libraries.iter().all(|file| permitted.contains(&name(file).as_str())), "{libraries:?}");
}

#[test]
fn a_node_in_the_image_serves_a_component_and_its_health_check_tells_whether_it_runs() {
    let network = Network::new();
    let root = made(&network);
    let address = network.address();
    let configuration = format!(
        "[listen]\ns2s = [\"{address}:5269\"]\ncomponent = [\"{address}:5347\"]\n[dns]\nnameservers = [\"{}\"]\n\
         [journal]\npath = \"/var/lib/nuncio/waiting.redb\"\n[[domain]]\nname = \"nuncio.example\"\n\
         [[component]]\nname = \"inbox.nuncio.example\"\nsecret = \"{SECRET}\"\n",
        network.dns.address()
    );
    fs::write(root.join("etc/nuncio/nuncio.toml"), configuration).unwrap();
    let healthy = || health_check(&root);
    assert_eq!(healthy().status.code(), Some(1), "no node runs yet");

    let (program, words) = inside(&root, &entry_point());
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let node =
        Process::start("image", &network.directory("image"), &program, &words, &[("RUST_LOG", "info")]);
    node.logs_within(SOON, &["ready", &format!("{address}:5269"), "control=/run/nuncio/nuncio.sock"]);
    assert!(root.join("var/lib/nuncio/waiting.redb").exists());
    let mut inbox = Component::connect(address, "inbox.nuncio.example");
    let pong = inbox.asks("nuncio.example", "<ping xmlns='urn:xmpp:ping'/>");
    assert!(pong.is("iq", "result"), "{pong}");
    let told = healthy();
    assert!(told.status.success(), "{told:?}");
    assert!(String::from_utf8_lossy(&told.stdout).contains("inbox.nuncio.example"), "{told:?}");

    node.signal("TERM");
    assert!(node.exit_within(SOON).success());
    assert_eq!(healthy().status.code(), Some(1), "the node has stopped");
}

/// Makes the root of the image, as the Containerfile does, with the binary of this build.
fn made(network: &Network) -> PathBuf {
    let root = network.directory("root").canonicalize().unwrap();
    needs("test -e /etc/ssl/certs/ca-certificates.crt", "ca-certificates");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/config/container/build");
    let output = Command::new(script).arg(&root).arg(BINARY).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    // The Containerfile gives these to the user. Every directory above them has to let that user in.
    if is_root() {
        for directory in ["run/nuncio", "var/lib/nuncio"] {
            std::os::unix::fs::chown(root.join(directory), Some(USER), Some(USER)).unwrap();
        }
    }
    root
}

/// The paths of all files below a directory, from `root` on.
fn collect(root: &Path, directory: &Path, files: &mut Vec<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, files);
        } else {
            files.push(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
        }
    }
}

/// The program and arguments that run a command in the root, as the user of the image. Without root this user becomes the
/// root of a namespace, which may use chroot.
fn inside(root: &Path, command: &[String]) -> (String, Vec<String>) {
    let root = root.to_str().unwrap().to_owned();
    let (program, mut words) = if is_root() {
        ("chroot", vec![format!("--userspec={USER}:{USER}"), root])
    } else {
        needs("unshare --user --map-root-user true", "util-linux, and user namespaces");
        ("unshare", vec!["--user".to_owned(), "--map-root-user".to_owned(), "chroot".to_owned(), root])
    };
    words.extend(command.iter().cloned());
    (program.to_owned(), words)
}

fn health_check(root: &Path) -> Output {
    let line = instruction("HEALTHCHECK");
    let (program, words) = inside(root, &words_of(line.split(" CMD ").nth(1).unwrap()));
    Command::new(program).args(words).current_dir("/").output().unwrap()
}

/// What the image runs.
fn entry_point() -> Vec<String> {
    [words_of(&instruction("ENTRYPOINT")), words_of(&instruction("CMD"))].concat()
}

/// The words of a list such as `["/usr/bin/nuncio", "run"]`.
fn words_of(list: &str) -> Vec<String> {
    serde_json::from_str(list).unwrap()
}

/// The arguments of an instruction of the Containerfile.
fn instruction(name: &str) -> String {
    let text = include_str!("../config/container/Containerfile");
    let mut found = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    found.next_back().unwrap().to_owned()
}

fn is_root() -> bool {
    std::os::unix::fs::MetadataExt::uid(&fs::metadata("/proc/self").unwrap()) == 0
}

/// The user of the image.
const USER: u32 = 10_469;
