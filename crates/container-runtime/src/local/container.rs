//! One instance of a container: its shim process, output and exit.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use component_helpers::supervisor::Component;
use futures::stream::BoxStream;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::sync::watch;

use super::attach_output::OutputFanout;
use super::child::CONTAINER_SHIM;
use super::images::ResolvedImage;
use super::log::{self, Log, LogWriter};
use super::sandbox::PodSandbox;
use super::shared_pid_ns;
use super::spec::{ContainerSpec, SharedProcesses};
use super::streams::{self, Streams};
use super::system;
use super::termination_log;
use crate::process::reexec_self;
use crate::{
    ContainerConfig, ContainerId, ContainerUser, ExecSession, Exit, LogLine, Output, RuntimeError,
    SandboxId, StreamsConfig, Termination,
};

/// Environment variable PATH of containers by default.
pub const DEFAULT_PATH: &str = "/app:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

pub(super) struct Container {
    pub(super) sandbox: SandboxId,
    shim_pid: Pid,
    dir: PathBuf,
    stop_signal: Signal,
    pub(super) env: Vec<(String, String)>,
    pub(super) cwd: Option<String>,
    pub(super) user: ContainerUser,
    streams: Streams,
    log: Log,
    exited: watch::Receiver<bool>,
}

/// Arguments of [`Container::start`].
pub(super) struct StartContainer<'a> {
    pub(super) id: &'a ContainerId,
    pub(super) sandbox: &'a SandboxId,
    pub(super) pod: &'a PodSandbox,
    pub(super) config: ContainerConfig,
    pub(super) image: ResolvedImage,
    pub(super) component: Component,
}

impl Container {
    /// Starts a container and calls `on_exit` once when it exits.
    pub(super) async fn start(
        request: StartContainer<'_>,
        on_exit: impl FnOnce(Exit) + Send + 'static,
    ) -> Result<Self, RuntimeError> {
        let StartContainer {
            id,
            sandbox,
            pod,
            config,
            image,
            component,
        } = request;
        let dir = pod.dir.join("containers").join(&id.0);
        let stop_signal = config.image.stop_signal.as_deref();
        let stop_signal = stop_signal.and_then(|name| Signal::from_str(name).ok());
        let opened = open_streams(config.streams, &dir);
        let termination = config.termination.clone();
        let (streams, replica) = opened.map_err(system("creating the container's directory"))?;
        let spec = container_spec(pod, &dir, config, streams.stdin(), image)?;
        let mut shim = spawn_shim(&spec, replica)
            .await
            .map_err(system("starting the container"))?;
        let shim_pid = shim.id().and_then(|id| i32::try_from(id).ok());
        let shim_pid = shim_pid
            .ok_or_else(|| RuntimeError::Start("its shim exited immediately".to_owned()))?;
        let (writer, log) = log::new(component.clock().clone());
        let outputs = streams.output_streams(&mut shim);
        let outputs = outputs.map_err(system("opening the container's terminal"))?;
        let (exit_sender, exited) = watch::channel(false);
        let supervision = Supervision {
            id: id.clone(),
            shim,
            component,
            log: log.clone(),
            termination,
            termination_log: termination_log::path(&dir),
            mount_ns_file: spec.shared_processes.map(|shared| shared.mount_ns_file),
        };
        tokio::spawn(async move {
            let exit = supervision.run(outputs, writer).await;
            exit_sender.send_replace(true);
            on_exit(exit);
        });
        Ok(Self {
            sandbox: sandbox.clone(),
            shim_pid: Pid::from_raw(shim_pid),
            dir,
            stop_signal: stop_signal.unwrap_or(Signal::SIGTERM),
            env: spec.env,
            cwd: spec.cwd,
            user: spec.user,
            streams,
            log,
            exited,
        })
    }

    /// Returns the PID of the container's first process in the node's PID namespace; `None` before it has started.
    pub(super) fn pid(&self) -> Option<i32> {
        let text = std::fs::read_to_string(pid_file(&self.dir)).ok()?;
        text.trim().parse().ok()
    }

    /// Sends the image's stop signal to the container's first process.
    pub(super) fn send_stop_signal(&self) {
        self.signal(self.shim_pid, self.stop_signal);
    }

    /// Kills the container's first process, with which the kernel kills the others of its PID namespace.
    pub(super) fn kill(&self) {
        match self.pid() {
            Some(pid) => self.signal(Pid::from_raw(pid), Signal::SIGKILL),
            None => self.signal(self.shim_pid, Signal::SIGKILL),
        }
    }

    /// Sends nothing to a container that has exited: its PIDs may have been reused.
    fn signal(&self, pid: Pid, signal: Signal) {
        if !*self.exited.borrow()
            && let Err(error) = kill(pid, signal)
        {
            tracing::debug!(%error, %signal, "cannot signal the container; it has exited");
        }
    }

    /// Waits until the container has exited.
    pub(super) async fn wait(&self) {
        let mut exited = self.exited.clone();
        let _ = exited.wait_for(|exited| *exited).await;
    }

    pub(super) fn log(&self, follow: bool) -> BoxStream<'static, LogLine> {
        self.log.read(follow)
    }

    /// Attaches to the streams until the container has exited.
    pub(super) fn attach(&self, stdin: bool) -> io::Result<ExecSession> {
        let attached = self.streams.attach(stdin)?;
        let mut exited = self.exited.clone();
        Ok(ExecSession {
            stdin: attached.stdin,
            stdout: attached.stdout,
            stderr: attached.stderr,
            resize: attached.resize,
            exit: Box::pin(async move {
                tokio::select! {
                    // Attaching succeeded; the container's exit code is in its status.
                    _ = exited.wait_for(|exited| *exited) => Ok(0),
                    () = attached.stalled.cancelled() => Err(RuntimeError::AttachStalled),
                }
            }),
        })
    }

    pub(super) fn remove_dir(&self) {
        if let Err(error) = std::fs::remove_dir_all(&self.dir) {
            tracing::debug!(%error, "cannot remove the container's directory");
        }
    }
}

