//! The user of the server: PostgreSQL refuses to run as root, and `initdb` needs a user with a name.

use std::ffi::CString;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Gid, Uid, User, getegid, geteuid, initgroups, setgid, setgroups, setuid};

use crate::settings::Settings;
use crate::{EntryError, log, system};

/// Name of the server's user.
const USER_NAME: &str = "postgres";
/// User and group id in the official image, for systems without the user.
const USER_ID: u32 = 999;

/// Default directory of the server's socket.
const SOCKET_DIR: &str = "/var/run/postgresql";

/// Library that answers look-ups of users from files, and Debian's directories that have it.
const NSS_WRAPPER: &str = "libnss_wrapper.so";
const LIBRARY_DIRS: &str = "/usr/lib";

/// User and group id.
type Ids = (u32, u32);

/// Creates the directories of the server and, if the caller is root, continues as the server's user.
pub(crate) fn drop_privileges(settings: &Settings) -> Result<(), EntryError> {
    if !geteuid().is_root() {
        ensure_name();
        return prepare_dir(&settings.data, 0o700, None);
    }
    let user = User::from_name(USER_NAME).ok().flatten();
    let ids = user.as_ref().map_or((USER_ID, USER_ID), |user| {
        (user.uid.as_raw(), user.gid.as_raw())
    });
    let is_mapped =
        is_mapped("/proc/self/uid_map", ids.0) && is_mapped("/proc/self/gid_map", ids.1);
    // In a user namespace with root only, root's files belong to the server after the renaming.
    let owner = is_mapped.then_some(ids);
    prepare_dir(&settings.data, 0o700, owner)?;
    if let Some(wal) = &settings.wal {
        prepare_dir(wal, 0o700, owner)?;
    }
    if !Path::new(SOCKET_DIR).exists() {
        // A server whose settings name another directory does not need it; others report that it is missing.
        drop(prepare_dir(Path::new(SOCKET_DIR), 0o775, owner));
    }
    let (uid, gid) = ids;
    if is_mapped {
        become_user(uid, gid, user.as_ref()).map_err(system(format!("changing to user {uid}")))?;
    } else {
        rename_user((0, 0), ids).map_err(system(format!(
            "changing to user {uid} in a user namespace (root is the only user here, and PostgreSQL refuses it)"
        )))?;
    }
    ensure_name();
    Ok(())
}

/// Returns `true` if the current user namespace has a user or group of this id.
fn is_mapped(file: &str, id: u32) -> bool {
    // A kernel without user namespaces has no such file, and all ids.
    fs::read_to_string(file).map_or(true, |text| map_contains(&text, id))
}

fn map_contains(map: &str, id: u32) -> bool {
    map.lines().any(|line| {
        let mut numbers = line.split_whitespace().map(str::parse::<u32>);
        match (numbers.next(), numbers.nth(1)) {
            (Some(Ok(first)), Some(Ok(count))) => id.checked_sub(first).is_some_and(|n| n < count),
            _ => false,
        }
    })
}

/// Creates a directory of the server, which other users cannot read. The path may be a symbolic link.
fn prepare_dir(path: &Path, mode: u32, owner: Option<Ids>) -> Result<(), EntryError> {
    let prepare = || {
        fs::create_dir_all(path)?;
        let path = path.canonicalize()?;
        if let Some(owner) = owner {
            change_owner(&path, owner)?;
        }
        // The root of a volume may belong to another user; the server reports a mode that it does not accept.
        let _ = fs::set_permissions(&path, fs::Permissions::from_mode(mode));
        Ok(())
    };
    prepare().map_err(system(format!("preparing {}", path.display())))
}

/// Gives all files below `path` to the server's user, because other users may have filled the volume. Symbolic links are
/// not followed.
fn change_owner(path: &Path, (uid, gid): Ids) -> io::Result<()> {
    let metadata = fs::symlink_metadata(path)?;
    if metadata.is_symlink() {
        return Ok(());
    }
    if metadata.uid() != uid {
        chown(path, Some(uid), Some(gid))?;
    }
    if metadata.is_dir() {
        for entry in fs::read_dir(path)? {
            change_owner(&entry?.path(), (uid, gid))?;
        }
    }
    Ok(())
}

