//! The user that a container's processes are.

use std::io;

use nix::unistd::{Gid, Uid, setgid, setgroups, setuid};

use crate::User;

/// Gives this process, and what it becomes or starts, away to a user. It is nobody else afterwards.
pub(super) fn become_user(user: &User) -> io::Result<()> {
    let groups: Vec<Gid> = user.groups.iter().copied().map(Gid::from_raw).collect();
    // Refused where only one user is mapped, which has no other groups there.
    let _ = setgroups(&groups);
    if let Some(gid) = user.gid {
        setgid(Gid::from_raw(gid)).map_err(explain(format!("running as group {gid}")))?;
    }
    if let Some(uid) = user.uid {
        setuid(Uid::from_raw(uid)).map_err(explain(format!("running as user {uid}")))?;
    }
    Ok(())
}

/// An error of the kernel's, of what was done.
pub(super) fn explain(what: String) -> impl FnOnce(nix::Error) -> io::Error {
    move |error| io::Error::new(io::Error::from(error).kind(), format!("{what}: {error}"))
}
