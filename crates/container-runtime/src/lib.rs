//! The container runtime: what the kubelet asks of whoever runs pods, in the shape of the container runtime interface, cut to this node's needs.
//!
//! `local` runs real programs in Linux namespaces; [`scripted`] runs workloads that are data, for the virtual clock. The
//! kubelet cannot tell them apart.

#[cfg(target_os = "linux")]
pub mod local;
pub mod scripted;
mod termination;

use std::collections::BTreeMap;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

pub use termination::Termination;

/// Runs pods' sandboxes and containers.
#[async_trait]
pub trait Runtime: Send + Sync + 'static {
    /// Makes the pod's network, names and volumes; containers come later. The same pod keeps its sandbox, address
    /// and volumes while its containers come and go.
    async fn run_sandbox(&self, config: SandboxConfig) -> Result<Sandbox, RuntimeError>;

    /// Gives the sandbox's volumes of files what these have now, each at once: nobody sees half of it. Containers go on
    /// seeing what they mounted by a path inside the volume.
    async fn update_volumes(
        &self,
        sandbox: &SandboxId,
        volumes: &[Volume],
    ) -> Result<(), RuntimeError>;

    /// Ends whatever still runs in the sandbox and removes it with its volumes and logs.
    async fn remove_sandbox(&self, sandbox: &SandboxId) -> Result<(), RuntimeError>;

    /// Finds the program that stands for an image.
    async fn resolve_image(&self, image: &str) -> Result<Image, ImageError>;

    /// Starts a container. Its exit arrives once on [`Runtime::exits`].
    async fn start_container(
        &self,
        sandbox: &SandboxId,
        config: ContainerConfig,
    ) -> Result<ContainerId, RuntimeError>;

    /// Asks the container's first process to end (TERM, or the image's stop signal), and kills every process of the
    /// container after `grace`, on the cluster's clock. Returns when it is gone; the exit arrives on [`Runtime::exits`] as for any other.
    async fn stop_container(
        &self,
        container: &ContainerId,
        grace: Duration,
    ) -> Result<(), RuntimeError>;

    /// Exits of containers, each once, from now on.
    fn exits(&self) -> BoxStream<'static, Exit>;

    /// Runs a command in the container to its end, for exec probes and hooks: a hard deadline that kills the whole
    /// process group, output capped.
    async fn exec(
        &self,
        container: &ContainerId,
        command: &[String],
        timeout: Duration,
    ) -> Result<ExecResult, ExecError>;

    /// Runs a command in the container with its streams attached, for `kubectl exec`.
    async fn exec_stream(
        &self,
        container: &ContainerId,
        command: &[String],
        options: ExecOptions,
    ) -> Result<ExecSession, RuntimeError>;

    /// The streams of the container's own process, for `kubectl attach`: what it prints from now on, until it ends. With
    /// `stdin`, what it reads, too, if it reads anything.
    async fn attach(
        &self,
        container: &ContainerId,
        stdin: bool,
    ) -> Result<ExecSession, RuntimeError>;

    /// Connects to a port of the pod as its own processes do, at its loopback address, for `kubectl port-forward`.
    async fn connect(&self, sandbox: &SandboxId, port: u16) -> io::Result<TcpStream>;

    /// The container's log from its beginning, in order, following it until it ends if asked.
    async fn logs(
        &self,
        container: &ContainerId,
        follow: bool,
    ) -> Result<BoxStream<'static, LogLine>, RuntimeError>;

    /// Forgets an exited container and its log.
    async fn remove_container(&self, container: &ContainerId) -> Result<(), RuntimeError>;

    /// Makes one attempt of a probe: real sockets and commands, or the script's answers.
    fn prober(&self) -> Arc<dyn probe::Prober>;
}

/// Names a sandbox: the pod's UID.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SandboxId(pub String);

/// Names one instance of a container, as `containerStatuses[].containerID` without its scheme.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContainerId(pub String);

/// What a sandbox is made from.
#[derive(Clone, Debug)]
pub struct SandboxConfig {
    /// The pod's UID; names the sandbox.
    pub uid: String,
    /// The pod's name.
    pub name: String,
    /// The pod's namespace.
    pub namespace: String,
    /// The host name its containers see.
    pub hostname: String,
    /// The pod's volumes, resolved: nothing here needs the API any more.
    pub volumes: Vec<Volume>,
    /// `fsGroup` of the manifest: the group that may use them.
    pub fs_group: Option<u32>,
    /// Whether its containers see each other's processes.
    pub share_processes: bool,
    /// Whom its programs ask for names.
    pub dns: Dns,
    /// Extra lines for its hosts file (`hostAliases`).
    pub host_aliases: Vec<(String, Vec<String>)>,
}

/// What a `resolv.conf` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dns {
    /// Addresses of servers, the first one first.
    pub nameservers: Vec<String>,
    /// What is added to names that are not whole.
    pub searches: Vec<String>,
    /// `ndots:5` …
    pub options: Vec<String>,
}

/// A sandbox that runs.
#[derive(Clone, Debug)]
pub struct Sandbox {
    /// Its name.
    pub id: SandboxId,
    /// The pod's address.
    pub ip: Ipv4Addr,
}

/// A volume of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// Its name in the pod.
    pub name: String,
    /// Where its content comes from.
    pub source: VolumeSource,
}

/// Where a volume's content comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VolumeSource {
    /// An empty folder that lives as long as the pod.
    EmptyDir {
        /// A bound on its size in bytes.
        size_limit: Option<u64>,
    },
    /// Files made of objects of the API or of the pod itself, read-only: relative path → content and mode. Paths are already checked.
    Files(Files),
}

/// A volume's files, by their paths, with their modes.
pub type Files = BTreeMap<String, (Bytes, u32)>;

