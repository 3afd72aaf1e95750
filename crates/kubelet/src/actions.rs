//! Decides which containers of a pod to start or to stop: pure functions without clock, runtime or API (upstream's
//! `computePodActions`). The restart back-off applies later, when an action is executed.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, PodSpec};
use probe::restart::should_restart;
use probe::{ProbeKind, ProbeResult};

use super::init::compute_init_actions;
use super::instance::ContainerHistory;

/// Probe whose failure threshold is reached, so that the container must be killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailedProbe {
    Liveness,
    Startup,
}

impl FailedProbe {
    fn as_str(self) -> &'static str {
        match self {
            Self::Liveness => "liveness",
            Self::Startup => "startup",
        }
    }
}

/// Action on one container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ContainerAction {
    /// Start an instance.
    Start,
    /// Kill the running instance.
    Kill {
        failed_probe: FailedProbe,
        /// `true` if another instance starts afterwards.
        restart: bool,
    },
}

/// Result of [`compute_actions`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum PodActions<'a> {
    /// The pod is finished or has failed: stop the containers that still run, e.g. sidecars.
    KillPod,
    /// Execute these actions in this order.
    Containers(Vec<(&'a Container, ContainerAction)>),
}

/// State of a pod that the decision depends on.
pub(crate) struct PodState<'a> {
    pub(crate) histories: &'a BTreeMap<String, ContainerHistory>,
    /// Returns the probe result of a container's running instance.
    pub(crate) probe_result: &'a dyn Fn(&str, ProbeKind) -> Option<ProbeResult>,
}

impl PodState<'_> {
    pub(crate) fn history(&self, container: &Container) -> &ContainerHistory {
        static NEVER_RAN: ContainerHistory = ContainerHistory::NEVER_RAN;
        self.histories.get(&container.name).unwrap_or(&NEVER_RAN)
    }

    /// Returns `true` if the container has no startup probe or the startup probe has succeeded.
    pub(crate) fn has_started(&self, container: &Container) -> bool {
        container.startup_probe.is_none()
            || (self.probe_result)(&container.name, ProbeKind::Startup)
                == Some(ProbeResult::Success)
    }

    pub(crate) fn has_failed(&self, container: &Container, kind: ProbeKind) -> bool {
        (self.probe_result)(&container.name, kind) == Some(ProbeResult::Failure)
    }
}

/// Returns the actions that bring the pod closer to its specification. The pod is not being deleted and its phase is not
/// terminal.
pub(crate) fn compute_actions<'a>(spec: &'a PodSpec, state: &PodState<'_>) -> PodActions<'a> {
    let init = compute_init_actions(spec, state);
    if init.failed {
        return PodActions::KillPod;
    }
    let mut actions = init.actions;
    if init.is_complete {
        let policy = spec.restart_policy.as_deref();
        if spec
            .containers
            .iter()
            .all(|container| is_finished(container, policy, state))
        {
            return PodActions::KillPod;
        }
        actions.extend(spec.containers.iter().filter_map(|container| {
            let action = compute_container_action(container, policy, state)?;
            Some((container, action))
        }));
    }
    PodActions::Containers(actions)
}

/// Returns `true` if the container has terminated and is not restarted.
fn is_finished(container: &Container, pod_policy: Option<&str>, state: &PodState<'_>) -> bool {
    let current = state.history(container).current.as_ref();
    let exit = current.and_then(|instance| instance.exit);
    exit.is_some_and(|exit| !should_restart(container, pod_policy, exit.code))
}

/// Returns the action on a regular container, or `None` if it stays as it is.
fn compute_container_action(
    container: &Container,
    pod_policy: Option<&str>,
    state: &PodState<'_>,
) -> Option<ContainerAction> {
    let Some(instance) = &state.history(container).current else {
        return Some(ContainerAction::Start);
    };
    if let Some(exit) = instance.exit {
        return should_restart(container, pod_policy, exit.code).then_some(ContainerAction::Start);
    }
    let failed_probe = if state.has_failed(container, ProbeKind::Liveness) {
        FailedProbe::Liveness
    } else if state.has_failed(container, ProbeKind::Startup) {
        FailedProbe::Startup
    } else {
        return None;
    };
    // The container has no exit code yet, so `restartPolicyRules` do not apply, as upstream.
    let policy = container.restart_policy.as_deref().or(pod_policy);
    Some(ContainerAction::Kill {
        failed_probe,
        restart: policy != Some("Never"),
    })
}

/// Kind of a container, as the messages of events name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ContainerType {
    Init,
    Regular,
}

/// Returns the message of the `Killing` event. Upstream does not announce the restart of a sidecar.
#[must_use]
pub(crate) fn kill_message(
    container: &str,
    container_type: ContainerType,
    failed_probe: FailedProbe,
    restart: bool,
) -> String {
    let (prefix, suffix) = match (container_type, restart) {
        (ContainerType::Init, _) => ("Init container", ""),
        (ContainerType::Regular, true) => ("Container", ", will be restarted"),
        (ContainerType::Regular, false) => ("Container", ""),
    };
    format!(
        "{prefix} {container} failed {} probe{suffix}",
        failed_probe.as_str()
    )
}

#[cfg(test)]
mod tests;
