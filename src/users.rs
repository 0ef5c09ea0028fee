//! Users and groups of this machine, from /etc/passwd and /etc/group, and what a user's mode bits let him read.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// A user with all of its groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) name: String,
    id: u32,
    groups: Vec<u32>,
}

impl User {
    /// The user of that name, if there is one.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let users = fs::read_to_string("/etc/passwd").ok()?;
        let groups = fs::read_to_string("/etc/group").unwrap_or_default();
        Self::find(name, &users, &groups)
    }

    fn find(name: &str, users: &str, groups: &str) -> Option<Self> {
        let fields = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
        let entry = fields.into_iter().find(|fields| fields.first() == Some(&name))?;
        let (id, first) = (entry.get(2)?.parse().ok()?, entry.get(3)?.parse().ok()?);
        let further = groups.lines().filter_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            fields.get(3)?.split(',').any(|member| member == name).then(|| fields.get(2)?.parse().ok())?
        });
        Some(Self { name: name.to_owned(), id, groups: std::iter::once(first).chain(further).collect() })
    }

    /// What keeps this user from reading a file, by owners and modes: the file, or a directory above it.
    pub(crate) fn kept_from(&self, path: &Path) -> Option<PathBuf> {
        // A link counts as what it leads to, and so do the directories there.
        let whole = path.canonicalize().ok()?;
        let mut above: Vec<&Path> = whole.ancestors().skip(1).collect();
        above.reverse();
        let closed = above.into_iter().find(|directory| !self.may(directory, EXECUTE));
        closed.or_else(|| Some(whole.as_path()).filter(|file| !self.may(file, READ))).map(Path::to_owned)
    }

    fn may(&self, path: &Path, bit: u32) -> bool {
        // What cannot be looked at cannot be judged.
        fs::metadata(path).map_or(true, |found| self.has(found.uid(), found.gid(), found.mode(), bit))
    }

    fn has(&self, owner: u32, group: u32, mode: u32, bit: u32) -> bool {
        match () {
            () if self.id == 0 => true,
            () if self.id == owner => mode & (bit << 6) != 0,
            () if self.groups.contains(&group) => mode & (bit << 3) != 0,
            () => mode & bit != 0,
        }
    }
}

/// Whether root runs this.
pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|found| found.uid() == 0)
}

/// Who may use a file that we may not, in words: `user nuncio, group nuncio or root`.
pub(crate) fn who_may(path: &Path) -> String {
    let Ok(found) = fs::metadata(path) else { return "root".to_owned() };
    let name = |file: &str, id: u32| name_in(&fs::read_to_string(file).unwrap_or_default(), id);
    let owner = name("/etc/passwd", found.uid());
    let group = (found.mode() & (READ << 3) != 0).then(|| name("/etc/group", found.gid()));
    in_words(&owner, group.as_deref())
}

fn in_words(owner: &str, group: Option<&str>) -> String {
    match (owner, group) {
        ("root", None) => "root".to_owned(),
        ("root", Some(group)) => format!("group {group} or root"),
        (owner, None) => format!("user {owner} or root"),
        (owner, Some(group)) => format!("user {owner}, group {group} or root"),
    }
}

fn name_in(table: &str, id: u32) -> String {
    let found = table.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        (fields.get(2)?.parse() == Ok(id)).then(|| fields.first().map(|name| (*name).to_owned()))?
    });
    found.unwrap_or_else(|| id.to_string())
}

/// Adds to an error of the system who may do what we may not.
pub(crate) fn permission(path: &Path, error: &io::Error) -> Option<String> {
    (error.kind() == io::ErrorKind::PermissionDenied).then(|| format!("run this as {}", who_may(path)))
}

/// S_IROTH; of the group it is three bits further, of the owner six.
const READ: u32 = 0o4;

/// S_IXOTH.
const EXECUTE: u32 = 0o1;

#[cfg(test)]
mod tests {
    use super::*;

    const USERS: &str =
        "root:x:0:0:root:/root:/bin/sh\nnuncio:x:110:115::/var/lib/nuncio:/usr/sbin/nologin\n";
    const GROUPS: &str = "root:x:0:\nnuncio:x:115:\nssl-cert:x:120:postgres,nuncio\nadm:x:4:nuncio2\n";

    #[test]
    fn a_user_has_a_first_group_and_further_ones() {
        let user = User::find("nuncio", USERS, GROUPS).unwrap();
        assert_eq!(user, User { name: "nuncio".to_owned(), id: 110, groups: vec![115, 120] });
        assert_eq!(User::find("nobody-here", USERS, GROUPS), None);
    }

    #[test]
    fn mode_bits_are_those_of_the_owner_then_the_group_then_all() {
        let user = User::find("nuncio", USERS, GROUPS).unwrap();
        for (owner, group, mode, may) in [
            (0, 0, 0o600, false),
            (0, 120, 0o640, true),
            (0, 115, 0o640, true),
            (0, 0, 0o644, true),
            (110, 0, 0o400, true),
            (110, 115, 0o044, false),
            (0, 115, 0o604, false),
        ] {
            assert_eq!(user.has(owner, group, mode, READ), may, "{owner} {group} {mode:o}");
        }
    }

    #[test]
    fn a_directory_above_can_be_what_is_closed() {
        let user = User { name: "x".to_owned(), id: u32::MAX - 1, groups: vec![u32::MAX - 1] };
        let base = std::env::temp_dir().join(format!("nuncio-users-{}", std::process::id()));
        let closed = base.join("live");
        fs::create_dir_all(&closed).unwrap();
        let file = closed.join("key.pem");
        fs::write(&file, "x").unwrap();
        let mode = |path: &Path, mode| {
            fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        };
        mode(&base, 0o755);
        mode(&closed, 0o755);
        mode(&file, 0o644);
        assert_eq!(user.kept_from(&file), None);
        mode(&file, 0o600);
        assert_eq!(user.kept_from(&file), Some(file.canonicalize().unwrap()));
        mode(&closed, 0o700);
        assert_eq!(user.kept_from(&file), Some(closed.canonicalize().unwrap()));
        fs::remove_dir_all(&base).unwrap();
    }

    #[test]
    fn who_may_is_said_by_name() {
        assert_eq!(name_in(USERS, 110), "nuncio");
        assert_eq!(name_in(USERS, 7), "7");
        assert_eq!(in_words("root", Some("nuncio")), "group nuncio or root");
        assert_eq!(in_words("nuncio", None), "user nuncio or root");
    }
}
