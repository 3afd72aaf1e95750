//! The container runtime: the interface through which the kubelet runs pods, and its implementations.
//!
//! The interface is the part of the Kubernetes Container Runtime Interface (CRI) that this node needs. `local` runs real
//! programs in Linux namespaces; [`scripted`] runs workloads that are data, for the virtual clock. The kubelet does not
//! distinguish them.

mod error;
#[cfg(target_os = "linux")]
pub mod local;
#[cfg(target_os = "linux")]
pub mod process;
pub mod scripted;
mod termination;
mod types;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use tokio::net::TcpStream;

pub use error::{ExecError, ImageError, RuntimeError};
pub use termination::Termination;
pub use types::*;

/// Runs pod sandboxes and containers.
#[async_trait]
pub trait Runtime: Send + Sync + 'static {
    /// Creates the pod's network namespace, `/etc/hosts`, `/etc/resolv.conf` and volumes, without containers. A pod keeps
    /// its sandbox, IP address and volumes while its containers restart.
    async fn run_sandbox(&self, config: SandboxConfig) -> Result<Sandbox, RuntimeError>;

    /// Replaces the content of the sandbox's [`VolumeSource::Files`] volumes, each atomically. Containers that mounted a
    /// path inside a volume (`subPath`) keep the old content.
    async fn update_volumes(
        &self,
        sandbox: &SandboxId,
        volumes: &[Volume],
    ) -> Result<(), RuntimeError>;

    /// Kills the sandbox's containers and removes the sandbox with its volumes and logs.
    async fn remove_sandbox(&self, sandbox: &SandboxId) -> Result<(), RuntimeError>;

    /// Resolves an image reference to the program that is run for it.
    async fn resolve_image(&self, image: &str) -> Result<Image, ImageError>;

    /// Creates and starts a container. Its exit arrives once on [`Runtime::exits`].
    async fn start_container(
        &self,
        sandbox: &SandboxId,
        config: ContainerConfig,
    ) -> Result<ContainerId, RuntimeError>;

    /// Sends the stop signal (SIGTERM, or the image's `STOPSIGNAL`) to PID 1 of the container, and kills every process of
    /// the container after `grace`, on the cluster's clock. Returns when the container has exited.
    async fn stop_container(
        &self,
        container: &ContainerId,
        grace: Duration,
    ) -> Result<(), RuntimeError>;

    /// Streams the exits of containers from now on, each once.
    fn exits(&self) -> BoxStream<'static, Exit>;

    /// Runs a command in the container to completion, for exec probes and hooks (CRI `ExecSync`). After `timeout` the
    /// command's process group is killed. The output is truncated to [`probe::MAX_OUTPUT`] bytes a stream.
    async fn exec(
        &self,
        container: &ContainerId,
        command: &[String],
        timeout: Duration,
    ) -> Result<ExecResult, ExecError>;

    /// Runs a command in the container with attached streams, for `kubectl exec` (CRI `Exec`).
    async fn exec_stream(
        &self,
        container: &ContainerId,
        command: &[String],
        options: ExecOptions,
    ) -> Result<ExecSession, RuntimeError>;

    /// Attaches to the container's main process, for `kubectl attach`: its output from now on until it exits and, with
    /// `stdin`, its standard input if the container has one.
    async fn attach(
        &self,
        container: &ContainerId,
        stdin: bool,
    ) -> Result<ExecSession, RuntimeError>;

    /// Connects to a port of the pod's loopback address, for `kubectl port-forward`.
    async fn connect(&self, sandbox: &SandboxId, port: u16) -> io::Result<TcpStream>;

    /// Streams the container's log from its beginning; with `follow`, until the container exits.
    async fn logs(
        &self,
        container: &ContainerId,
        follow: bool,
    ) -> Result<BoxStream<'static, LogLine>, RuntimeError>;

    /// Removes an exited container and its log.
    async fn remove_container(&self, container: &ContainerId) -> Result<(), RuntimeError>;

    /// Returns a prober whose network probes run in the pod network and whose commands run in containers.
    fn prober(&self) -> Arc<dyn probe::Prober>;
}
