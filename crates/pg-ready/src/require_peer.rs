//! libpq's `requirepeer`: the user that runs the server at the other end of a Unix-domain socket.

use std::os::fd::AsFd;

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::unistd::{Uid, User};

/// Returns `true` if the server runs as the user `required`, or if no user is required.
pub(crate) fn peer_matches(socket: &impl AsFd, required: Option<&str>) -> bool {
    let name = || {
        let peer = getsockopt(socket, PeerCredentials).ok()?;
        Some(User::from_uid(Uid::from_raw(peer.uid())).ok()??.name)
    };
    required.is_none_or(|required| name().is_some_and(|name| name == required))
}
