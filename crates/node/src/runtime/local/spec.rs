//! What the node tells its other roles.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Everything a container is made from, with every path resolved.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ContainerSpec {
    /// The pod's network namespace.
    pub(super) network: PathBuf,
    /// Where the number of the container's first process is written.
    pub(super) pid_file: PathBuf,
    /// An empty folder that the root is mounted on.
    pub(super) root: PathBuf,
    pub(super) hostname: String,
    /// The image's program, shown under `/app`.
    pub(super) program: PathBuf,
    pub(super) argv: Vec<String>,
    pub(super) env: Vec<(String, String)>,
    pub(super) cwd: Option<String>,
    pub(super) binds: Vec<Bind>,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
    pub(super) read_only_root: bool,
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
    pub(super) tty: bool,
}