/// State of the task that waits for a container's exit.
struct Supervision {
    id: ContainerId,
    shim: Child,
    component: Component,
    log: Log,
    termination: Termination,
    termination_log: PathBuf,
    /// `None` if the container has a PID namespace of its own.
    mount_ns_file: Option<PathBuf>,
}

impl Supervision {
    /// Copies the output to the log until the container exits, and kills the processes that remain.
    async fn run(mut self, outputs: Vec<(Output, OutputFanout)>, writer: LogWriter) -> Exit {
        let copies: Vec<_> = outputs
            .into_iter()
            .map(|(stream, fanout)| {
                let component = self.component.clone();
                let copy = writer.clone().copy(stream, fanout);
                tokio::spawn(async move { component.run_once(copy).await })
            })
            .collect();
        drop(writer);
        let status = self.shim.wait().await;
        // The kernel kills the processes of a PID namespace of its own.
        if let Some(file) = self.mount_ns_file.take() {
            kill_remaining(file).await;
        }
        for copy in copies {
            let _ = copy.await;
        }
        let code = status.ok().and_then(|status| status.code());
        // A shim without an exit code was killed, and the container with it.
        let code = code.unwrap_or(128 + Signal::SIGKILL as i32);
        let message = || {
            let written = termination_log::read(&self.termination_log);
            self.termination
                .message(code, &written, || self.log.lines())
        };
        // A panic in the message must not lose the exit.
        let message = self.component.call_once(message).flatten();
        Exit {
            container: self.id,
            code,
            signal: None,
            at: self.component.clock().now(),
            message,
        }
    }
}

/// Kills the container's remaining processes in the pod's shared PID namespace.
async fn kill_remaining(mount_ns_file: PathBuf) {
    let kill = move || shared_pid_ns::kill_all_in(&std::fs::read_to_string(mount_ns_file)?);
    match tokio::task::spawn_blocking(kill).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "cannot kill all processes of the container"),
        Err(error) => tracing::debug!(%error, "the node is shutting down"),
    }
}

fn open_streams(config: StreamsConfig, dir: &Path) -> io::Result<(Streams, Option<OwnedFd>)> {
    std::fs::create_dir_all(root_dir(dir))?;
    Streams::open(config, dir)
}

/// Returns the mount point of the root file system.
fn root_dir(dir: &Path) -> PathBuf {
    dir.join("root")
}

fn pid_file(dir: &Path) -> PathBuf {
    dir.join("pid")
}

fn container_spec(
    pod: &PodSandbox,
    dir: &Path,
    config: ContainerConfig,
    stdin: Option<PathBuf>,
    image: ResolvedImage,
) -> Result<ContainerSpec, RuntimeError> {
    let argv = config.argv();
    let ResolvedImage {
        program,
        program_name,
        files,
        ..
    } = image;
    if !program.is_file() {
        let text = format!("{}: no such program", program.display());
        return Err(RuntimeError::Start(text));
    }
    let mut env = vec![
        ("PATH".to_owned(), DEFAULT_PATH.to_owned()),
        ("HOSTNAME".to_owned(), pod.hostname.clone()),
        ("HOME".to_owned(), "/root".to_owned()),
    ];
    for (name, value) in config.image.env.into_iter().chain(config.env) {
        // The last one wins, as in every container runtime.
        env.retain(|(known, _)| *known != name);
        env.push((name, value));
    }
    let mut bind_mounts = pod
        .bind_mounts(&config.mounts)
        .map_err(|error| RuntimeError::Start(error.to_string()))?;
    let log = termination_log::create(dir, &config.termination);
    bind_mounts.extend(log.map_err(system("creating the termination log"))?);
    Ok(ContainerSpec {
        network: pod.network.namespace.clone(),
        pid_file: pid_file(dir),
        shared_processes: pod.shared_pid_ns.as_ref().map(|shared| SharedProcesses {
            init_pid: shared.init_pid(),
            mount_ns_file: dir.join("mounts"),
        }),
        root: root_dir(dir),
        stdin,
        tty: config.streams.tty,
        hostname: pod.hostname.clone(),
        program,
        program_name,
        argv,
        env,
        cwd: config.working_dir,
        bind_mounts,
        user: config.user,
        read_only_root_filesystem: config.read_only_root_filesystem,
        image_files: files,
    })
}

/// Starts the shim. Returns when the container's program has started or failed to: `__exec` cannot join a root file
/// system that is not complete.
async fn spawn_shim(spec: &ContainerSpec, replica: Option<OwnedFd>) -> io::Result<Child> {
    let (mut node_end, shim_end) = UnixStream::pair()?;
    let shim_end = shim_end.into_std()?;
    shim_end.set_nonblocking(false)?;
    let mut command = Command::from(reexec_self(CONTAINER_SHIM));
    command.stdin(OwnedFd::from(shim_end)).process_group(0);
    streams::configure_stdio(&mut command, replica)?;
    let child = command.spawn()?;
    // Close the command's copies of the shim's descriptors.
    drop(command);
    node_end.write_all(&serde_json::to_vec(spec)?).await?;
    node_end.shutdown().await?;
    let _ = node_end.read(&mut [0]).await;
    Ok(child)
}
