//! One instance of a container: a process that holds its namespaces, and all that it starts.

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

use super::images::Found;
use super::log::{self, Log};
use super::processes;
use super::role;
use super::said;
use super::sandbox::Pod;
use super::spec::{ContainerSpec, SharedProcesses};
use super::streams::{self, Streams};
use super::system;
use crate::{
    ContainerConfig, ContainerId, ExecSession, Exit, LogLine, RuntimeError, SandboxId,
    StreamsConfig, User,
};

/// Where a container's programs are looked for.
pub(super) const PATH: &str = "/app:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

pub(super) struct Container {
    pub(super) sandbox: SandboxId,
    /// The process that holds its namespaces.
    holder: Pid,
    folder: PathBuf,
    stop: Signal,
    pub(super) env: Vec<(String, String)>,
    pub(super) cwd: Option<String>,
    pub(super) user: User,
    streams: Streams,
    log: Log,
    ended: watch::Receiver<bool>,
}

impl Container {
    pub(super) async fn start(
        id: &ContainerId,
        sandbox: &SandboxId,
        pod: &Pod,
        config: ContainerConfig,
        found: Found,
        component: Component,
        told: impl FnOnce(Exit) + Send + 'static,
    ) -> Result<Self, RuntimeError> {
        let folder = pod.folder.join("containers").join(&id.0);
        let stop = config.image.stop_signal.as_deref();
        let stop = stop.and_then(|name| Signal::from_str(name).ok());
        let opened = open_streams(config.streams, &folder);
        let termination = config.termination.clone();
        let (streams, terminal) = opened.map_err(system("making the container's folder"))?;
        let spec = spec(pod, &folder, config, streams.stdin(), found)?;
        let mut child = spawn(&spec, terminal)
            .await
            .map_err(system("starting the container"))?;
        let holder = child.id().and_then(|id| i32::try_from(id).ok());
        let holder = holder.ok_or_else(|| RuntimeError::Start("it ended at once".to_owned()))?;
        let (writer, log) = log::new(component.clock().clone());
        let (printed_log, said) = (log.clone(), said::file(&folder));
        let printed = streams.printed(&mut child);
        let printed = printed.map_err(system("opening the container's terminal"))?;
        let (end, ended) = watch::channel(false);
        let id = id.clone();
        let mounts = spec.processes.map(|shared| shared.mounts_file);
        tokio::spawn(async move {
            let copies: Vec<_> = printed
                .into_iter()
                .map(|(stream, taps)| {
                    let (component, copy) = (component.clone(), writer.clone().copy(stream, taps));
                    tokio::spawn(async move { component.run_once(copy).await })
                })
                .collect();
            drop(writer);
            let status = child.wait().await;
            // In a namespace of its own the kernel has done it.
            if let Some(mounts) = mounts {
                kill_the_rest(mounts).await;
            }
            for copy in copies {
                let _ = copy.await;
            }
            let code = status.ok().and_then(|status| status.code());
            // Killed from outside, and with it all that it held.
            let code = code.unwrap_or(128 + Signal::SIGKILL as i32);
            // The exit is reported even if its message cannot be made.
            let message = || termination.message(code, &said::read(&said), || printed_log.lines());
            let message = component.call_once(message).flatten();
            end.send_replace(true);
            told(Exit {
                container: id,
                code,
                signal: None,
                at: component.clock().now(),
                message,
            });
        });
        Ok(Self {
            sandbox: sandbox.clone(),
            holder: Pid::from_raw(holder),
            folder,
            stop: stop.unwrap_or(Signal::SIGTERM),
            env: spec.env,
            cwd: spec.cwd,
            user: spec.user,
            streams,
            log,
            ended,
        })
    }

    /// Its first process, as the node counts; none before it has begun.
    pub(super) fn pid(&self) -> Option<i32> {
        let text = std::fs::read_to_string(pid_file(&self.folder)).ok()?;
        text.trim().parse().ok()
    }

    /// Sends what asks its first process to end.
    pub(super) fn ask_to_end(&self) {
        self.signal(self.holder, self.stop);
    }

    /// Kills its first process, with which the kernel ends all others.
    pub(super) fn kill(&self) {
        match self.pid() {
            Some(pid) => self.signal(Pid::from_raw(pid), Signal::SIGKILL),
            None => self.signal(self.holder, Signal::SIGKILL),
        }
    }

    /// A container that has ended has no processes: their numbers may be others' by now.
    fn signal(&self, pid: Pid, signal: Signal) {
        if !*self.ended.borrow()
            && let Err(error) = kill(pid, signal)
        {
            tracing::debug!(%error, %signal, "a container was gone before a signal");
        }
    }

