//! All probes of a node's pods: makes and ends their workers, and says what they have found.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod, PodStatus, Probe};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::event::EventSink;
use crate::prober::Prober;
use crate::results::{ProbeKind, ProbeResult, Results, Update};
use crate::worker::check::is_sidecar;
use crate::worker::{Handle, Worker};

mod status;

/// How the engine is run.
#[derive(Clone, Debug)]
pub struct Options {
    /// When its host started: containers much older than that keep what was published of them.
    pub started: Timestamp,
    /// Whether first checks are spread over a period right after the start.
    pub jitter: bool,
    /// The kubelet's gate `ChangeContainerStatusOnKubeletRestart`: containers older than the host begin anew as well.
    pub change_status_on_restart: bool,
}

/// The probes of a node's pods. Dropping it does not end them; [`Manager::remove_pod`] does.
pub struct Manager {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) clock: Clock,
    pub(crate) prober: Arc<dyn Prober>,
    pub(crate) events: Arc<dyn EventSink>,
    pub(crate) results: Results,
    pub(crate) options: Options,
    // Std mutexes: nothing awaits while they are held.
    workers: Mutex<HashMap<Key, Handle>>,
    statuses: Mutex<HashMap<String, Arc<PodStatus>>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    pod_uid: String,
    container: String,
    kind: ProbeKind,
}

impl Manager {
    /// A manager without pods, and the changes of results as they come.
    #[must_use]
    pub fn new(
        clock: Clock,
        prober: Arc<dyn Prober>,
        events: Arc<dyn EventSink>,
        options: Options,
    ) -> (Self, mpsc::UnboundedReceiver<Update>) {
        let (sender, updates) = mpsc::unbounded_channel();
        let shared = Shared {
            clock,
            prober,
            events,
            results: Results::new(sender),
            options,
            workers: Mutex::default(),
            statuses: Mutex::default(),
        };
        (
            Self {
                shared: Arc::new(shared),
            },
            updates,
        )
    }

    /// Begins to probe a pod's containers; what is probed already stays as it is.
    pub fn add_pod(&self, pod: &Pod) {
        let pod = Arc::new(pod.clone());
        for container in probed_containers(&pod) {
            for (kind, probe) in probes(container) {
                self.add_worker(&pod, container, kind, probe);
            }
        }
    }

    fn add_worker(&self, pod: &Arc<Pod>, container: &Container, kind: ProbeKind, probe: &Probe) {
        let key = Key::new(pod, &container.name, kind);
        let mut workers = self.shared.workers();
        if workers.contains_key(&key) {
            return;
        }
        let handle = Handle {
            stop: CancellationToken::new(),
            trigger: Arc::new(Notify::new()),
        };
        let worker = Worker::new(
            self.shared.clone(),
            handle.clone(),
            kind,
            pod.clone(),
            container,
            probe,
        );
        workers.insert(key, handle);
        tokio::spawn(worker.run());
    }

    /// Publishes a pod's status: workers act on what has been published, not on what is about to be.
    pub fn set_status(&self, pod_uid: &str, status: PodStatus) {
        let status = Arc::new(status);
        self.shared
            .statuses()
            .insert(pod_uid.to_owned(), status.clone());
        self.ask_unready(pod_uid, &status);
    }

    /// The pod is ending: what would restart its regular containers is no longer asked.
    pub fn stop_liveness_and_startup(&self, pod: &Pod) {
        let workers = self.shared.workers();
        for container in regular_containers(pod) {
            for kind in [ProbeKind::Liveness, ProbeKind::Startup] {
                if let Some(handle) = workers.get(&Key::new(pod, &container.name, kind)) {
                    handle.stop.cancel();
                }
            }
        }
    }

    /// Ends all probes of a pod.
    pub fn remove_pod(&self, pod_uid: &str) {
        self.stop_where(|uid| uid == pod_uid);
        self.shared.statuses().remove(pod_uid);
    }

    /// Ends the probes of all other pods.
    pub fn cleanup(&self, desired: &HashSet<String>) {
        self.stop_where(|uid| !desired.contains(uid));
        self.shared
            .statuses()
            .retain(|uid, _| desired.contains(uid));
    }

    fn stop_where(&self, applies: impl Fn(&str) -> bool) {
        for (key, handle) in &*self.shared.workers() {
            if applies(&key.pod_uid) {
                handle.stop.cancel();
            }
        }
    }

    /// What a probe of a container has come to, if it is probed and has been seen.
    #[must_use]
    pub fn result(&self, kind: ProbeKind, container_id: &str) -> Option<ProbeResult> {
        self.shared.results.get(kind, container_id)
    }

    /// Ends one probe.
    #[cfg(test)]
    pub(crate) fn stop_worker(&self, pod: &Pod, container: &str, kind: ProbeKind) {
        if let Some(handle) = self.shared.workers().get(&Key::new(pod, container, kind)) {
            handle.stop.cancel();
        }
    }

    /// How many probes are running.
    #[must_use]
    pub fn worker_count(&self) -> usize {
        self.shared.workers().len()
    }
}

impl Shared {
    pub(crate) fn status(&self, pod: &Pod) -> Option<Arc<PodStatus>> {
        self.statuses().get(pod.metadata.uid.as_deref()?).cloned()
    }

    /// A worker has ended.
    pub(crate) fn unregister(&self, pod: &Pod, container: &str, kind: ProbeKind) {
        self.workers().remove(&Key::new(pod, container, kind));
    }

    fn workers(&self) -> MutexGuard<'_, HashMap<Key, Handle>> {
        self.workers
            .lock()
            .expect("nothing panics while it holds the workers")
    }

    fn statuses(&self) -> MutexGuard<'_, HashMap<String, Arc<PodStatus>>> {
        self.statuses
            .lock()
            .expect("nothing panics while it holds the statuses")
    }
}

impl Key {
    fn new(pod: &Pod, container: &str, kind: ProbeKind) -> Self {
        let pod_uid = pod.metadata.uid.clone().unwrap_or_default();
        Self {
            pod_uid,
            container: container.to_owned(),
            kind,
        }
    }
}

fn regular_containers(pod: &Pod) -> impl Iterator<Item = &Container> {
    pod.spec.iter().flat_map(|spec| &spec.containers)
}

/// Regular containers and sidecars; plain init containers have no probes.
fn probed_containers(pod: &Pod) -> impl Iterator<Item = &Container> {
    let init = pod
        .spec
        .iter()
        .flat_map(|spec| spec.init_containers.iter().flatten());
    regular_containers(pod).chain(init.filter(|container| is_sidecar(pod, container)))
}

fn probes(container: &Container) -> impl Iterator<Item = (ProbeKind, &Probe)> {
    let of = |kind| match kind {
        ProbeKind::Liveness => container.liveness_probe.as_ref(),
        ProbeKind::Readiness => container.readiness_probe.as_ref(),
        ProbeKind::Startup => container.startup_probe.as_ref(),
    };
    ProbeKind::ALL
        .into_iter()
        .filter_map(move |kind| Some((kind, of(kind)?)))
}

#[cfg(test)]
mod tests;
