//! A runtime whose workloads are data, for the virtual clock: it needs no processes and no sockets, and it is deterministic.
//!
//! A container behaves as the [`Workload`] of its program. The runtime answers probes itself. Callers in this process reach
//! a pod with [`ScriptedRuntime::http_get`].

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use probe::Clock;
use tokio::net::TcpStream;
use tokio::sync::broadcast;
use tokio_stream::wrappers::BroadcastStream;

use super::{
    ContainerConfig, ContainerId, ExecError, ExecOptions, ExecResult, ExecSession, Exit, Image,
    ImageError, LogLine, Runtime, RuntimeError, Sandbox, SandboxConfig, SandboxId, Volume,
    VolumeSource,
};

mod chapter;
mod exec;
mod instance;
mod prober;
mod start_counter;
mod workload;

use instance::Instance;
pub use workload::{HttpReply, OnTerm, Route, RouteBehavior, ScriptedExec, Workload, Workloads};

/// Number of exits that a subscriber may lag behind before it loses some.
const EXIT_CHANNEL_CAPACITY: usize = 4096;
/// Exit code and signal number of a process that SIGKILL ended.
const SIGKILL_EXIT: (i32, i32) = (137, 9);
/// Exit code and signal number of a process that SIGTERM ended.
const SIGTERM_EXIT: (i32, i32) = (143, 15);

/// Runs scripted workloads.
pub struct ScriptedRuntime {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Clock,
    workloads: Workloads,
    state: Mutex<State>,
    exits: broadcast::Sender<Exit>,
}

#[derive(Default)]
struct State {
    sandboxes: HashMap<SandboxId, SandboxState>,
    instances: BTreeMap<ContainerId, Instance>,
    /// Number of sandboxes created so far.
    sandbox_count: u32,
    logs: HashMap<ContainerId, Vec<LogLine>>,
}

struct SandboxState {
    ip: Ipv4Addr,
    /// Files by volume and path, with the lifetime of the pod.
    volumes: BTreeMap<String, BTreeMap<String, Bytes>>,
}

impl ScriptedRuntime {
    /// Creates a runtime with these workloads. Times of exits are read from `clock`.
    #[must_use]
    pub fn new(clock: Clock, workloads: Workloads) -> Self {
        let (exits, _) = broadcast::channel(EXIT_CHANNEL_CAPACITY);
        Self {
            shared: Arc::new(Shared {
                clock,
                workloads,
                state: Mutex::default(),
                exits,
            }),
        }
    }

    /// Sends a GET request to a pod. Returns status and body, or `None` if no container listens on the port.
    #[must_use]
    pub fn http_get(&self, ip: Ipv4Addr, port: u16, path: &str) -> Option<(u16, String)> {
        self.shared.state().http_get(ip, port, path)
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("no code panics while it holds the state")
    }

    /// Records the exit of an instance and publishes it. Does nothing if it has exited before.
    fn exit(&self, container: &ContainerId, code: i32, signal: Option<i32>) {
        let at = self.clock.now();
        let has_exited = self
            .state()
            .instances
            .get_mut(container)
            .is_some_and(Instance::exit);
        if has_exited {
            // Fails without subscribers: the kubelet may have stopped already.
            let _ = self.exits.send(Exit {
                container: container.clone(),
                code,
                signal,
                at,
                message: None,
            });
        }
    }

    /// Returns the reaction of a running instance to SIGTERM; `None` if it has exited or is unknown.
    fn on_term(&self, container: &ContainerId) -> Option<OnTerm> {
        let state = self.state();
        state
            .instances
            .get(container)
            .filter(|instance| instance.is_running())
            .map(|instance| instance.workload.on_term)
    }
}

impl State {
    fn http_get(&mut self, ip: Ipv4Addr, port: u16, path: &str) -> Option<(u16, String)> {
        let sandbox = self
            .sandboxes
            .iter()
            .find(|(_, sandbox)| sandbox.ip == ip)
            .map(|(id, _)| id.clone())?;
        let mut listeners = self
            .instances
            .values_mut()
            .filter(|instance| instance.sandbox == sandbox);
        listeners
            .find(|instance| instance.is_listening(port))
            .map(|instance| instance.respond(path))
    }

    fn is_listening(&self, sandbox: &SandboxId, port: u16) -> bool {
        self.instances
            .values()
            .any(|instance| instance.sandbox == *sandbox && instance.is_listening(port))
    }
}

#[async_trait]
impl Runtime for ScriptedRuntime {
    async fn run_sandbox(&self, config: SandboxConfig) -> Result<Sandbox, RuntimeError> {
        let mut state = self.shared.state();
        let id = SandboxId(config.uid);
        state.sandbox_count += 1;
        // The same addresses as of the local runtime, whose bridge has .1.
        let ip = Ipv4Addr::from_bits(Ipv4Addr::new(10, 244, 0, 1).to_bits() + state.sandbox_count);
        let volumes = config
            .volumes
            .into_iter()
            .map(|volume| (volume.name, exec::volume_files(volume.source)))
            .collect();
        state
            .sandboxes
            .insert(id.clone(), SandboxState { ip, volumes });
        Ok(Sandbox { id, ip })
    }

