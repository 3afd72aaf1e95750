//! Fields `started` and `ready` of container statuses, from probe results.

use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodStatus};

use super::{Manager, WorkerKey};
use crate::results::{ProbeKind, ProbeResult};
use crate::worker::state::strip_scheme;

impl Manager {
    /// Sets `started` and `ready` of a status before it is published.
    pub fn update_pod_status(&self, pod: &Pod, status: &mut PodStatus) {
        for container in status.container_statuses.iter_mut().flatten() {
            self.set_ready_and_started(pod, container);
        }
        let sidecars: Vec<String> = super::probed_containers(pod)
            .map(|container| container.name.clone())
            .collect();
        for container in status.init_container_statuses.iter_mut().flatten() {
            if sidecars.contains(&container.name) {
                self.set_ready_and_started(pod, container);
            } else {
                let terminated = container
                    .state
                    .as_ref()
                    .and_then(|state| state.terminated.as_ref());
                container.ready = terminated.is_some_and(|state| state.exit_code == 0);
            }
        }
    }

    fn set_ready_and_started(&self, pod: &Pod, container: &mut ContainerStatus) {
        let started = self.is_started(pod, container);
        container.started = Some(started);
        container.ready = started && self.is_ready(pod, container);
    }

    fn is_started(&self, pod: &Pod, container: &ContainerStatus) -> bool {
        if !is_running(container) {
            return false;
        }
        let id = strip_scheme(container.container_id.as_deref().unwrap_or_default());
        match self.result(ProbeKind::Startup, id) {
            Some(result) => result == ProbeResult::Success,
            None => {
                self.was_started(pod, &container.name)
                    || !self.is_probed(pod, &container.name, ProbeKind::Startup)
            }
        }
    }

    /// Returns `true` if the running container of this name was published as started. As in the kubelet, this includes the
    /// previous instance directly after a restart.
    fn was_started(&self, pod: &Pod, name: &str) -> bool {
        let published = self.shared.status(pod);
        let lists = published
            .iter()
            .flat_map(|status| [&status.container_statuses, &status.init_container_statuses]);
        lists
            .flatten()
            .flatten()
            .any(|status| status.name == name && status.started == Some(true) && is_running(status))
    }

    /// Returns `true` if the container is ready, provided that it is started.
    fn is_ready(&self, pod: &Pod, container: &ContainerStatus) -> bool {
        let id = strip_scheme(container.container_id.as_deref().unwrap_or_default());
        match self.result(ProbeKind::Readiness, id) {
            Some(result) => result == ProbeResult::Success,
            None => !self.is_probed(pod, &container.name, ProbeKind::Readiness),
        }
    }

    /// Triggers the readiness probe of every started container that is not ready, as the kubelet does whenever it computes a
    /// pod's status. Called after the status is stored, because workers act on the stored one.
    pub(super) fn trigger_readiness_probes(&self, pod_uid: &str, status: &PodStatus) {
        let workers = self.shared.workers();
        let lists = [&status.container_statuses, &status.init_container_statuses];
        for container in lists.into_iter().flatten().flatten() {
            if container.ready || container.started != Some(true) || !is_running(container) {
                continue;
            }
            let key = WorkerKey {
                pod_uid: pod_uid.to_owned(),
                container: container.name.clone(),
                kind: ProbeKind::Readiness,
            };
            if let Some(worker) = workers.get(&key) {
                worker.trigger.notify_one();
            }
        }
    }

    pub(crate) fn is_probed(&self, pod: &Pod, container: &str, kind: ProbeKind) -> bool {
        self.shared
            .workers()
            .contains_key(&WorkerKey::new(pod, container, kind))
    }
}

fn is_running(container: &ContainerStatus) -> bool {
    container
        .state
        .as_ref()
        .is_some_and(|state| state.running.is_some())
}
