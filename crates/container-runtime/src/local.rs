//! Pods as local processes: Linux namespaces, this machine's programs under their images' names, a network of their own.
//!
//! It counts on being inside what the module `up` of the crate `node` makes: its own mounts and processes end with it, so nothing it leaves
//! undone outlives it.

mod command;
mod confine;
mod container;
mod exec;
mod files;
mod images;
mod log;
mod network;
mod prober;
mod processes;
mod role;
mod root;
mod said;
mod sandbox;
mod shadow;
mod spec;
mod streams;
mod taps;
mod terminal;
mod user;
mod volumes;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use component_helpers::supervisor::{Component, Supervisor};
use futures::stream::{BoxStream, StreamExt as _};
use probe::Clock;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;

use super::{
    ContainerConfig, ContainerId, ExecError, ExecOptions, ExecResult, ExecSession, Exit, Image,
    ImageError, LogLine, Runtime, RuntimeError, Sandbox, SandboxConfig, SandboxId, Volume,
};
use container::Container;
pub use images::{ImageProgram, Images, Requirement};
pub use network::GATEWAY;
pub(crate) use network::Network;
pub use role::dispatch;
pub use role::{again, hold_signals, supervise};
use sandbox::Pod;

/// Runs pods on this machine.
pub struct Local {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Clock,
    component: Component,
    images: Images,
    network: Network,
    /// Where pods' folders are; gone with the node's mounts.
    folder: PathBuf,
    // Std mutexes: nothing awaits while they are held.
    pods: Mutex<HashMap<SandboxId, Arc<Pod>>>,
    containers: Mutex<HashMap<ContainerId, Arc<Container>>>,
    listeners: Mutex<Vec<mpsc::UnboundedSender<Exit>>>,
}

impl Local {
    /// Creates a runtime without pods, and its network. Its files are in `folder`; its component is
    /// `container-runtime`.
    ///
    /// # Errors
    /// When the kernel refuses the network.
    pub async fn start(supervisor: &Supervisor, images: Images, folder: &Path) -> io::Result<Self> {
        let network = Network::start(&folder.join("networks")).await?;
        Ok(Self {
            shared: Arc::new(Shared {
                clock: supervisor.clock().clone(),
                component: supervisor.component("container-runtime"),
                images,
                network,
                folder: folder.join("pods"),
                pods: Mutex::default(),
                containers: Mutex::default(),
                listeners: Mutex::default(),
            }),
        })
    }

    /// Where tasks run whose sockets are the node's in the pod network.
    #[must_use]
    pub fn pod_network(&self) -> tokio::runtime::Handle {
        self.shared.network.handle()
    }
}

fn system(doing: impl Into<String>) -> impl FnOnce(io::Error) -> RuntimeError {
    let doing = doing.into();
    move |source| RuntimeError::System { doing, source }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .expect("nothing panics while it holds the runtime's tables")
}

impl Shared {
    fn pod(&self, id: &SandboxId) -> Result<Arc<Pod>, RuntimeError> {
        let found = lock(&self.pods).get(id).cloned();
        found.ok_or_else(|| RuntimeError::NotFound(format!("sandbox {}", id.0)))
    }

    fn container(&self, id: &ContainerId) -> Result<Arc<Container>, RuntimeError> {
        let found = lock(&self.containers).get(id).cloned();
        found.ok_or_else(|| RuntimeError::NotFound(format!("container {}", id.0)))
    }

    fn tell(&self, exit: &Exit) {
        lock(&self.listeners).retain(|listener| listener.send(exit.clone()).is_ok());
    }
}

#[async_trait]
impl Runtime for Local {
    async fn run_sandbox(&self, config: SandboxConfig) -> Result<Sandbox, RuntimeError> {
        let id = SandboxId(config.uid.clone());
        if let Ok(pod) = self.shared.pod(&id) {
            return Ok(Sandbox { id, ip: pod.ip() });
        }
        let pod = Pod::make(&self.shared.network, &self.shared.folder, &config).await?;
        let ip = pod.ip();
        lock(&self.shared.pods).insert(id.clone(), Arc::new(pod));
        Ok(Sandbox { id, ip })
    }

