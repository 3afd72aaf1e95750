//! Data types of the runtime interface. Their names follow the CRI where it has the concept.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

use crate::{RuntimeError, Termination};

/// ID of a sandbox: the pod's UID.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SandboxId(pub String);

/// ID of one instance of a container: `containerStatuses[].containerID` without its scheme.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContainerId(pub String);

/// Configuration of a pod sandbox.
#[derive(Clone, Debug)]
pub struct SandboxConfig {
    /// UID of the pod, which is the ID of the sandbox.
    pub uid: String,
    /// Name of the pod.
    pub name: String,
    /// Namespace of the pod.
    pub namespace: String,
    /// Host name in the containers.
    pub hostname: String,
    /// Volumes with their content: the runtime does not use the API.
    pub volumes: Vec<Volume>,
    /// `securityContext.fsGroup`: the group that owns the volumes.
    pub fs_group: Option<u32>,
    /// `shareProcessNamespace`: `true` if the containers see each other's processes.
    pub share_process_namespace: bool,
    /// Content of `/etc/resolv.conf`.
    pub dns: DnsConfig,
    /// `hostAliases`: additional lines of `/etc/hosts`, as IP address and names.
    pub host_aliases: Vec<(String, Vec<String>)>,
}

/// Content of a `resolv.conf`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DnsConfig {
    /// IP addresses of the servers, in order of preference.
    pub nameservers: Vec<String>,
    /// Domains that the resolver appends to names with few dots.
    pub searches: Vec<String>,
    /// Options such as `ndots:5`.
    pub options: Vec<String>,
}

/// A running sandbox.
#[derive(Clone, Debug)]
pub struct Sandbox {
    /// ID of the sandbox.
    pub id: SandboxId,
    /// IP address of the pod.
    pub ip: Ipv4Addr,
}

/// A volume of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// Name in the pod.
    pub name: String,
    /// Source of the content.
    pub source: VolumeSource,
}

/// Source of a volume's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VolumeSource {
    /// An empty directory with the lifetime of the pod.
    EmptyDir {
        /// Maximum size in bytes; unlimited by default.
        size_limit: Option<u64>,
    },
    /// Read-only files with the content of API objects or of the pod itself. The caller has validated the paths.
    Files(Files),
}

/// Files of a volume: relative path to content and mode.
pub type Files = BTreeMap<String, (Bytes, u32)>;

/// Configuration of a container.
#[derive(Clone, Debug)]
pub struct ContainerConfig {
    /// Name in the pod.
    pub name: String,
    /// Number of the instance, from 0: the restart count.
    pub attempt: u32,
    /// The resolved image.
    pub image: Image,
    /// `command` of the manifest, which replaces the image's entry point; expanded.
    pub command: Vec<String>,
    /// `args` of the manifest, which replace the image's `CMD`; expanded.
    pub args: Vec<String>,
    /// Environment variables. The last one of a name wins.
    pub env: Vec<(String, String)>,
    /// `workingDir` of the manifest; `/` by default.
    pub working_dir: Option<String>,
    /// Volume mounts.
    pub mounts: Vec<Mount>,
    /// User and groups of the processes.
    pub user: ContainerUser,
    /// `securityContext.readOnlyRootFilesystem`.
    pub read_only_root_filesystem: bool,
    /// Standard input and terminal.
    pub streams: StreamsConfig,
    /// Source of the termination message.
    pub termination: Termination,
}

impl ContainerConfig {
    /// Returns the command line: `command` and `args` replace the image's `ENTRYPOINT` and `CMD` as in Kubernetes.
    #[must_use]
    pub fn argv(&self) -> Vec<String> {
        let (program, arguments) = match (&*self.command, &*self.args) {
            ([], []) => (&self.image.entrypoint, &self.image.cmd),
            ([], _) => (&self.image.entrypoint, &self.args),
            _ => (&self.command, &self.args),
        };
        [&**program, &**arguments].concat()
    }
}

/// User and groups of a container's processes, and of commands that are run in it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ContainerUser {
    /// `runAsUser` of the manifest.
    pub uid: Option<u32>,
    /// `runAsGroup` of the manifest.
    pub gid: Option<u32>,
    /// Supplementary groups: `supplementalGroups` and `fsGroup`.
    pub groups: Vec<u32>,
}

/// Standard input and terminal of a container.
#[derive(Clone, Copy, Debug, Default)]
pub struct StreamsConfig {
    /// `stdin` of the manifest: attached clients can write to standard input.
    pub stdin: bool,
    /// `stdinOnce`: standard input is closed when the first attached client detaches.
    pub stdin_once: bool,
    /// `tty`: the streams are a terminal.
    pub tty: bool,
}

/// A volume mount of a container.
#[derive(Clone, Debug)]
pub struct Mount {
    /// Name of the pod's volume.
    pub volume: String,
    /// Absolute path in the container.
    pub path: String,
    /// Path inside the volume. The caller has checked that it has no `..`.
    pub sub_path: Option<String>,
    /// `true` if the mount is read-only.
    pub read_only: bool,
}

/// A resolved image: the program that is run for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The reference in the manifest.
    pub reference: String,
    /// Digest for `imageID`, which changes when the program does.
    pub id: String,
    /// `ENTRYPOINT`: the program and its first arguments. `command` of the manifest replaces it.
    pub entrypoint: Vec<String>,
    /// `CMD`: arguments, or the program if there is no entry point. `command` and `args` of the manifest replace it.
    pub cmd: Vec<String>,
    /// `ENV`: environment variables of the image.
    pub env: Vec<(String, String)>,
    /// `STOPSIGNAL`; SIGTERM by default.
    pub stop_signal: Option<String>,
}

/// The exit of a container.
#[derive(Clone, Debug)]
pub struct Exit {
    /// ID of the container.
    pub container: ContainerId,
    /// Exit code; 128 + the signal number if a signal killed the process.
    pub code: i32,
    /// Number of the signal that killed the process.
    pub signal: Option<i32>,
    /// Time of the exit, on the node's clock.
    pub at: Timestamp,
    /// Termination message.
    pub message: Option<String>,
}

/// Exit code and output of a command.
#[derive(Clone, Debug, Default)]
pub struct ExecResult {
    /// Exit code.
    pub code: i32,
    /// Standard output, truncated.
    pub stdout: Bytes,
    /// Standard error, truncated.
    pub stderr: Bytes,
}

/// Streams that `kubectl exec` attaches.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExecOptions {
    /// `true` if standard input is attached.
    pub stdin: bool,
    /// `true` if the command runs in a terminal; standard error then arrives on standard output.
    pub tty: bool,
}

/// Standard input of a command. Dropping it closes the input.
pub type Input = Box<dyn AsyncWrite + Send + Unpin>;
/// Standard output or standard error of a command.
pub type Output = Box<dyn AsyncRead + Send + Unpin>;

/// A command with attached streams.
pub struct ExecSession {
    /// Standard input.
    pub stdin: Option<Input>,
    /// Standard output.
    pub stdout: Output,
    /// Standard error; `None` with a terminal.
    pub stderr: Option<Output>,
    /// Terminal sizes to set, as columns and rows.
    pub resize: Option<mpsc::Sender<(u16, u16)>>,
    /// Resolves to the exit code. Dropping the session kills the command.
    pub exit: futures::future::BoxFuture<'static, Result<i32, RuntimeError>>,
}

/// A line of a container's log.
#[derive(Clone, Debug)]
pub struct LogLine {
    /// Time of writing, on the node's clock.
    pub at: Timestamp,
    /// The line with its newline, if it has one.
    pub text: Bytes,
}
