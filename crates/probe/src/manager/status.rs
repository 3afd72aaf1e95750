//! `started` and `ready` of each container, from the results of its probes.

use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodStatus};

use super::{Key, Manager};
use crate::results::{ProbeKind, ProbeResult};
use crate::worker::check::bare_id;

impl Manager {
    /// Fills in `started` and `ready` of a status that is about to be published.
    pub fn update_pod_status(&self, pod: &Pod, status: &mut PodStatus) {
        for container in status.container_statuses.iter_mut().flatten() {
            self.fill(pod, container);
        }
        let sidecars: Vec<String> = super::probed_containers(pod)
            .map(|container| container.name.clone())
            .collect();
        for container in status.init_container_statuses.iter_mut().flatten() {
            if sidecars.contains(&container.name) {
                self.fill(pod, container);
            } else {
                let ended = container
                    .state
                    .as_ref()
                    .and_then(|state| state.terminated.as_ref());
                container.ready = ended.is_some_and(|ended| ended.exit_code == 0);
            }
        }
    }

    fn fill(&self, pod: &Pod, container: &mut ContainerStatus) {
        let started = self.is_started(pod, container);
        container.started = Some(started);
        container.ready = started && self.is_ready(pod, container);
    }

    fn is_started(&self, pod: &Pod, container: &ContainerStatus) -> bool {
        if !is_running(container) {
            return false;
        }
        let id = bare_id(container.container_id.as_deref().unwrap_or_default());
        match self.result(ProbeKind::Startup, id) {
            Some(result) => result == ProbeResult::Success,
            None => {
                self.was_started(pod, &container.name)
                    || !self.is_probed(pod, &container.name, ProbeKind::Startup)
            }
        }
    }

    /// Whether the container of this name was published as started: right after a restart that still counts.
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

    /// Whether a container that has started is ready.
    fn is_ready(&self, pod: &Pod, container: &ContainerStatus) -> bool {
        let id = bare_id(container.container_id.as_deref().unwrap_or_default());
        match self.result(ProbeKind::Readiness, id) {
            Some(result) => result == ProbeResult::Success,
            None => !self.is_probed(pod, &container.name, ProbeKind::Readiness),
        }
    }

    /// Has every container that could be ready and is not asked again at once: whatever made its host look at the pod
    /// may have changed that. It follows the publishing, because workers act on what is published.
    pub(super) fn ask_unready(&self, pod_uid: &str, status: &PodStatus) {
        let workers = self.shared.workers();
        let lists = [&status.container_statuses, &status.init_container_statuses];
        for container in lists.into_iter().flatten().flatten() {
            if container.ready || container.started != Some(true) || !is_running(container) {
                continue;
            }
            let key = Key {
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
            .contains_key(&Key::new(pod, container, kind))
    }
}

fn is_running(container: &ContainerStatus) -> bool {
    container
        .state
        .as_ref()
        .is_some_and(|state| state.running.is_some())
}
