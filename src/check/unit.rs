//! The systemd unit of the node, if one is installed: its user, and the directories that it creates, hides or protects.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// What the unit says about files.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Unit {
    /// `User=`. Without it the service runs as root.
    pub(super) user: Option<String>,
    /// `Group=`: replaces the first group of the user.
    pub(super) group: Option<String>,
    /// `SupplementaryGroups=`: further groups, beside those of the user.
    pub(super) groups: Vec<String>,
    /// `StateDirectory=`, `RuntimeDirectory=`, `CacheDirectory=`, `LogsDirectory=`: systemd creates them, and the user owns
    /// them.
    made: Vec<PathBuf>,
    /// `ReadWritePaths=`.
    writable: Vec<PathBuf>,
    /// `ProtectHome=` makes the directories of users invisible.
    hides_homes: bool,
    /// `PrivateTmp=`: the service has directories for temporary files of its own.
    hides_temporary: bool,
    /// `ProtectSystem=`.
    protects: Protection,
    /// `PrivateUsers=`: for the service, groups other than its own do not exist.
    has_own_users: bool,
    /// `SystemCallFilter=`.
    calls: Calls,
}

/// Whether the system call filter lets the service give a file to another group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Calls {
    /// There is no filter.
    #[default]
    All,
    WithChown,
    WithoutChown,
}

/// Which directories the service cannot write, whatever their permissions are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Protection {
    #[default]
    Nothing,
    /// Some directories of the system, which contain no files of a node anyway, and `/etc` with `full`.
    Etc,
    /// `strict`: everything.
    All,
}

impl Unit {
    /// The unit below `root`, which is `/` except in tests. `None` if no unit is installed.
    pub(super) fn installed(root: &Path) -> Option<Self> {
        let directories = DIRECTORIES.map(|directory| root.join(directory));
        let main = directories.iter().find_map(|directory| fs::read_to_string(directory.join(NAME)).ok())?;
        // Of drop-ins with the same name the first counts; they apply in the order of their names.
        let mut drop_ins = BTreeMap::new();
        for directory in &directories {
            let entries = fs::read_dir(directory.join(NAME).with_extension("service.d"));
            for entry in entries.into_iter().flatten().flatten() {
                if entry.path().extension().is_some_and(|ending| ending == "conf") {
                    drop_ins.entry(entry.file_name()).or_insert_with(|| entry.path());
                }
            }
        }
        let mut unit = Self::default();
        unit.apply(&main);
        drop_ins.values().filter_map(|path| fs::read_to_string(path).ok()).for_each(|text| unit.apply(&text));
        Some(unit)
    }

    /// Whether systemd creates the directory for the service, or one above it.
    pub(super) fn makes(&self, directory: &Path) -> bool {
        // A symbolic link of every system.
        let run = directory.strip_prefix("/var/run").map(|rest| Path::new("/run").join(rest));
        let directory = run.as_deref().unwrap_or(directory);
        self.made.iter().any(|made| directory.starts_with(made))
    }