    async fn update_volumes(
        &self,
        sandbox: &SandboxId,
        volumes: &[Volume],
    ) -> Result<(), RuntimeError> {
        let updated = self.shared.pod(sandbox)?.update(volumes);
        updated.map_err(system("updating the pod's volumes"))
    }

    async fn remove_sandbox(&self, sandbox: &SandboxId) -> Result<(), RuntimeError> {
        let Some(pod) = lock(&self.shared.pods).remove(sandbox) else {
            return Ok(());
        };
        let of_pod: Vec<_> = lock(&self.shared.containers)
            .iter()
            .filter(|(_, container)| container.sandbox == *sandbox)
            .map(|(id, container)| (id.clone(), container.clone()))
            .collect();
        for (id, container) in of_pod {
            container.kill();
            container.ended().await;
            lock(&self.shared.containers).remove(&id);
        }
        pod.remove(&self.shared.network).await;
        Ok(())
    }

    async fn resolve_image(&self, image: &str) -> Result<Image, ImageError> {
        self.shared.images.resolve(image).map(|found| found.image)
    }

    async fn start_container(
        &self,
        sandbox: &SandboxId,
        config: ContainerConfig,
    ) -> Result<ContainerId, RuntimeError> {
        let pod = self.shared.pod(sandbox)?;
        let id = ContainerId(uuid::Uuid::new_v4().simple().to_string());
        let found = self
            .shared
            .images
            .resolve(&config.image.reference)
            .map_err(|error| RuntimeError::Start(error.to_string()))?;
        let shared = self.shared.clone();
        let component = shared.component.clone();
        let told = move |exit: Exit| shared.tell(&exit);
        let container =
            Container::start(&id, sandbox, &pod, config, found, component, told).await?;
        lock(&self.shared.containers).insert(id.clone(), Arc::new(container));
        Ok(id)
    }

    async fn stop_container(
        &self,
        container: &ContainerId,
        grace: Duration,
    ) -> Result<(), RuntimeError> {
        let container = self.shared.container(container)?;
        container.ask_to_end();
        let grace = self.shared.clock.to_real(grace);
        if tokio::time::timeout(grace, container.ended())
            .await
            .is_err()
        {
            container.kill();
            container.ended().await;
        }
        Ok(())
    }

    fn exits(&self) -> BoxStream<'static, Exit> {
        let (sender, receiver) = mpsc::unbounded_channel();
        lock(&self.shared.listeners).push(sender);
        UnboundedReceiverStream::new(receiver).boxed()
    }

    async fn exec(
        &self,
        container: &ContainerId,
        command: &[String],
        timeout: Duration,
    ) -> Result<ExecResult, ExecError> {
        let container = self.shared.container(container)?;
        command::run(&container, command, timeout).await
    }

    async fn exec_stream(
        &self,
        container: &ContainerId,
        command: &[String],
        options: ExecOptions,
    ) -> Result<ExecSession, RuntimeError> {
        let container = self.shared.container(container)?;
        command::attach(&container, command, options)
    }

    async fn attach(
        &self,
        container: &ContainerId,
        stdin: bool,
    ) -> Result<ExecSession, RuntimeError> {
        let container = self.shared.container(container)?;
        let attached = container.attach(stdin);
        attached.map_err(system("attaching to a container"))
    }

    async fn connect(&self, sandbox: &SandboxId, port: u16) -> io::Result<TcpStream> {
        let pod = self.shared.pod(sandbox).map_err(io::Error::other)?;
        pod.place.connect(port).await
    }

    async fn logs(
        &self,
        container: &ContainerId,
        follow: bool,
    ) -> Result<BoxStream<'static, LogLine>, RuntimeError> {
        Ok(self.shared.container(container)?.log(follow))
    }

    async fn remove_container(&self, container: &ContainerId) -> Result<(), RuntimeError> {
        if let Ok(found) = self.shared.container(container) {
            found.remove_folder();
            lock(&self.shared.containers).remove(container);
        }
        Ok(())
    }

    fn prober(&self) -> Arc<dyn probe::Prober> {
        Arc::new(prober::Prober::new(self.shared.clone()))
    }
}
