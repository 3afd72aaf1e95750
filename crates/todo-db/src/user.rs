//! Leaving root: PostgreSQL refuses to run as it.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;

use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Gid, Uid, User, geteuid, setgid, setgroups, setuid};

use crate::settings::Settings;
use crate::{EntryError, say, system};

/// The server's user, with the number it has in the official image where the system does not know it.
const NAME: &str = "postgres";
const NUMBER: u32 = 999;

/// Where the server's socket is unless it is told otherwise.
const SOCKET: &str = "/var/run/postgresql";

/// Makes the folders that the server needs, its own, and goes on as its user if this is root.
pub(crate) fn leave_root(settings: &Settings) -> Result<(), EntryError> {
    if !geteuid().is_root() {
        name_myself();
        return folder(&settings.data, 0o700, None);
    }
    let user = User::from_name(NAME).ok().flatten();
    let (uid, gid) = user.map_or((NUMBER, NUMBER), |user| {
        (user.uid.as_raw(), user.gid.as_raw())
    });
    let mapped = is_mapped("/proc/self/uid_map", uid) && is_mapped("/proc/self/gid_map", gid);
    // Where root is the only user there is, its files are the server's once it is named anew.
    let owner = mapped.then_some((uid, gid));
    folder(&settings.data, 0o700, owner)?;
    if let Some(wal) = &settings.wal {
        folder(wal, 0o700, owner)?;
    }
    if !Path::new(SOCKET).exists() {
        // Ignored as by the official image: a server whose settings name another directory does not need it, and one that does
        // reports that it is missing.
        drop(folder(Path::new(SOCKET), 0o775, owner));
    }
    if mapped {
        become_user(uid, gid).map_err(system(format!("going on as user {uid}")))?;
    } else {
        rename_root(uid, gid).map_err(system(format!(
            "going on as user {uid} in a user namespace (root is the only user here, and PostgreSQL refuses it)"
        )))?;
    }
    name_myself();
    Ok(())
}

/// Whether a number stands for somebody in this user namespace.
fn is_mapped(file: &str, id: u32) -> bool {
    // Without the file there are no namespaces, and every number does.
    fs::read_to_string(file).map_or(true, |text| covers(&text, id))
}

fn covers(map: &str, id: u32) -> bool {
    map.lines().any(|line| {
        let mut numbers = line.split_whitespace().map(str::parse::<u32>);
        match (numbers.next(), numbers.nth(1)) {
            (Some(Ok(first)), Some(Ok(count))) => id.checked_sub(first).is_some_and(|n| n < count),
            _ => false,
        }
    })
}

/// A folder that is there, the server's, and closed to others.
fn folder(path: &Path, mode: u32, owner: Option<(u32, u32)>) -> Result<(), EntryError> {
    let make = || {
        fs::create_dir_all(path)?;
        if let Some(owner) = owner {
            own(path, owner)?;
        }
        // On a volume's root the mode may be another's to set; the server says what it needs.
        let _ = fs::set_permissions(path, fs::Permissions::from_mode(mode));
        Ok(())
    };
    make().map_err(system(format!("making {}", path.display())))
}

/// Everything in the folder becomes the server's, as a volume may come from elsewhere. Links are not followed.
fn own(path: &Path, (uid, gid): (u32, u32)) -> io::Result<()> {
    let metadata = fs::symlink_metadata(path)?;
    if metadata.is_symlink() {
        return Ok(());
    }
    if metadata.uid() != uid {
        chown(path, Some(uid), Some(gid))?;
    }
    if metadata.is_dir() {
        for entry in fs::read_dir(path)? {
            own(&entry?.path(), (uid, gid))?;
        }
    }
    Ok(())
}

fn become_user(uid: u32, gid: u32) -> io::Result<()> {
    setgroups(&[])?;
    setgid(Gid::from_raw(gid))?;
    setuid(Uid::from_raw(uid))?;
    Ok(())
}

/// Root by another name: the only user that is mapped gets the server's number.
fn rename_root(uid: u32, gid: u32) -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWUSER)?;
    // The kernel asks for it before it lets anybody but root map groups.
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("{uid} 0 1"))?;
    fs::write("/proc/self/gid_map", format!("{gid} 0 1"))
}

/// PostgreSQL wants its user to have a name. A container may run as a number that has none.
fn name_myself() {
    let uid = geteuid();
    if User::from_uid(uid).ok().flatten().is_some() {
        return;
    }
    let line = format!("{NAME}:x:{uid}:{uid}::/var/lib/postgresql:/bin/sh\n");
    let passwd = fs::OpenOptions::new().append(true).open("/etc/passwd");
    if let Err(error) = passwd.and_then(|mut file| file.write_all(line.as_bytes())) {
        say(&format!(
            "user {uid} has no name, and /etc/passwd cannot be given one ({error}): initdb may refuse it"
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::covers;

    #[test]
    fn a_map_covers_the_numbers_of_its_ranges() {
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
            assert_eq!(covers(map, id), expected, "{map} {id}");
        }
    }
}