    /// The setting that hides the file from the service.
    pub(super) fn hides(&self, file: &Path) -> Option<&'static str> {
        let is_below = |directories: &[&str]| directories.iter().any(|directory| file.starts_with(directory));
        match () {
            () if self.hides_homes && is_below(&HOMES) => Some("ProtectHome="),
            () if self.hides_temporary && is_below(&TEMPORARY) => Some("PrivateTmp="),
            () => None,
        }
    }

    /// The setting that keeps the service from writing there.
    pub(super) fn protects(&self, path: &Path) -> Option<&'static str> {
        let is_protected = match self.protects {
            Protection::Nothing => false,
            Protection::Etc => path.starts_with("/etc"),
            Protection::All => !OTHER_FILE_SYSTEMS.iter().any(|directory| path.starts_with(directory)),
        };
        let is_writable = self.makes(path) || self.writable.iter().any(|writable| path.starts_with(writable));
        // With PrivateTmp= the directories for temporary files can be written, whatever ProtectSystem= says.
        let is_temporary =
            self.hides_temporary && TEMPORARY.iter().any(|directory| path.starts_with(directory));
        (is_protected && !is_writable && !is_temporary).then_some("ProtectSystem=")
    }

    /// The settings that keep the service from giving a file to a group other than its own, as they would have to be.
    pub(super) fn lacks_for_groups(&self) -> Vec<&'static str> {
        let users = self.has_own_users.then_some("PrivateUsers=no");
        let calls = (self.calls == Calls::WithoutChown).then_some("SystemCallFilter=@chown");
        users.into_iter().chain(calls).collect()
    }

    fn apply(&mut self, text: &str) {
        let joined = text.replace("\\\n", " ");
        let mut in_service = false;
        for line in joined.lines().map(str::trim) {
            if line.starts_with('[') {
                in_service = line == "[Service]";
            } else if in_service
                && !line.starts_with(['#', ';'])
                && let Some((key, value)) = line.split_once('=')
            {
                self.set(key.trim_end(), value.trim());
            }
        }
    }

    fn set(&mut self, key: &str, value: &str) {
        let some = || Some(value.to_owned()).filter(|value| !value.is_empty());
        let is_on = ["yes", "true", "on", "1"].contains(&value.to_ascii_lowercase().as_str());
        match key {
            "User" => self.user = some(),
            "Group" => self.group = some(),
            "SupplementaryGroups" => extend(&mut self.groups, value, str::to_owned),
            "StateDirectory" => self.set_made("/var/lib", value),
            "RuntimeDirectory" => self.set_made("/run", value),
            "CacheDirectory" => self.set_made("/var/cache", value),
            "LogsDirectory" => self.set_made("/var/log", value),
            "ReadWritePaths" => extend(&mut self.writable, value, |path| {
                // A minus: the path need not exist. A plus: it is below RootDirectory=.
                PathBuf::from(path.trim_start_matches(['-', '+']))
            }),
            // With read-only the directories are visible.
            "ProtectHome" => self.hides_homes = is_on || value.eq_ignore_ascii_case("tmpfs"),
            "PrivateTmp" => self.hides_temporary = is_on || value.eq_ignore_ascii_case("disconnected"),
            "PrivateUsers" => self.has_own_users = is_on || ["self", "identity"].contains(&value),
            "SystemCallFilter" => self.filter_calls(value),
            "ProtectSystem" => {
                self.protects = match value.to_ascii_lowercase().as_str() {
                    "strict" => Protection::All,
                    "full" => Protection::Etc,
                    _ => Protection::Nothing,
                };
            }
            _ => {}
        }
    }

    /// Applies a list of system calls: the calls that are allowed, or after `~` those that are not.
    fn filter_calls(&mut self, list: &str) {
        let (is_denied, list) = list.strip_prefix('~').map_or((false, list), |list| (true, list));
        // `call:ERROR` says what the call returns.
        let has_chown =
            list.split_whitespace().any(|name| CHOWN.contains(&name.split(':').next().unwrap_or_default()));
        self.calls = match (self.calls, has_chown) {
            _ if list.is_empty() => Calls::All,
            (_, true) if is_denied => Calls::WithoutChown,
            (_, true) => Calls::WithChown,
            (Calls::All, false) if !is_denied => Calls::WithoutChown,
            (calls, false) => calls,
        };
    }

    /// Adds directories below `above` that systemd creates. An empty value removes them.
    fn set_made(&mut self, above: &str, value: &str) {
        if value.is_empty() {
            self.made.retain(|made| !made.starts_with(above));
        }
        // `name:link` names a symbolic link too.
        let names = value.split_whitespace().filter_map(|name| name.split(':').next());
        self.made.extend(names.map(|name| Path::new(above).join(name)));
    }
}

/// Adds the words of `value` to a list. An empty value empties the list.
fn extend<T>(list: &mut Vec<T>, value: &str, read: impl Fn(&str) -> T) {
    if value.is_empty() {
        list.clear();
    }
    list.extend(value.split_whitespace().map(read));
}

/// The name of the unit in the package and in the documentation.
const NAME: &str = "nuncio.service";

/// Where systemd looks for units (systemd.unit(5)), without the leading slash. The first one wins.
const DIRECTORIES: [&str; 5] = [
    "etc/systemd/system",
    "run/systemd/system",
    "usr/local/lib/systemd/system",
    "usr/lib/systemd/system",
    "lib/systemd/system",
];

/// The system calls that give a file to a group, and the sets of systemd that contain them.
const CHOWN: [&str; 7] =
    ["@chown", "@privileged", "@system-service", "chown", "fchown", "lchown", "fchownat"];

/// The directories that `ProtectHome=` hides.
const HOMES: [&str; 3] = ["/home", "/root", "/run/user"];

/// The directories that `PrivateTmp=` replaces.
const TEMPORARY: [&str; 2] = ["/tmp", "/var/tmp"];

