//! Everything that is settled before an attempt is made: whether there is a container to probe, and whether now. Pure.
//!
//! The order of the questions is the kubelet's, and it matters: each may end the check before the next is asked.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod, PodStatus};

use crate::manager::Options;
use crate::restart::{all_restart, restarts};
use crate::results::{ProbeKind, ProbeResult};
use crate::tracker::Tracker;

/// A container that runs since longer than this before the engine's start keeps the result it was published with.
const SETTLED: i64 = 10;

/// One probe's memory between checks.
pub(crate) struct Check {
    pub(crate) kind: ProbeKind,
    pub(crate) tracker: Tracker,
    pub(crate) container_id: Option<String>,
    container: Container,
    pod_policy: Option<String>,
    sidecar: bool,
    deleted: bool,
    initial_delay: i64,
    engine_started: Timestamp,
    always_anew: bool,
    /// Shared with the other probes of the pod: there may be many.
    pod: Arc<Pod>,
}

/// A result that changes before the attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Forget(String),
    Store(String, ProbeResult),
}

/// What comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Not now.
    Wait,
    /// Never again.
    Exit,
    /// Make an attempt.
    Probe,
}

impl Check {
    pub(crate) fn new(
        kind: ProbeKind,
        tracker: Tracker,
        initial_delay: i32,
        (pod, container): (&Arc<Pod>, &Container),
        options: &Options,
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
            deleted: pod.metadata.deletion_timestamp.is_some(),
            initial_delay: i64::from(initial_delay),
            engine_started: options.started,
            always_anew: options.change_status_on_restart,
            pod: pod.clone(),
        }
    }

    pub(crate) fn prepare(
        &mut self,
        status: Option<&PodStatus>,
        now: Timestamp,
    ) -> (Vec<Effect>, Next) {
        let mut effects = Vec::new();
        let next = self.decide(status, now, &mut effects);
        (effects, next)
    }

    fn decide(
        &mut self,
        status: Option<&PodStatus>,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) -> Next {
        let Some(status) = status else {
            return Next::Wait;
        };
        if matches!(status.phase.as_deref(), Some("Succeeded" | "Failed")) {
            return Next::Exit;
        }
        let Some((container, id)) = find(status, &self.container.name) else {
            return Next::Wait;
        };
        if self.container_id.as_deref() != Some(id) {
            self.adopt(container, id, effects);
        }
        if self.tracker.is_on_hold() {
            return Next::Wait;
        }
        let state = container.state.as_ref();
        let Some(running) = state.and_then(|state| state.running.as_ref()) else {
            effects.push(Effect::Store(id.to_owned(), ProbeResult::Failure));
            let ended = state.and_then(|state| state.terminated.as_ref());
            let for_good = ended.is_some_and(|ended| !self.restarts(status, ended.exit_code));
            return if for_good { Next::Exit } else { Next::Wait };
        };
        if self.deleted && self.kind != ProbeKind::Readiness {
            effects.push(Effect::Store(id.to_owned(), ProbeResult::Success));
            return Next::Exit;
        }
        let age = running
            .started_at
            .as_ref()
            .map_or(0, |at| now.duration_since(at.0).as_secs());
        let started = container.started == Some(true);
        if age < self.initial_delay || started == (self.kind == ProbeKind::Startup) {
            return Next::Wait;
        }
        Next::Probe
    }

    fn adopt(&mut self, container: &ContainerStatus, id: &str, effects: &mut Vec<Effect>) {
        effects.extend(self.container_id.replace(id.to_owned()).map(Effect::Forget));
        self.tracker.release();
        let running = container
            .state
            .as_ref()
            .and_then(|state| state.running.as_ref());
        let settled = running
            .and_then(|running| running.started_at.as_ref())
            .is_some_and(|at| self.engine_started.duration_since(at.0).as_secs() > SETTLED);
        let known_started =
            self.sidecar && self.kind == ProbeKind::Startup && container.started == Some(true);
        if known_started && !self.always_anew {
            effects.push(Effect::Store(id.to_owned(), ProbeResult::Success));
        } else if !settled || self.always_anew {
            effects.push(Effect::Store(id.to_owned(), self.kind.initial()));
        }
    }

    fn restarts(&self, status: &PodStatus, code: i32) -> bool {
        self.sidecar
            || all_restart(&self.pod, status)
            || restarts(&self.container, self.pod_policy.as_deref(), code)
    }
}

/// Whether `container` is an init container that stays.
pub(crate) fn is_sidecar(pod: &Pod, container: &Container) -> bool {
    let init = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.init_containers.as_deref())
        .unwrap_or_default();
    container.restart_policy.as_deref() == Some("Always")
        && init.iter().any(|init| init.name == container.name)
}

/// A container's status and its ID without the scheme, once it has one.
fn find<'a>(status: &'a PodStatus, name: &str) -> Option<(&'a ContainerStatus, &'a str)> {
    let lists = [&status.container_statuses, &status.init_container_statuses];
    let found = lists
        .into_iter()
        .flatten()
        .flatten()
        .find(|status| status.name == name)?;
    let id = found.container_id.as_deref().filter(|id| !id.is_empty())?;
    Some((found, bare_id(id)))
}

/// A container ID without its scheme.
pub(crate) fn bare_id(id: &str) -> &str {
    id.split_once("://").map_or(id, |(_, id)| id)
}