    async fn update_volumes(
        &self,
        sandbox: &SandboxId,
        volumes: &[Volume],
    ) -> Result<(), RuntimeError> {
        let mut state = self.shared.state();
        let pod = state.sandboxes.get_mut(sandbox);
        let pod = pod.ok_or_else(|| RuntimeError::NotFound(sandbox.0.clone()))?;
        for volume in volumes {
            if let VolumeSource::Files(_) = volume.source {
                let files = exec::volume_files(volume.source.clone());
                pod.volumes.insert(volume.name.clone(), files);
            }
        }
        Ok(())
    }

    async fn remove_sandbox(&self, sandbox: &SandboxId) -> Result<(), RuntimeError> {
        let containers: Vec<ContainerId> = {
            let state = self.shared.state();
            let instances = state
                .instances
                .iter()
                .filter(|(_, instance)| instance.sandbox == *sandbox);
            instances.map(|(id, _)| id.clone()).collect()
        };
        for container in &containers {
            self.shared
                .exit(container, SIGKILL_EXIT.0, Some(SIGKILL_EXIT.1));
        }
        let mut state = self.shared.state();
        state
            .instances
            .retain(|_, instance| instance.sandbox != *sandbox);
        state.sandboxes.remove(sandbox);
        for container in &containers {
            state.logs.remove(container);
        }
        Ok(())
    }

    async fn resolve_image(&self, image: &str) -> Result<Image, ImageError> {
        self.shared
            .workloads
            .image(image)
            .ok_or_else(|| self.shared.workloads.unknown_image(image))
    }

    async fn start_container(
        &self,
        sandbox: &SandboxId,
        config: ContainerConfig,
    ) -> Result<ContainerId, RuntimeError> {
        let workload = self.shared.workloads.find(&config)?;
        let id = ContainerId(format!("{}-{}-{}", sandbox.0, config.name, config.attempt));
        let exit_after = workload.exit_after;
        let mut state = self.shared.state();
        if !state.sandboxes.contains_key(sandbox) {
            return Err(RuntimeError::NotFound(sandbox.0.clone()));
        }
        let at = self.shared.clock.now();
        let log = state
            .sandboxes
            .get_mut(sandbox)
            .map(|pod| start_counter::log(&config, &mut pod.volumes, at));
        state.logs.insert(id.clone(), log.unwrap_or_default());
        state.instances.insert(
            id.clone(),
            Instance::new(sandbox.clone(), workload, &config),
        );
        if let Some((after, code)) = exit_after {
            let (shared, id) = (Arc::clone(&self.shared), id.clone());
            tokio::spawn(async move {
                shared.clock.sleep(after).await;
                shared.exit(&id, code, None);
            });
        }
        Ok(id)
    }

    async fn stop_container(
        &self,
        container: &ContainerId,
        grace: Duration,
    ) -> Result<(), RuntimeError> {
        match self.shared.on_term(container) {
            None => {}
            Some(OnTerm::Exit(code)) => self.shared.exit(container, code, None),
            Some(OnTerm::Default) => {
                let (code, signal) = SIGTERM_EXIT;
                self.shared.exit(container, code, Some(signal));
            }
            Some(OnTerm::Ignore) => {
                self.shared.clock.sleep(grace).await;
                self.shared
                    .exit(container, SIGKILL_EXIT.0, Some(SIGKILL_EXIT.1));
            }
        }
        Ok(())
    }

    fn exits(&self) -> BoxStream<'static, Exit> {
        BroadcastStream::new(self.shared.exits.subscribe())
            .filter_map(async |exit| exit.ok())
            .boxed()
    }

    async fn exec(
        &self,
        container: &ContainerId,
        command: &[String],
        _: Duration,
    ) -> Result<ExecResult, ExecError> {
        Ok(self.shared.state().exec(container, command)?)
    }

    async fn exec_stream(
        &self,
        container: &ContainerId,
        command: &[String],
        _: ExecOptions,
    ) -> Result<ExecSession, RuntimeError> {
        let result = self.shared.state().exec(container, command)?;
        Ok(exec::finished_session(result))
    }

    async fn attach(&self, _: &ContainerId, _: bool) -> Result<ExecSession, RuntimeError> {
        let why = "a scripted workload has no streams";
        Err(RuntimeError::Start(why.to_owned()))
    }

    async fn connect(&self, _: &SandboxId, _: u16) -> io::Result<TcpStream> {
        let why = "a scripted workload has no ports";
        Err(io::Error::new(io::ErrorKind::Unsupported, why))
    }

    async fn logs(
        &self,
        container: &ContainerId,
        _: bool,
    ) -> Result<BoxStream<'static, LogLine>, RuntimeError> {
        let lines = self.shared.state().logs.get(container).cloned();
        let lines = lines.ok_or_else(|| RuntimeError::NotFound(container.0.clone()))?;
        Ok(futures::stream::iter(lines).boxed())
    }

    async fn remove_container(&self, container: &ContainerId) -> Result<(), RuntimeError> {
        let mut state = self.shared.state();
        state.instances.remove(container);
        state.logs.remove(container);
        Ok(())
    }

    fn prober(&self) -> Arc<dyn probe::Prober> {
        Arc::new(prober::ScriptedProber(Arc::clone(&self.shared)))
    }
}

#[cfg(test)]
mod tests;