/// `ProtectSystem=strict` does not protect these, which have settings of their own.
const OTHER_FILE_SYSTEMS: [&str; 3] = ["/dev", "/proc", "/sys"];

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(text: &str) -> Unit {
        let mut unit = Unit::default();
        unit.apply(text);
        unit
    }

    #[test]
    fn the_unit_of_the_package_has_its_own_directories_and_hides_those_of_users() {
        let unit = unit(include_str!("../../config/systemd/nuncio.service"));
        assert_eq!((unit.user.as_deref(), unit.group.as_deref()), (Some("nuncio"), Some("nuncio")));
        let path = Path::new("/var/lib/nuncio/waiting.redb");
        assert!(unit.makes(path) && unit.protects(path).is_none() && unit.hides(path).is_none());
        for path in ["/run/nuncio/nuncio.sock", "/var/run/nuncio/nuncio.sock"].map(Path::new) {
            assert!(unit.makes(path) && unit.protects(path).is_none());
        }
        assert_eq!(unit.protects(Path::new("/srv/nuncio/waiting.redb")), Some("ProtectSystem="));
        assert_eq!(unit.hides(Path::new("/root/keys/example.org.key")), Some("ProtectHome="));
        assert_eq!(unit.hides(Path::new("/tmp/example.org.key")), Some("PrivateTmp="));
        assert_eq!(unit.hides(Path::new("/etc/nuncio/certs/example.org.key")), None);
        assert!(!unit.makes(Path::new("/var/lib/nuncio2")));
    }

    #[test]
    fn the_last_value_of_the_section_counts_and_an_empty_one_clears_a_list() {
        let unit = unit(
            "[Unit]\nUser=wrong\n[Service]\nUser=a\n#User=c\nUser = b \nSupplementaryGroups=x y\nSupplementaryGroups=\n\
             SupplementaryGroups=ssl-cert \\\n  adm\nReadWritePaths=-/srv/nuncio\nProtectSystem=strict\nProtectHome=read-only\n",
        );
        assert_eq!(unit.user.as_deref(), Some("b"));
        assert_eq!(unit.groups, ["ssl-cert", "adm"]);
        assert_eq!(unit.protects(Path::new("/srv/nuncio/waiting.redb")), None);
        assert_eq!(unit.hides(Path::new("/home/a/key")), None);
    }

    #[test]
    fn the_unit_of_the_package_cannot_give_a_socket_to_a_group_before_the_drop_in_of_the_documentation() {
        let package = include_str!("../../config/systemd/nuncio.service");
        let mut unit = unit(package);
        assert_eq!(unit.lacks_for_groups(), ["PrivateUsers=no", "SystemCallFilter=@chown"]);
        let documentation = include_str!("../../docs/operation.md");
        let drop_in = documentation.split("```ini\n[Service]\nSupplementaryGroups=").nth(1).unwrap();
        unit.apply(&format!("[Service]\nSupplementaryGroups={}", drop_in.split("```").next().unwrap()));
        assert!(unit.lacks_for_groups().is_empty(), "{unit:?}");
        assert_eq!(unit.groups, ["xmpp-components"]);
    }

    #[test]
    fn system_call_filters_add_up() {
        for (filters, is_without) in [
            (&[][..], false),
            (&["@system-service"], false),
            (&["@basic-io"], true),
            (&["@system-service", "~@privileged"], true),
            (&["@system-service", "~@privileged", ""], false),
            (&["@system-service", "~@chown:EPERM", "fchownat chown"], false),
            (&["~@mount"], false),
            (&["~chown"], true),
        ] {
            let mut unit = Unit::default();
            filters.iter().for_each(|filter| unit.set("SystemCallFilter", filter));
            assert_eq!(!unit.lacks_for_groups().is_empty(), is_without, "{filters:?}");
        }
    }

    #[test]
    fn drop_ins_are_applied_in_the_order_of_their_names() {
        let root = std::env::temp_dir().join(format!("nuncio-unit-{}", std::process::id()));
        assert_eq!(Unit::installed(&root), None);
        let write = |path: &str, text: &str| {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("usr/lib/systemd/system/nuncio.service", "[Service]\nUser=package\nGroup=package\n");
        write("etc/systemd/system/nuncio.service.d/20-b.conf", "[Service]\nUser=second\n");
        write("usr/lib/systemd/system/nuncio.service.d/20-b.conf", "[Service]\nGroup=overridden\n");
        write("usr/lib/systemd/system/nuncio.service.d/10-a.conf", "[Service]\nUser=first\n");
        write("etc/systemd/system/nuncio.service.d/note.txt", "[Service]\nUser=none\n");
        let unit = Unit::installed(&root).unwrap();
        fs::remove_dir_all(&root).unwrap();
        assert_eq!((unit.user.as_deref(), unit.group.as_deref()), (Some("second"), Some("package")));
    }
}
