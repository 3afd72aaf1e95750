//! What the node tells its other roles.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::User;

/// Everything a container is made from, with every path resolved.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ContainerSpec {
    /// The pod's network namespace.
    pub(super) network: PathBuf,
    /// Where the number of the container's first process is written.
    pub(super) pid_file: PathBuf,
    /// The processes that the pod's containers share; none where each has its own.
    pub(super) processes: Option<SharedProcesses>,
    /// An empty folder that the root is mounted on.
    pub(super) root: PathBuf,
    /// The pipe that its program reads from, if it does.
    pub(super) stdin: Option<PathBuf>,
    /// Whether its streams are a terminal, which its output is given as.
    pub(super) tty: bool,
    pub(super) hostname: String,
    /// The executable of the image's program.
    pub(super) program: PathBuf,
    /// Its file name in the container.
    pub(super) program_name: String,
    pub(super) argv: Vec<String>,
    pub(super) env: Vec<(String, String)>,
    pub(super) cwd: Option<String>,
    pub(super) binds: Vec<Bind>,
    pub(super) user: User,
    pub(super) read_only_root: bool,
    pub(super) fittings: Fittings,
}

/// Where a container joins its pod's other processes.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SharedProcesses {
    /// Their first process, as the node counts.
    pub(super) first: i32,
    /// Where what names the container's mounts is written: they tell its processes from the others'.
    pub(super) mounts_file: PathBuf,
}

/// What an image has in its root beside its program.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Fittings {
    /// Folders that anyone may write to.
    pub(super) folders: Vec<String>,
    /// Lines of `/etc/passwd`.
    pub(super) users: Vec<String>,
    /// Lines of `/etc/group`.
    pub(super) groups: Vec<String>,
    /// Folders of this machine, seen where they are.
    pub(super) trees: Vec<PathBuf>,
}

/// Something of the node seen in a container.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Bind {
    pub(super) source: PathBuf,
    pub(super) target: String,
    pub(super) read_only: bool,
}

/// A command in a container that runs.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ExecSpec {
    /// The container's first process, as the node counts.
    pub(super) pid: i32,
    pub(super) argv: Vec<String>,
    pub(super) env: Vec<(String, String)>,
    pub(super) cwd: Option<String>,
    pub(super) user: User,
    pub(super) tty: bool,
}
