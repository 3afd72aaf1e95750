//! Messages from the node to its re-executed children, as JSON.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::ContainerUser;

/// Configuration of a container with every path resolved.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ContainerSpec {
    /// File of the pod's network namespace.
    pub(super) network: PathBuf,
    /// File for the PID of the container's first process in the node's PID namespace.
    pub(super) pid_file: PathBuf,
    /// `None` if the container has a PID namespace of its own.
    pub(super) shared_processes: Option<SharedProcesses>,
    /// Empty directory on which the root file system is mounted.
    pub(super) root: PathBuf,
    /// Named pipe of the program's standard input; `/dev/null` by default.
    pub(super) stdin: Option<PathBuf>,
    /// `true` if standard output is a terminal, which then is standard input too.
    pub(super) tty: bool,
    pub(super) hostname: String,
    /// The executable of the image's program.
    pub(super) program: PathBuf,
    /// File name of the program in the container.
    pub(super) program_name: String,
    pub(super) argv: Vec<String>,
    pub(super) env: Vec<(String, String)>,
    pub(super) cwd: Option<String>,
    pub(super) bind_mounts: Vec<BindMount>,
    pub(super) user: ContainerUser,
    pub(super) read_only_root_filesystem: bool,
    pub(super) image_files: ImageFiles,
}

/// The PID namespace that a pod's containers share.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SharedProcesses {
    /// PID of its first process in the node's PID namespace.
    pub(super) init_pid: i32,
    /// File for the ID of the container's mount namespace, which identifies the container's processes.
    pub(super) mount_ns_file: PathBuf,
}

/// Content of an image's root file system besides its program.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct ImageFiles {
    /// World-writable directories.
    pub writable_dirs: Vec<String>,
    /// Additional lines of `/etc/passwd`.
    pub passwd_lines: Vec<String>,
    /// Additional lines of `/etc/group`.
    pub group_lines: Vec<String>,
    /// Files, as absolute path and content.
    pub files: Vec<(String, String)>,
    /// Directories of the host, mounted read-only at the same path.
    pub host_trees: Vec<PathBuf>,
}

/// A file or directory of the node that is mounted in a container.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct BindMount {
    pub(super) source: PathBuf,
    /// Absolute path in the container.
    pub(super) target: String,
    pub(super) read_only: bool,
}

/// A command in a running container.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ExecSpec {
    /// PID of the container's first process in the node's PID namespace.
    pub(super) pid: i32,
    pub(super) argv: Vec<String>,
    pub(super) env: Vec<(String, String)>,
    pub(super) cwd: Option<String>,
    pub(super) user: ContainerUser,
    pub(super) tty: bool,
}