/// Changes to a user and all its groups; Debian's packages give the user the group of TLS keys, for example.
fn become_user(uid: u32, gid: u32, user: Option<&User>) -> io::Result<()> {
    match user.map(|user| CString::new(user.name.as_str())) {
        Some(Ok(name)) => initgroups(&name, Gid::from_raw(gid))?,
        _ => setgroups(&[])?,
    }
    setgid(Gid::from_raw(gid))?;
    setuid(Uid::from_raw(uid))?;
    Ok(())
}

/// Renames the current user in a user namespace. No other user exists in it.
fn rename_user((uid, gid): Ids, (new_uid, new_gid): Ids) -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWUSER)?;
    // The kernel requires it before an unprivileged process may map groups.
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("{new_uid} {uid} 1"))?;
    fs::write("/proc/self/gid_map", format!("{new_gid} {gid} 1"))
}

fn has_name() -> bool {
    User::from_uid(geteuid()).ok().flatten().is_some()
}

/// Gives the current user a name, which `initdb` needs: a container may run with any user id. Without a way to do that,
/// `initdb` reports the error.
fn ensure_name() {
    if has_name() || add_name().is_ok() || nss_wrapper().is_some() {
        return;
    }
    let ids = (geteuid().as_raw(), getegid().as_raw());
    let Ok(Some(user)) = User::from_name(USER_NAME) else {
        return;
    };
    if let Err(error) = rename_user(ids, (user.uid.as_raw(), user.gid.as_raw())) {
        log(&format!(
            "user id {} has no name, which initdb needs: make /etc/passwd writable, install {NSS_WRAPPER} \
             (Debian: libnss-wrapper), or allow user namespaces ({error})",
            ids.0
        ));
    }
}

fn add_name() -> io::Result<()> {
    let passwd = fs::OpenOptions::new().append(true).open("/etc/passwd");
    passwd?.write_all(passwd_line().as_bytes())
}

fn passwd_line() -> String {
    let (uid, gid) = (geteuid(), getegid());
    format!("{USER_NAME}:x:{uid}:{gid}::/var/lib/postgresql:/bin/sh\n")
}

fn nss_wrapper() -> Option<PathBuf> {
    let multiarch = fs::read_dir(LIBRARY_DIRS).into_iter().flatten().flatten();
    let dirs = multiarch.map(|entry| entry.path());
    let mut files = dirs
        .chain([LIBRARY_DIRS.into()])
        .map(|dir| dir.join(NSS_WRAPPER));
    files.find(|file| file.is_file())
}

/// Lets a program see a name for a user that has none, as the official image does. `dir` is for the necessary files.
pub(crate) fn provide_name(program: &mut Command, dir: &Path) -> Result<(), EntryError> {
    let Some(library) = nss_wrapper().filter(|_| !has_name()) else {
        return Ok(());
    };
    let group = format!("{USER_NAME}:x:{}:\n", getegid());
    for (variable, name, line) in [
        ("NSS_WRAPPER_PASSWD", "passwd", passwd_line()),
        ("NSS_WRAPPER_GROUP", "group", group),
    ] {
        let file = dir.join(name);
        fs::write(&file, line).map_err(system(format!("writing {}", file.display())))?;
        program.env(variable, file);
    }
    program.env("LD_PRELOAD", library);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::map_contains;

    #[test]
    fn id_map_contains_the_ids_of_its_ranges() {
        let all = "         0          0 4294967295\n";
        let two = "0 1000 1\n1 100000 65536\n";
        for (map, id, expected) in [
            (all, 999, true),
            ("0 1000 1\n", 0, true),
            ("0 1000 1\n", 999, false),
            (two, 999, true),
            (two, 65536, true),
            (two, 65537, false),
            ("nonsense\n", 0, false),
        ] {
            assert_eq!(map_contains(map, id), expected, "{map} {id}");
        }
    }
}
