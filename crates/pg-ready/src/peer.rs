//! Who is at the other end of a unix socket.

use std::os::fd::AsFd;

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::unistd::{Uid, User};

/// Whether a server runs as the user that `requirepeer` names, if it names one.
pub(crate) fn is_as_required(socket: &impl AsFd, required: Option<&str>) -> bool {
    let name = || {
        let peer = getsockopt(socket, PeerCredentials).ok()?;
        Some(User::from_uid(Uid::from_raw(peer.uid())).ok()??.name)
    };
    required.is_none_or(|required| name().is_some_and(|name| name == required))
}
