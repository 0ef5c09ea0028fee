//! Users and groups of this machine, from /etc/passwd and /etc/group, and the files that a user may read or enter.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// A user and its groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) name: String,
    id: u32,
    groups: Vec<u32>,
}

impl User {
    /// The user with this name; `None` if there is none.
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

    /// The file, or the directory above it, whose owner and mode keep this user from reading the file.
    pub(crate) fn unreadable_part(&self, path: &Path) -> Option<PathBuf> {
        // For a symbolic link the target and its directories count.
        let whole = path.canonicalize().ok()?;
        let mut above: Vec<&Path> = whole.ancestors().skip(1).collect();
        above.reverse();
        let unreadable = above.into_iter().find(|directory| !self.may(directory, EXECUTE));
        unreadable.or_else(|| Some(whole.as_path()).filter(|file| !self.may(file, READ))).map(Path::to_owned)
    }

    /// Whether the user can give files to the group.
    pub(crate) fn is_in(&self, group: u32) -> bool {
        self.id == 0 || self.groups.contains(&group)
    }

    fn may(&self, path: &Path, bit: u32) -> bool {
        // Without metadata nothing is known, and no problem is reported.
        fs::metadata(path)
            .map_or(true, |found| self.mode_permits(found.uid(), found.gid(), found.mode(), bit))
    }

    fn mode_permits(&self, owner: u32, group: u32, mode: u32, bit: u32) -> bool {
        match () {
            () if self.id == 0 => true,
            () if self.id == owner => mode & (bit << 6) != 0,
            () if self.groups.contains(&group) => mode & (bit << 3) != 0,
            () => mode & bit != 0,
        }
    }
}

/// The id of a group: a number, or a name in /etc/group.
///
/// # Errors
/// There is no such group, as a sentence.
pub(crate) fn group(name: &str) -> Result<u32, String> {
    let groups = fs::read_to_string("/etc/group").unwrap_or_default();
    // The largest number means "unchanged" in system calls.
    let found = name.parse().ok().filter(|id| *id != u32::MAX).or_else(|| id_of_name(&groups, name));
    found.ok_or_else(|| {
        format!("\"{name}\" is not a group in /etc/group: create it (`groupadd {name}`), or give its number")
    })
}

fn id_of_name(table: &str, name: &str) -> Option<u32> {
    table.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        (fields.first() == Some(&name)).then(|| fields.get(2)?.parse().ok())?
    })
}

/// Whether this process runs as root.
pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|found| found.uid() == 0)
}

/// The users that may use a file that this process may not: `user nuncio, group nuncio or root`.
pub(crate) fn allowed_users(path: &Path) -> String {
    let Ok(found) = fs::metadata(path) else { return "root".to_owned() };
    let name = |file: &str, id: u32| name_of_id(&fs::read_to_string(file).unwrap_or_default(), id);
    let owner = name("/etc/passwd", found.uid());
    let group = (found.mode() & (READ << 3) != 0).then(|| name("/etc/group", found.gid()));
    join_users(&owner, group.as_deref())
}

fn join_users(owner: &str, group: Option<&str>) -> String {
    match (owner, group) {
        ("root", None) => "root".to_owned(),
        ("root", Some(group)) => format!("group {group} or root"),
        (owner, None) => format!("user {owner} or root"),
        (owner, Some(group)) => format!("user {owner}, group {group} or root"),
    }
}

fn name_of_id(table: &str, id: u32) -> String {
    let found = table.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        (fields.get(2)?.parse() == Ok(id)).then(|| fields.first().map(|name| (*name).to_owned()))?
    });
    found.unwrap_or_else(|| id.to_string())
}

/// The remedy for a denied permission; `None` for other errors.
pub(crate) fn help_if_denied(path: &Path, error: &io::Error) -> Option<String> {
    (error.kind() == io::ErrorKind::PermissionDenied).then(|| match allowed_users(path).as_str() {
        // The user of the node is not root.
        "root" => let_node_read(path),
        users => format!("run this as {users}"),
    })
}

/// How to let the user of the node read a file.
pub(crate) fn let_node_read(path: &Path) -> String {
    let path = path.display();
    format!("let the user of the node read it: chown root:nuncio {path}; chmod 640 {path}")
}

/// S_IROTH. The bit of the group is three places further left, that of the owner six.
const READ: u32 = 0o4;

/// S_IXOTH, at the same distances.
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
        assert!(user.is_in(115) && user.is_in(120) && !user.is_in(4));
        assert_eq!((id_of_name(GROUPS, "ssl-cert"), id_of_name(GROUPS, "ssl")), (Some(120), None));
        assert_eq!(group("4711"), Ok(4711));
        assert!(group("no-such-group").is_err() && group(&u32::MAX.to_string()).is_err());
    }

    #[test]
    fn the_bits_of_the_owner_win_over_those_of_the_group_and_these_over_those_of_all() {
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
            assert_eq!(user.mode_permits(owner, group, mode, READ), may, "{owner} {group} {mode:o}");
        }
    }

    #[test]
    fn a_directory_above_a_file_may_be_the_unreadable_part() {
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
        assert_eq!(user.unreadable_part(&file), None);
        mode(&file, 0o600);
        assert_eq!(user.unreadable_part(&file), Some(file.canonicalize().unwrap()));
        mode(&closed, 0o700);
        assert_eq!(user.unreadable_part(&file), Some(closed.canonicalize().unwrap()));
        fs::remove_dir_all(&base).unwrap();
    }

    #[test]
    fn allowed_users_are_named() {
        assert_eq!(name_of_id(USERS, 110), "nuncio");
        assert_eq!(name_of_id(USERS, 7), "7");
        assert_eq!(join_users("root", Some("nuncio")), "group nuncio or root");
        assert_eq!(join_users("nuncio", None), "user nuncio or root");
    }
}
