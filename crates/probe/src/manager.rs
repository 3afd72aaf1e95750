//! Probes of all pods of a node: starts and stops their workers, and provides the results.

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
use crate::worker::state::is_sidecar;
use crate::worker::{Worker, WorkerHandle};

mod status;

/// Options of a [`Manager`].
#[derive(Clone, Debug)]
pub struct ManagerOptions {
    /// Start of the host. Containers that started more than ten seconds earlier keep their published readiness until the
    /// first result.
    pub host_started_at: Timestamp,
    /// Start delay of workers.
    pub start_delay: StartDelay,
    /// The kubelet's feature gate `ChangeContainerStatusOnKubeletRestart`: `true` if containers older than the host start
    /// with the initial results too.
    pub change_status_on_restart: bool,
}

/// Start delay of a worker, before its first attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartDelay {
    /// A random part of the period, for workers that start within one period after the [`Clock`]. As in the kubelet, it
    /// spreads the probes of many pods after a restart of the host.
    Random,
    /// Like `Random`, reproducible: the part depends on this seed, the pod's UID, the container and the kind of the probe.
    Seeded(u64),
    /// No delay.
    None,
}

/// Runs the probes of a node's pods. Dropping it does not stop them; [`Self::remove_pod`] does.
pub struct Manager {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) clock: Clock,
    pub(crate) prober: Arc<dyn Prober>,
    pub(crate) events: Arc<dyn EventSink>,
    pub(crate) results: Results,
    pub(crate) options: ManagerOptions,
    // Std mutexes: they are not held across an await.
    workers: Mutex<HashMap<WorkerKey, WorkerHandle>>,
    statuses: Mutex<HashMap<String, Arc<PodStatus>>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct WorkerKey {
    pod_uid: String,
    container: String,
    kind: ProbeKind,
}

impl Manager {
    /// Creates a manager without pods. The receiver yields each new or changed result.
    #[must_use]
    pub fn new(
        clock: Clock,
        prober: Arc<dyn Prober>,
        events: Arc<dyn EventSink>,
        options: ManagerOptions,
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

    /// Starts the probes of a pod's containers and sidecars. Probes that already run are unchanged, even if `pod` has
    /// another spec.
    pub fn add_pod(&self, pod: &Pod) {
        let pod = Arc::new(pod.clone());
        for container in probed_containers(&pod) {
            for (kind, probe) in probes(container) {
                self.add_worker(&pod, container, kind, probe);
            }
        }
    }

    fn add_worker(&self, pod: &Arc<Pod>, container: &Container, kind: ProbeKind, probe: &Probe) {
        let key = WorkerKey::new(pod, &container.name, kind);
        let mut workers = self.shared.workers();
        if workers.contains_key(&key) {
            return;
        }
        let handle = WorkerHandle {
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

    /// Stores the published status of a pod, on which its workers act. Triggers the readiness probes of unready containers.
    pub fn set_status(&self, pod_uid: &str, status: PodStatus) {
        let status = Arc::new(status);
        self.shared
            .statuses()
            .insert(pod_uid.to_owned(), status.clone());
        self.trigger_readiness_probes(pod_uid, &status);
    }

    /// Stops the liveness and startup probes of regular containers, for a pod that is being deleted.
    pub fn stop_liveness_and_startup(&self, pod: &Pod) {
        let workers = self.shared.workers();
        for container in regular_containers(pod) {
            for kind in [ProbeKind::Liveness, ProbeKind::Startup] {
                if let Some(handle) = workers.get(&WorkerKey::new(pod, &container.name, kind)) {
                    handle.stop.cancel();
                }
            }
        }
    }

    /// Stops all probes of a pod.
    pub fn remove_pod(&self, pod_uid: &str) {
        self.stop_where(|uid| uid == pod_uid);
        self.shared.statuses().remove(pod_uid);
    }

    /// Stops the probes of pods whose UID is not in `desired`.
    pub fn cleanup_pods(&self, desired: &HashSet<String>) {
        self.stop_where(|uid| !desired.contains(uid));
        self.shared
            .statuses()
            .retain(|uid, _| desired.contains(uid));
    }

    fn stop_where(&self, is_stopped: impl Fn(&str) -> bool) {
        for (key, handle) in &*self.shared.workers() {
            if is_stopped(&key.pod_uid) {
                handle.stop.cancel();
            }
        }
    }

    /// Returns the stored result of a probe, or `None` if no worker has observed this container.
    #[must_use]
    pub fn result(&self, kind: ProbeKind, container_id: &str) -> Option<ProbeResult> {
        self.shared.results.get(kind, container_id)
    }

    /// Stops one worker.
    #[cfg(test)]
    pub(crate) fn stop_worker(&self, pod: &Pod, container: &str, kind: ProbeKind) {
        if let Some(handle) = self
            .shared
            .workers()
            .get(&WorkerKey::new(pod, container, kind))
        {
            handle.stop.cancel();
        }
    }

    /// Number of running workers.
    #[must_use]
    pub fn worker_count(&self) -> usize {
        self.shared.workers().len()
    }
}

impl Shared {
    pub(crate) fn status(&self, pod: &Pod) -> Option<Arc<PodStatus>> {
        self.statuses().get(pod.metadata.uid.as_deref()?).cloned()
    }

    /// Removes a worker that has exited.
    pub(crate) fn unregister(&self, pod: &Pod, container: &str, kind: ProbeKind) {
        self.workers().remove(&WorkerKey::new(pod, container, kind));
    }

    fn workers(&self) -> MutexGuard<'_, HashMap<WorkerKey, WorkerHandle>> {
        self.workers.lock().expect("no holder of this lock panics")
    }

    fn statuses(&self) -> MutexGuard<'_, HashMap<String, Arc<PodStatus>>> {
        self.statuses.lock().expect("no holder of this lock panics")
    }
}

impl WorkerKey {
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

/// Returns regular containers and sidecars. Other init containers have no probes.
fn probed_containers(pod: &Pod) -> impl Iterator<Item = &Container> {
    let init = pod
        .spec
        .iter()
        .flat_map(|spec| spec.init_containers.iter().flatten());
    regular_containers(pod).chain(init.filter(|container| is_sidecar(pod, container)))
}

fn probes(container: &Container) -> impl Iterator<Item = (ProbeKind, &Probe)> {
    let probe = |kind| match kind {
        ProbeKind::Liveness => container.liveness_probe.as_ref(),
        ProbeKind::Readiness => container.readiness_probe.as_ref(),
        ProbeKind::Startup => container.startup_probe.as_ref(),
    };
    ProbeKind::ALL
        .into_iter()
        .filter_map(move |kind| Some((kind, probe(kind)?)))
}

#[cfg(test)]
mod tests;