/// What a container is made from.
#[derive(Clone, Debug)]
pub struct ContainerConfig {
    /// Its name in the pod.
    pub name: String,
    /// Which instance of it this is: 0, 1, 2 …
    pub attempt: u32,
    /// The resolved image.
    pub image: Image,
    /// `command` of the manifest, which replaces the image's entry point; expanded.
    pub command: Vec<String>,
    /// `args` of the manifest; expanded.
    pub args: Vec<String>,
    /// Its environment, in order.
    pub env: Vec<(String, String)>,
    /// `workingDir` of the manifest.
    pub working_dir: Option<String>,
    /// Which volumes it sees where.
    pub mounts: Vec<Mount>,
    /// Who its processes are.
    pub user: User,
    /// Whether its root file system refuses writes.
    pub read_only_root: bool,
    /// What its program's streams are.
    pub streams: StreamsConfig,
    /// Where it may say why it ends.
    pub termination: Termination,
}

/// Who a container's processes are, and the commands that are run in it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct User {
    /// `runAsUser` of the manifest.
    pub uid: Option<u32>,
    /// `runAsGroup` of the manifest.
    pub gid: Option<u32>,
    /// Its other groups: `supplementalGroups` and `fsGroup`.
    pub groups: Vec<u32>,
}

/// What a container's streams are beside its log.
#[derive(Clone, Copy, Debug, Default)]
pub struct StreamsConfig {
    /// `stdin` of the manifest: whether it reads what those who attach write.
    pub stdin: bool,
    /// `stdinOnce`: whether its input ends with the first who attached.
    pub stdin_once: bool,
    /// `tty`: whether its streams are a terminal.
    pub tty: bool,
}

/// A volume seen in a container.
#[derive(Clone, Debug)]
pub struct Mount {
    /// The pod's volume.
    pub volume: String,
    /// An absolute path in the container.
    pub path: String,
    /// A path inside the volume; already checked to stay inside.
    pub sub_path: Option<String>,
    /// Whether it refuses writes.
    pub read_only: bool,
}

/// A program that stands for an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The reference as the manifest gave it.
    pub reference: String,
    /// A digest-like identity for `imageID`.
    pub id: String,
    /// The program and its first arguments.
    pub entrypoint: Vec<String>,
    /// The environment that the image brings.
    pub env: Vec<(String, String)>,
    /// The signal that asks it to end; TERM where none.
    pub stop_signal: Option<String>,
}

/// The end of a container.
#[derive(Clone, Debug)]
pub struct Exit {
    /// Which container.
    pub container: ContainerId,
    /// Its exit code; 128 + the signal where a signal ended it.
    pub code: i32,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// When it ended, on the node's clock.
    pub at: Timestamp,
    /// What it said of its end.
    pub message: Option<String>,
}

/// What a command printed and how it ended.
#[derive(Clone, Debug, Default)]
pub struct ExecResult {
    /// Its exit code.
    pub code: i32,
    /// Standard output, capped.
    pub stdout: Bytes,
    /// Standard error, capped.
    pub stderr: Bytes,
}

/// Why a command has no exit code.
#[derive(Debug, thiserror::Error)]
pub enum ExecError {
    /// It ran past its deadline and was killed.
    #[error("command {command:?} timed out")]
    Timeout {
        /// The command, joined by spaces.
        command: String,
    },
    /// It never ran.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
}

/// How `kubectl exec` wants its streams.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExecOptions {
    /// Whether standard input is attached.
    pub stdin: bool,
    /// Whether it gets a terminal; standard error then arrives on standard output.
    pub tty: bool,
}

/// Where what is written to a command goes; dropping it is the end of its input.
pub type Input = Box<dyn AsyncWrite + Send + Unpin>;
/// Where what a command prints comes from.
pub type Output = Box<dyn AsyncRead + Send + Unpin>;

/// A command with its streams attached.
pub struct ExecSession {
    /// Its standard input.
    pub stdin: Option<Input>,
    /// Its standard output.
    pub stdout: Output,
    /// Its standard error; none with a terminal.
    pub stderr: Option<Output>,
    /// New sizes for its terminal: columns, rows.
    pub resize: Option<mpsc::Sender<(u16, u16)>>,
    /// Resolves to its exit code. Dropping the session kills the command.
    pub exit: futures::future::BoxFuture<'static, Result<i32, RuntimeError>>,
}

/// One line of a container's log.
#[derive(Clone, Debug)]
pub struct LogLine {
    /// When it was written, on the node's clock.
    pub at: Timestamp,
    /// The line with its newline, if it has one.
    pub text: Bytes,
}

/// The runtime could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// No such sandbox or container (any more).
    #[error("{0} is not known to the runtime")]
    NotFound(String),
    /// The program cannot be started: missing, not executable …
    #[error("failed to start container: {0}")]
    Start(String),
    /// A client that is attached to a container holds it up.
    #[error("detached: what the container printed was not taken; its log has all of it")]
    Late,
    /// The kernel or the file system refused.
    #[error("{doing}: {source}")]
    System {
        /// What was being done.
        doing: String,
        /// What the system said.
        source: std::io::Error,
    },
}

/// An image that stands for no program here.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The reference does not parse.
    #[error("couldn't parse image name {0:?}: invalid reference format")]
    InvalidName(String),
    /// The reference is well-formed but in no table.
    #[error("image {0:?} stands for no program on this node; map it with --image NAME=PROGRAM")]
    Unknown(String),
    /// What it stands for is not on this machine.
    #[error("image {image:?} stands for this machine's {what}, and no {what} is installed: {how}")]
    NotInstalled {
        /// The reference.
        image: String,
        /// The name of what is missing.
        what: &'static str,
        /// How to get it.
        how: &'static str,
    },
}
