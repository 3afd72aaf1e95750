//! State of one probe, and the decision before each attempt whether its container can be probed now. Pure.
//!
//! The order of the conditions in [`ProbeState::prepare`] is that of the kubelet's `doProbe`: an earlier one returns before a
//! later one is evaluated.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod, PodStatus};

use crate::manager::ManagerOptions;
use crate::restart::{should_restart, should_restart_all_containers};
use crate::results::{ProbeKind, ProbeResult};
use crate::tracker::Tracker;

/// A container that started more than this many seconds before the host keeps its published readiness: no initial result is
/// stored for it.
const RESTART_WINDOW_SECS: i64 = 10;

/// State of one probe between attempts.
pub(crate) struct ProbeState {
    pub(crate) kind: ProbeKind,
    pub(crate) tracker: Tracker,
    pub(crate) container_id: Option<String>,
    container: Container,
    pod_policy: Option<String>,
    sidecar: bool,
    pod_deleted: bool,
    initial_delay_secs: i64,
    host_started_at: Timestamp,
    reset_on_restart: bool,
    /// Shared with the other probes of the pod.
    pod: Arc<Pod>,
}

/// A change of the stored result before the attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ResultChange {
    /// Removes the result of this container ID.
    Remove(String),
    /// Stores a result for this container ID.
    Store(String, ProbeResult),
}

/// Next step of a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NextStep {
    /// Wait for the next tick.
    Wait,
    /// Exit: the container will not run again.
    Exit,
    /// Make an attempt.
    Probe,
}

impl ProbeState {
    pub(crate) fn new(
        kind: ProbeKind,
        tracker: Tracker,
        initial_delay: Duration,
        (pod, container): (&Arc<Pod>, &Container),
        options: &ManagerOptions,
    ) -> Self {
        Self {
            kind,
            tracker,
            container_id: None,
            container: container.clone(),
            pod_policy: pod
                .spec
                .as_ref()
                .and_then(|spec| spec.restart_policy.clone()),
            sidecar: is_sidecar(pod, container),
            pod_deleted: pod.metadata.deletion_timestamp.is_some(),
            initial_delay_secs: i64::try_from(initial_delay.as_secs()).unwrap_or(i64::MAX),
            host_started_at: options.host_started_at,
            reset_on_restart: options.change_status_on_restart,
            pod: pod.clone(),
        }
    }

    /// Decides from the published status whether to probe now, and which results change before.
    pub(crate) fn prepare(
        &mut self,
        status: Option<&PodStatus>,
        now: Timestamp,
    ) -> (Vec<ResultChange>, NextStep) {
        let mut changes = Vec::new();
        let next = self.decide(status, now, &mut changes);
        (changes, next)
    }

    fn decide(
        &mut self,
        status: Option<&PodStatus>,
        now: Timestamp,
        changes: &mut Vec<ResultChange>,
    ) -> NextStep {
        let Some(status) = status else {
            return NextStep::Wait;
        };
        if matches!(status.phase.as_deref(), Some("Succeeded" | "Failed")) {
            return NextStep::Exit;
        }
        let Some((container, id)) = find_container(status, &self.container.name) else {
            return NextStep::Wait;
        };
        if self.container_id.as_deref() != Some(id) {
            self.on_new_container(container, id, changes);
        }
        if self.tracker.is_on_hold() {
            return NextStep::Wait;
        }
        let state = container.state.as_ref();
        let Some(running) = state.and_then(|state| state.running.as_ref()) else {
            changes.push(ResultChange::Store(id.to_owned(), ProbeResult::Failure));
            let terminated = state.and_then(|state| state.terminated.as_ref());
            let stays_terminated =
                terminated.is_some_and(|state| !self.is_restarted(status, state.exit_code));
            return if stays_terminated {
                NextStep::Exit
            } else {
                NextStep::Wait
            };
        };
        if self.pod_deleted && self.kind != ProbeKind::Readiness {
            changes.push(ResultChange::Store(id.to_owned(), ProbeResult::Success));
            return NextStep::Exit;
        }
        let age = running
            .started_at
            .as_ref()
            .map_or(0, |at| now.duration_since(at.0).as_secs());
        let started = container.started == Some(true);
        if age < self.initial_delay_secs || started == (self.kind == ProbeKind::Startup) {
            return NextStep::Wait;
        }
        NextStep::Probe
    }

    fn on_new_container(
        &mut self,
        container: &ContainerStatus,
        id: &str,
        changes: &mut Vec<ResultChange>,
    ) {
        let previous = self.container_id.replace(id.to_owned());
        changes.extend(previous.map(ResultChange::Remove));
        self.tracker.resume();
        let running = container
            .state
            .as_ref()
            .and_then(|state| state.running.as_ref());
        let is_older_than_host = running
            .and_then(|running| running.started_at.as_ref())
            .is_some_and(|at| {
                self.host_started_at.duration_since(at.0).as_secs() > RESTART_WINDOW_SECS
            });
        let is_started_sidecar =
            self.sidecar && self.kind == ProbeKind::Startup && container.started == Some(true);
        if is_started_sidecar && !self.reset_on_restart {
            changes.push(ResultChange::Store(id.to_owned(), ProbeResult::Success));
        } else if !is_older_than_host || self.reset_on_restart {
            changes.push(ResultChange::Store(
                id.to_owned(),
                self.kind.initial_result(),
            ));
        }
    }

    fn is_restarted(&self, status: &PodStatus, exit_code: i32) -> bool {
        self.sidecar
            || should_restart_all_containers(&self.pod, status)
            || should_restart(&self.container, self.pod_policy.as_deref(), exit_code)
    }
}

/// Returns `true` if `container` is an init container with `restartPolicy: Always`.
pub(crate) fn is_sidecar(pod: &Pod, container: &Container) -> bool {
    let init = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.init_containers.as_deref())
        .unwrap_or_default();
    container.restart_policy.as_deref() == Some("Always")
        && init.iter().any(|init| init.name == container.name)
}

/// Returns a container's status and its ID without the scheme, or `None` if it has no ID yet.
fn find_container<'a>(status: &'a PodStatus, name: &str) -> Option<(&'a ContainerStatus, &'a str)> {
    let lists = [&status.container_statuses, &status.init_container_statuses];
    let found = lists
        .into_iter()
        .flatten()
        .flatten()
        .find(|status| status.name == name)?;
    let id = found.container_id.as_deref().filter(|id| !id.is_empty())?;
    Some((found, strip_scheme(id)))
}

/// Removes the runtime's scheme of a container ID: `containerd://ID`.
pub(crate) fn strip_scheme(id: &str) -> &str {
    id.split_once("://").map_or(id, |(_, id)| id)
}
