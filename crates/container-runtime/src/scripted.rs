//! A runtime whose workloads are data, for the virtual clock: no process, no socket, the same every time.
//!
//! What a container does is a [`Workload`], found by the program it would run. Probes get their answers here, and
//! [`Scripted::http_get`] is how a caller inside this process reaches a pod.

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

mod answers;
mod instance;
mod prober;
mod starts;
mod workload;

use instance::Instance;
pub use workload::{Answer, Exec, Reply, Route, Term, Workload, Workloads};

/// Exits that a slow listener may be behind.
const EXITS: usize = 4096;
/// Exit codes of a process that KILL or TERM ended.
const KILLED: (i32, i32) = (137, 9);

/// The runtime.
pub struct Scripted {
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
    made: u32,
    logs: HashMap<ContainerId, Vec<LogLine>>,
}

struct SandboxState {
    ip: Ipv4Addr,
    /// Files by volume and path. They live as long as the pod.
    volumes: BTreeMap<String, BTreeMap<String, Bytes>>,
}

impl Scripted {
    /// A runtime that knows `workloads` and dates exits by `clock`.
    #[must_use]
    pub fn new(clock: Clock, workloads: Workloads) -> Self {
        let (exits, _) = broadcast::channel(EXITS);
        Self {
            shared: Arc::new(Shared {
                clock,
                workloads,
                state: Mutex::default(),
                exits,
            }),
        }
    }

    /// A GET request to a pod: status and body, or none where nobody listens.
    #[must_use]
    pub fn http_get(&self, ip: Ipv4Addr, port: u16, path: &str) -> Option<(u16, String)> {
        self.shared.state().http_get(ip, port, path)
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("nothing panics while it holds the state")
    }

    /// Ends an instance, once: later calls find it ended.
    fn end(&self, container: &ContainerId, code: i32, signal: Option<i32>) {
        let at = self.clock.now();
        let ended = self
            .state()
            .instances
            .get_mut(container)
            .is_some_and(Instance::end);
        if ended {
            // No listener is no error: the kubelet may be gone already.
            let _ = self.exits.send(Exit {
                container: container.clone(),
                code,
                signal,
                at,
                message: None,
            });
        }
    }

    /// What the script says of asking this instance to end; none where it has ended or is unknown.
    fn on_term(&self, container: &ContainerId) -> Option<Term> {
        let state = self.state();
        state
            .instances
            .get(container)
            .filter(|instance| instance.runs())
            .map(|instance| instance.workload.term)
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
            .find(|instance| instance.listens(port))
            .map(|instance| instance.answer(path))
    }

    fn listens(&self, sandbox: &SandboxId, port: u16) -> bool {
        self.instances
            .values()
            .any(|instance| instance.sandbox == *sandbox && instance.listens(port))
    }
}

#[async_trait]
impl Runtime for Scripted {
    async fn run_sandbox(&self, config: SandboxConfig) -> Result<Sandbox, RuntimeError> {
        let mut state = self.shared.state();
        let id = SandboxId(config.uid);
        state.made += 1;
        // Addresses as the local runtime gives them: .1 is the bridge's.
        let ip = Ipv4Addr::from_bits(Ipv4Addr::new(10, 244, 0, 1).to_bits() + state.made);
        let volumes = config
            .volumes
            .into_iter()
            .map(|volume| (volume.name, answers::files(volume.source)))
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
                let files = answers::files(volume.source.clone());
                pod.volumes.insert(volume.name.clone(), files);
            }
        }
        Ok(())
    }

    async fn remove_sandbox(&self, sandbox: &SandboxId) -> Result<(), RuntimeError> {
        let inside: Vec<ContainerId> = {
            let state = self.shared.state();
            let mine = state
                .instances
                .iter()
                .filter(|(_, instance)| instance.sandbox == *sandbox);
            mine.map(|(id, _)| id.clone()).collect()
        };
        for container in &inside {
            self.shared.end(container, KILLED.0, Some(KILLED.1));
        }
        let mut state = self.shared.state();
        state
            .instances
            .retain(|_, instance| instance.sandbox != *sandbox);
        state.sandboxes.remove(sandbox);
        for container in &inside {
            state.logs.remove(container);
        }
        Ok(())
    }

    async fn resolve_image(&self, image: &str) -> Result<Image, ImageError> {
        self.shared
            .workloads
            .image(image)
            .ok_or_else(|| ImageError::Unknown(image.to_owned()))
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
            .map(|pod| starts::log(&config, &mut pod.volumes, at));
        state.logs.insert(id.clone(), log.unwrap_or_default());
        state.instances.insert(
            id.clone(),
            Instance::new(sandbox.clone(), workload, &config),
        );
        if let Some((after, code)) = exit_after {
            let (shared, id) = (Arc::clone(&self.shared), id.clone());
            tokio::spawn(async move {
                shared.clock.sleep(after).await;
                shared.end(&id, code, None);
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
            Some(Term::Exit(code)) => self.shared.end(container, code, None),
            Some(Term::Dies) => self.shared.end(container, 143, Some(15)),
            Some(Term::Ignored) => {
                self.shared.clock.sleep(grace).await;
                self.shared.end(container, KILLED.0, Some(KILLED.1));
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
        Ok(answers::session(result))
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
        Arc::new(prober::Scripted(Arc::clone(&self.shared)))
    }
}

#[cfg(test)]
mod tests;
