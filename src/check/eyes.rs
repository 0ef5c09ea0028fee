//! Tries out whether another user can use a file, with the rights of that user. So groups, access control lists and
//! every directory above the file count, as they do for the node.

use std::{
    io,
    path::{Path, PathBuf},
    thread,
};

use rustix::{
    fs::{Access, Gid, Uid, access},
    thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid},
};

use crate::users::User;

/// The purpose for which a user needs a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// To read it.
    Read,
    /// To write it, and to create files if it is a directory.
    Write,
}

/// Runs `look` with the rights of `user`, and returns what it returns.
///
/// # Errors
/// This process is not root, or may not change its user.
pub(super) fn as_user<T: Send>(user: &User, look: impl FnOnce() -> T + Send) -> io::Result<T> {
    // On Linux, users and groups are those of a thread, not of a process. This thread ends with the function.
    thread::scope(|scope| {
        let looking = scope.spawn(|| {
            become_user(user)?;
            Ok(look())
        });
        looking.join().unwrap_or_else(|_| Err(io::Error::other("a panic")))
    })
}

/// Gives this thread the groups and the user. The user is last: with it the thread loses its capabilities.
fn become_user(user: &User) -> io::Result<()> {
    let groups: Vec<Gid> = user.groups().iter().copied().map(Gid::from_raw).collect();
    let group = Gid::from_raw(user.group());
    let user = Uid::from_raw(user.id());
    set_thread_groups(&groups)?;
    set_thread_res_gid(group, group, group)?;
    set_thread_res_uid(user, user, user)?;
    Ok(())
}

/// The file, or the directory above it, that keeps the user of this thread from using `path`; `None` if nothing does, or if
/// the file does not exist.
///
/// `target` is `path` with all symbolic links resolved, if that is another path: the user may not be able to resolve them.
pub(super) fn obstacle(path: &Path, target: Option<&Path>, purpose: Use) -> Option<PathBuf> {
    let wanted = match purpose {
        Use::Read => Access::READ_OK,
        Use::Write if path.is_dir() => Access::WRITE_OK | Access::EXEC_OK,
        Use::Write => Access::WRITE_OK,
    };
    let error = access(path, wanted).err()?;
    if error.kind() != io::ErrorKind::PermissionDenied {
        return None;
    }
    let closed = |whole: &Path| {
        let mut above: Vec<&Path> =
            whole.ancestors().skip(1).filter(|place| *place != Path::new("")).collect();
        above.reverse();
        above.into_iter().find(|directory| access(*directory, Access::EXEC_OK).is_err()).map(Path::to_owned)
    };
    let whole = target.unwrap_or(path);
    Some(closed(path).or_else(|| closed(whole)).unwrap_or_else(|| whole.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _, process::Command};

    use super::*;
    use crate::users::is_root;

    /// A directory that every user can search, with a file `live/key.pem` that only root can read.
    struct Desk(PathBuf);

    impl Desk {
        fn new(name: &str) -> Self {
            let base = std::env::temp_dir().join(format!("nuncio-eyes-{name}-{}", std::process::id()));
            let desk = Self(base);
            fs::create_dir_all(desk.0.join("live")).unwrap();
            fs::write(desk.key(), "x").unwrap();
            desk.mode(".", 0o755);
            desk.mode("live", 0o755);
            desk.mode("live/key.pem", 0o600);
            desk
        }

        fn key(&self) -> PathBuf {
            self.0.join("live/key.pem")
        }

        fn mode(&self, path: &str, mode: u32) {
            fs::set_permissions(self.0.join(path), fs::Permissions::from_mode(mode)).unwrap();
        }

        fn group(&self, path: &str, group: u32) {
            std::os::unix::fs::chown(self.0.join(path), None, Some(group)).unwrap();
        }

        /// What the user sees. Without root another user cannot be tried out, which must be an error.
        fn seen(&self, user: &User, path: &Path, purpose: Use) -> Option<Option<PathBuf>> {
            let target = path.canonicalize().ok();
            let seen = as_user(user, || obstacle(path, target.as_deref(), purpose));
            match is_root() {
                true => Some(seen.unwrap()),
                false => {
                    assert_eq!(seen.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
                    None
                }
            }
        }
    }

    impl Drop for Desk {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    /// Nobody's user and groups.
    fn stranger() -> User {
        User::find("stranger", "stranger:x:64123:64123::/:", "more:x:64124:stranger").unwrap()
    }

    #[test]
    fn owner_groups_and_others_count_as_for_the_user() {
        let desk = Desk::new("modes");
        let key = desk.key();
        let expects = |closed: bool| {
            if let Some(seen) = desk.seen(&stranger(), &key, Use::Read) {
                assert_eq!(seen, closed.then(|| key.canonicalize().unwrap()));
            }
        };
        expects(true);
        desk.mode("live/key.pem", 0o644);
        expects(false);
        if !is_root() {
            return;
        }
        // Its first group, then a further one.
        for group in [64_123, 64_124] {
            desk.group("live/key.pem", group);
            desk.mode("live/key.pem", 0o640);
            expects(false);
            desk.mode("live/key.pem", 0o604);
            expects(true);
        }
        // This thread is still root.
        assert!(fs::read(&key).is_ok() && is_root());
    }

    #[test]
    fn a_closed_directory_on_the_way_is_the_obstacle_also_behind_a_link() {
        let desk = Desk::new("ways");
        desk.mode("live/key.pem", 0o644);
        let archive = desk.0.join("archive");
        fs::create_dir_all(&archive).unwrap();
        fs::write(archive.join("key1.pem"), "x").unwrap();
        let link = desk.0.join("live/link.pem");
        std::os::unix::fs::symlink("../archive/key1.pem", &link).unwrap();
        for open in ["archive/key1.pem", "archive"] {
            desk.mode(open, 0o755);
        }
        let expects = |path: &Path, obstacle: Option<&str>| {
            if let Some(seen) = desk.seen(&stranger(), path, Use::Read) {
                let wanted = obstacle.map(|name| desk.0.join(name));
                assert_eq!(seen, wanted);
            }
        };
        expects(&link, None);
        desk.mode("archive", 0o700);
        expects(&link, Some("archive"));
        desk.mode("archive", 0o755);
        desk.mode("live", 0o700);
        expects(&link, Some("live"));
        expects(&desk.key(), Some("live"));
        expects(&desk.0.join("live/none.pem"), Some("live"));
        desk.mode("live", 0o755);
        expects(&desk.0.join("live/none.pem"), None);
    }

    #[test]
    fn a_directory_is_writable_only_for_a_user_who_may_create_files_in_it() {
        let desk = Desk::new("writes");
        let live = desk.0.join("live");
        let expects = |closed: bool| {
            if let Some(seen) = desk.seen(&stranger(), &live, Use::Write) {
                assert_eq!(seen, closed.then(|| live.clone()));
            }
        };
        expects(true);
        desk.mode("live", 0o757);
        expects(false);
        desk.mode("live", 0o756);
        expects(true);
    }

    /// Debian's setfacl is in the package acl, and some file systems have no lists: the test sets what it can.
    #[test]
    fn an_access_control_list_counts() {
        let desk = Desk::new("lists");
        let key = desk.key();
        let mut setfacl = Command::new("setfacl");
        let set = setfacl.args(["--modify", "user:64123:r"]).arg(&key).output();
        let has_list = set.is_ok_and(|output| output.status.success());
        if let Some(seen) = desk.seen(&stranger(), &key, Use::Read) {
            assert_eq!(seen.is_none(), has_list);
        }
    }
}
