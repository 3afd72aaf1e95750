//! The user of a container's processes.

use std::io;

use nix::unistd::{Gid, Uid, setgid, setgroups, setuid};

use crate::ContainerUser;
use crate::local::io_context;

/// Irrevocably changes this process to `user` (setgroups, setgid, setuid).
pub(super) fn set_user(user: &ContainerUser) -> io::Result<()> {
    let groups: Vec<Gid> = user.groups.iter().copied().map(Gid::from_raw).collect();
    // Fails in a user namespace that maps one user only; no other group exists there.
    let _ = setgroups(&groups);
    if let Some(gid) = user.gid {
        setgid(Gid::from_raw(gid)).map_err(io_context(format!("running as group {gid}")))?;
    }
    if let Some(uid) = user.uid {
        setuid(Uid::from_raw(uid)).map_err(io_context(format!("running as user {uid}")))?;
    }
    Ok(())
}
