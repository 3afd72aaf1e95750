//! Pods as local processes in Linux namespaces, with programs of this host for images, and a pod network.
//!
//! The runtime must run inside the namespaces that the module `up` of the crate `node` creates: the kernel removes their
//! mounts and processes when the node exits, so nothing is left behind.
//!
//! `child` is the code of re-executed children; every other module runs in the node's process.

mod atomic_writer;
mod attach_output;
mod child;
mod container;
mod exec;
mod images;
mod log;
mod network;
mod prober;
mod pty;
mod sandbox;
mod shared_pid_ns;
mod spec;
mod streams;
mod termination_log;
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
pub use child::{CLEANUP, dispatch};
pub use container::DEFAULT_PATH;
use container::{Container, StartContainer};
pub use images::{FindHostSoftware, HostSoftware, ImageMap, ImageProgram};
pub use network::GATEWAY;
pub(crate) use network::Network;
use sandbox::PodSandbox;
pub use spec::ImageFiles;

/// Runs pods as processes of this host.
pub struct LocalRuntime {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Clock,
    component: Component,
    images: ImageMap,
    network: Network,
    /// Directory of the pods' files, on a mount that exists only in the node's mount namespace.
    pods_dir: PathBuf,
    // Std mutexes: no task awaits while it holds one.
    pods: Mutex<HashMap<SandboxId, Arc<PodSandbox>>>,
    containers: Mutex<HashMap<ContainerId, Arc<Container>>>,
    exit_subscribers: Mutex<Vec<mpsc::UnboundedSender<Exit>>>,
}

impl LocalRuntime {
    /// Creates a runtime without pods, and the pod network. Its files are in `dir`; its component is
    /// `container-runtime`.
    ///
    /// # Errors
    /// The kernel's error if the network cannot be created.
    pub async fn start(supervisor: &Supervisor, images: ImageMap, dir: &Path) -> io::Result<Self> {
        let network = Network::start(&dir.join("networks")).await?;
        Ok(Self {
            shared: Arc::new(Shared {
                clock: supervisor.clock().clone(),
                component: supervisor.component("container-runtime"),
                images,
                network,
                pods_dir: dir.join("pods"),
                pods: Mutex::default(),
                containers: Mutex::default(),
                exit_subscribers: Mutex::default(),
            }),
        })
    }

    /// Returns the handle of a tokio runtime whose threads are in the node's network namespace of the pod network.
    #[must_use]
    pub fn pod_network(&self) -> tokio::runtime::Handle {
        self.shared.network.handle()
    }
}

/// Returns a function that adds the failed operation to an error.
fn system(doing: impl Into<String>) -> impl FnOnce(io::Error) -> RuntimeError {
    let doing = doing.into();
    move |source| RuntimeError::System { doing, source }
}

/// Returns a function that adds the failed operation to an error of a system call, and keeps its kind.
fn io_context(doing: String) -> impl FnOnce(nix::Error) -> io::Error {
    move |error| io::Error::new(io::Error::from(error).kind(), format!("{doing}: {error}"))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .expect("no code panics while it holds the runtime's tables")
}

impl Shared {
    fn pod(&self, id: &SandboxId) -> Result<Arc<PodSandbox>, RuntimeError> {
        let found = lock(&self.pods).get(id).cloned();
        found.ok_or_else(|| RuntimeError::NotFound(format!("sandbox {}", id.0)))
    }

    fn container(&self, id: &ContainerId) -> Result<Arc<Container>, RuntimeError> {
        let found = lock(&self.containers).get(id).cloned();
        found.ok_or_else(|| RuntimeError::NotFound(format!("container {}", id.0)))
    }

    fn notify_exit(&self, exit: &Exit) {
        lock(&self.exit_subscribers).retain(|subscriber| subscriber.send(exit.clone()).is_ok());
    }
}

