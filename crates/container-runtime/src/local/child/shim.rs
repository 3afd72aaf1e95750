//! The role `__container-shim`: creates a container's namespaces, starts its PID 1 and forwards signals to it.

use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::signal::kill;

use super::{CONTAINER_INIT, open_pidfd, read_stdin};
use crate::local::shared_pid_ns::mount_ns_id;
use crate::local::spec::ContainerSpec;
use crate::process::{block_signals, reexec_self, supervise};

pub(super) fn run() -> io::Result<ExitCode> {
    let bytes = read_stdin()?;
    let spec: ContainerSpec = serde_json::from_slice(&bytes)?;
    let network = std::fs::File::open(&spec.network)?;
    setns(network, CloneFlags::CLONE_NEWNET)?;
    let own = CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWUTS | CloneFlags::CLONE_NEWIPC;
    match &spec.shared_processes {
        None => unshare(own | CloneFlags::CLONE_NEWPID)?,
        Some(shared) => {
            setns(open_pidfd(shared.init_pid)?, CloneFlags::CLONE_NEWPID)?;
            unshare(own)?;
            std::fs::write(&shared.mount_ns_file, mount_ns_id()?)?;
        }
    }
    let signals = block_signals()?;
    // Opened now: the child pivots the mount namespace of both processes into the container's root.
    let dev_null = std::fs::File::open("/dev/null")?;
    let (mut parent_end, child_end) = UnixStream::pair()?;
    let mut command = reexec_self(CONTAINER_INIT);
    let mut child = command.stdin(OwnedFd::from(child_end)).spawn()?;
    // Close the command's copy of the child's end.
    drop(command);
    // `__exec` reads the file to join the container.
    std::fs::write(&spec.pid_file, child.id().to_string())?;
    parent_end.write_all(&bytes)?;
    parent_end.shutdown(Shutdown::Write)?;
    // The child's end closes when it executes the container's program, or exits before that.
    let _ = parent_end.read(&mut [0])?;
    // Closing standard input reports the start to the node.
    nix::unistd::dup2_stdin(dev_null)?;
    supervise(&mut child, &signals, |child, signal| {
        let _ = kill(child, signal);
    })
}