    /// Returns once it has ended.
    pub(super) async fn ended(&self) {
        let mut ended = self.ended.clone();
        let _ = ended.wait_for(|ended| *ended).await;
    }

    pub(super) fn log(&self, follow: bool) -> BoxStream<'static, LogLine> {
        self.log.read(follow)
    }

    /// Its streams, until it has ended.
    pub(super) fn attach(&self, stdin: bool) -> io::Result<ExecSession> {
        let attached = self.streams.attach(stdin)?;
        let mut ended = self.ended.clone();
        Ok(ExecSession {
            stdin: attached.stdin,
            stdout: attached.stdout,
            stderr: attached.stderr,
            resize: attached.resize,
            exit: Box::pin(async move {
                tokio::select! {
                    // How it ended its status says: to be attached until then is what was asked for.
                    _ = ended.wait_for(|ended| *ended) => Ok(0),
                    () = attached.late.cancelled() => Err(RuntimeError::Late),
                }
            }),
        })
    }

    pub(super) fn remove_folder(&self) {
        if let Err(error) = std::fs::remove_dir_all(&self.folder) {
            tracing::debug!(%error, "a container's folder stays");
        }
    }
}

/// Ends what a container has left running among its pod's processes.
async fn kill_the_rest(mounts_file: PathBuf) {
    let kill = move || processes::kill_all_in(&std::fs::read_to_string(mounts_file)?);
    match tokio::task::spawn_blocking(kill).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "processes of a container may be left"),
        Err(error) => tracing::debug!(%error, "the node ends"),
    }
}

fn open_streams(config: StreamsConfig, folder: &Path) -> io::Result<(Streams, Option<OwnedFd>)> {
    std::fs::create_dir_all(root(folder))?;
    Streams::open(config, folder)
}

/// Where its root is mounted.
fn root(folder: &Path) -> PathBuf {
    folder.join("root")
}

fn pid_file(folder: &Path) -> PathBuf {
    folder.join("pid")
}

fn spec(
    pod: &Pod,
    folder: &Path,
    config: ContainerConfig,
    stdin: Option<PathBuf>,
    found: Found,
) -> Result<ContainerSpec, RuntimeError> {
    let Found {
        program,
        program_name,
        fittings,
        ..
    } = found;
    if !program.is_file() {
        let text = format!("{}: no such program", program.display());
        return Err(RuntimeError::Start(text));
    }
    let mut argv = if config.command.is_empty() {
        config.image.entrypoint
    } else {
        config.command
    };
    argv.extend(config.args);
    let mut env = vec![
        ("PATH".to_owned(), PATH.to_owned()),
        ("HOSTNAME".to_owned(), pod.hostname.clone()),
        ("HOME".to_owned(), "/root".to_owned()),
    ];
    for (name, value) in config.image.env.into_iter().chain(config.env) {
        // The last one wins, as in every container runtime.
        env.retain(|(known, _)| *known != name);
        env.push((name, value));
    }
    let mut binds = pod
        .binds(&config.mounts)
        .map_err(|error| RuntimeError::Start(error.to_string()))?;
    let said = said::make(folder, &config.termination);
    binds.extend(said.map_err(system("making the file of its termination message"))?);
    Ok(ContainerSpec {
        network: pod.place.path.clone(),
        pid_file: pid_file(folder),
        processes: pod.processes.as_ref().map(|processes| SharedProcesses {
            first: processes.first(),
            mounts_file: folder.join("mounts"),
        }),
        root: root(folder),
        stdin,
        tty: config.streams.tty,
        hostname: pod.hostname.clone(),
        program,
        program_name,
        argv,
        env,
        cwd: config.working_dir,
        binds,
        user: config.user,
        read_only_root: config.read_only_root,
        fittings,
    })
}

/// Returns once the container's program has begun, or has failed to: nobody joins what is not built yet.
async fn spawn(spec: &ContainerSpec, terminal: Option<OwnedFd>) -> io::Result<Child> {
    let (mut ours, theirs) = UnixStream::pair()?;
    let theirs = theirs.into_std()?;
    theirs.set_nonblocking(false)?;
    let mut command = Command::from(role::again("__pod"));
    command.stdin(OwnedFd::from(theirs)).process_group(0);
    streams::give(&mut command, terminal)?;
    let child = command.spawn()?;
    // The command would keep copies of their ends.
    drop(command);
    ours.write_all(&serde_json::to_vec(spec)?).await?;
    ours.shutdown().await?;
    let _ = ours.read(&mut [0]).await;
    Ok(child)
}