#[async_trait]
impl Runtime for LocalRuntime {
    async fn run_sandbox(&self, config: SandboxConfig) -> Result<Sandbox, RuntimeError> {
        let id = SandboxId(config.uid.clone());
        if let Ok(pod) = self.shared.pod(&id) {
            return Ok(Sandbox { id, ip: pod.ip() });
        }
        let pod = PodSandbox::create(&self.shared.network, &self.shared.pods_dir, &config).await?;
        let ip = pod.ip();
        lock(&self.shared.pods).insert(id.clone(), Arc::new(pod));
        Ok(Sandbox { id, ip })
    }

    async fn update_volumes(
        &self,
        sandbox: &SandboxId,
        volumes: &[Volume],
    ) -> Result<(), RuntimeError> {
        let updated = self.shared.pod(sandbox)?.update_volumes(volumes);
        updated.map_err(system("updating the pod's volumes"))
    }

    async fn remove_sandbox(&self, sandbox: &SandboxId) -> Result<(), RuntimeError> {
        let Some(pod) = lock(&self.shared.pods).remove(sandbox) else {
            return Ok(());
        };
        let containers: Vec<_> = lock(&self.shared.containers)
            .iter()
            .filter(|(_, container)| container.sandbox == *sandbox)
            .map(|(id, container)| (id.clone(), container.clone()))
            .collect();
        for (id, container) in containers {
            container.kill();
            container.wait().await;
            lock(&self.shared.containers).remove(&id);
        }
        pod.remove(&self.shared.network).await;
        Ok(())
    }

    async fn resolve_image(&self, image: &str) -> Result<Image, ImageError> {
        let resolved = self.shared.images.resolve(image);
        resolved.map(|resolved| resolved.image)
    }

    async fn start_container(
        &self,
        sandbox: &SandboxId,
        config: ContainerConfig,
    ) -> Result<ContainerId, RuntimeError> {
        let pod = self.shared.pod(sandbox)?;
        let id = ContainerId(uuid::Uuid::new_v4().simple().to_string());
        let image = self
            .shared
            .images
            .resolve(&config.image.reference)
            .map_err(|error| RuntimeError::Start(error.to_string()))?;
        let request = StartContainer {
            id: &id,
            sandbox,
            pod: &pod,
            config,
            image,
            component: self.shared.component.clone(),
        };
        let shared = self.shared.clone();
        let container = Container::start(request, move |exit| shared.notify_exit(&exit)).await?;
        lock(&self.shared.containers).insert(id.clone(), Arc::new(container));
        Ok(id)
    }

    async fn stop_container(
        &self,
        container: &ContainerId,
        grace: Duration,
    ) -> Result<(), RuntimeError> {
        let container = self.shared.container(container)?;
        container.send_stop_signal();
        let grace = self.shared.clock.to_real(grace);
        if tokio::time::timeout(grace, container.wait()).await.is_err() {
            container.kill();
            container.wait().await;
        }
        Ok(())
    }

    fn exits(&self) -> BoxStream<'static, Exit> {
        let (sender, receiver) = mpsc::unbounded_channel();
        lock(&self.shared.exit_subscribers).push(sender);
        UnboundedReceiverStream::new(receiver).boxed()
    }

    async fn exec(
        &self,
        container: &ContainerId,
        command: &[String],
        timeout: Duration,
    ) -> Result<ExecResult, ExecError> {
        let container = self.shared.container(container)?;
        exec::run(&container, command, timeout).await
    }

    async fn exec_stream(
        &self,
        container: &ContainerId,
        command: &[String],
        options: ExecOptions,
    ) -> Result<ExecSession, RuntimeError> {
        let container = self.shared.container(container)?;
        exec::run_attached(&container, command, options)
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
        pod.network.connect(port).await
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
            found.remove_dir();
            lock(&self.shared.containers).remove(container);
        }
        Ok(())
    }

    fn prober(&self) -> Arc<dyn probe::Prober> {
        Arc::new(prober::PodProber::new(self.shared.clone()))
    }
}
