//! Users and groups of this machine, from /etc/passwd and /etc/group, and who may use a file.

use std::{fs, io, os::unix::fs::MetadataExt as _, path::Path};

/// A user and its groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) name: String,
    id: u32,
    group: u32,
    /// The further groups.
    groups: Vec<u32>,
}

impl User {
    /// The user with this name or number; `None` if there is none.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let users = fs::read_to_string("/etc/passwd").ok()?;
        let groups = fs::read_to_string("/etc/group").unwrap_or_default();
        Self::find(name, &users, &groups)
    }

    /// The user with this name or number in the lines of /etc/passwd, with its groups in those of /etc/group.
    pub(crate) fn find(name: &str, users: &str, groups: &str) -> Option<Self> {
        let fields = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
        let is_user = |fields: &&Vec<&str>| fields.first() == Some(&name) || fields.get(2) == Some(&name);
        let entries: Vec<_> = fields.collect();
        let entry = entries.iter().find(is_user)?;
        let name = (*entry.first()?).to_owned();
        let (id, group) = (entry.get(2)?.parse().ok()?, entry.get(3)?.parse().ok()?);
        let further = groups.lines().filter_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            fields.get(3)?.split(',').any(|member| member == name).then(|| fields.get(2)?.parse().ok())?
        });
        let groups = further.collect();
        Some(Self { name, id, group, groups })
    }

    /// Replaces the first group, and adds further ones, by name or number. Unknown groups are left out.
    pub(crate) fn joins(&mut self, first: Option<&str>, further: &[String]) {
        let table = fs::read_to_string("/etc/group").unwrap_or_default();
        let number = |name: &str| name.parse().ok().or_else(|| id_of_name(&table, name));
        self.group = first.and_then(number).unwrap_or(self.group);
        self.groups.extend(further.iter().filter_map(|name| number(name)));
    }

    /// Whether the user can give files to the group.
    pub(crate) fn is_in(&self, group: u32) -> bool {
        self.id == 0 || self.group == group || self.groups.contains(&group)
    }

    /// The number of the user.
    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// The number of its first group.
    pub(crate) fn group(&self) -> u32 {
        self.group
    }

    /// The numbers of its further groups.
    pub(crate) fn groups(&self) -> &[u32] {
        &self.groups
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
    let group = (found.mode() & READABLE_BY_GROUP != 0).then(|| name("/etc/group", found.gid()));
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

/// S_IRGRP.
const READABLE_BY_GROUP: u32 = 0o040;

#[cfg(test)]
mod tests {
    use super::*;

    const USERS: &str =
        "root:x:0:0:root:/root:/bin/sh\nnuncio:x:110:115::/var/lib/nuncio:/usr/sbin/nologin\n";
    const GROUPS: &str = "root:x:0:\nnuncio:x:115:\nssl-cert:x:120:postgres,nuncio\nadm:x:4:nuncio2\n";

    #[test]
    fn a_user_has_a_first_group_and_further_ones() {
        let user = User::find("nuncio", USERS, GROUPS).unwrap();
        assert_eq!((user.id(), user.group(), user.groups()), (110, 115, &[120][..]));
        assert_eq!(User::find("110", USERS, GROUPS), Some(user.clone()));
        assert_eq!(User::find("nobody-here", USERS, GROUPS), None);
        assert!(user.is_in(115) && user.is_in(120) && !user.is_in(4));
        assert_eq!((id_of_name(GROUPS, "ssl-cert"), id_of_name(GROUPS, "ssl")), (Some(120), None));
        assert_eq!(group("4711"), Ok(4711));
        assert!(group("no-such-group").is_err() && group(&u32::MAX.to_string()).is_err());
    }

    #[test]
    fn a_user_joins_groups_by_name_and_number() {
        let mut user = User::find("nuncio", USERS, GROUPS).unwrap();
        user.joins(Some("64123"), &["root".to_owned(), "64124".to_owned(), "no-such-group".to_owned()]);
        assert_eq!((user.group(), user.groups()), (64_123, &[120, 0, 64_124][..]));
        assert_eq!(id_of_name(GROUPS, "ssl-cert"), Some(120));
    }

    #[test]
    fn allowed_users_are_named() {
        assert_eq!(name_of_id(USERS, 110), "nuncio");
        assert_eq!(name_of_id(USERS, 7), "7");
        assert_eq!(join_users("root", Some("nuncio")), "group nuncio or root");
        assert_eq!(join_users("nuncio", None), "user nuncio or root");
    }
}
