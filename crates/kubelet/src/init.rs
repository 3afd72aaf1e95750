//! Decides about a pod's init containers and sidecars, which start one after the other. Pure functions (upstream's
//! `computeInitContainerActions`).

use component_helpers::pods::is_restartable_init_container;
use k8s_openapi::api::core::v1::{Container, PodSpec};
use probe::ProbeKind;
use probe::restart::should_restart;

use super::actions::{ContainerAction, FailedProbe, PodState};

/// Result of [`compute_init_actions`].
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct InitPlan<'a> {
    pub(crate) actions: Vec<(&'a Container, ContainerAction)>,
    /// `true` if the regular containers can start.
    pub(crate) is_complete: bool,
    /// `true` if an init container has failed and is not restarted, so that the pod fails.
    pub(crate) failed: bool,
}

impl<'a> InitPlan<'a> {
    fn start(&mut self, container: &'a Container) {
        self.actions.push((container, ContainerAction::Start));
    }

    /// Starts the container after the one at `index`; without one, initialization is complete.
    fn start_next(&mut self, index: usize, inits: &'a [Container]) {
        match inits.get(index + 1) {
            Some(next) => self.start(next),
            None => self.is_complete = true,
        }
    }
}

/// Returns the actions on the pod's init containers.
///
/// The containers are examined from the last to the first. The last one that has run shows how far initialization is; of
/// those before it, only sidecars matter.
pub(crate) fn compute_init_actions<'a>(spec: &'a PodSpec, state: &PodState<'_>) -> InitPlan<'a> {
    let inits = spec.init_containers.as_deref().unwrap_or_default();
    let has_run = |container: &Container| state.history(container).current.is_some();
    let mut plan = InitPlan {
        is_complete: inits.is_empty() || spec.containers.iter().any(has_run),
        ..InitPlan::default()
    };
    // `true` once a container that has run, which is later in the order, has been examined.
    let mut seen_started = plan.is_complete;
    for (index, init) in inits.iter().enumerate().rev() {
        let is_sidecar = is_restartable_init_container(init);
        let Some(instance) = &state.history(init).current else {
            if seen_started && is_sidecar {
                plan.start(init);
            }
            continue;
        };
        match (is_sidecar, instance.exit.map(|exit| exit.code)) {
            (true, Some(_)) => plan.start(init),
            (true, None) => {
                if state.has_started(init) && !seen_started {
                    plan.start_next(index, inits);
                }
                let kill = sidecar_kill(init, state);
                plan.actions.extend(kill.map(|kill| (init, kill)));
            }
            // The init container runs, or has succeeded.
            (false, _) if seen_started => {}
            (false, None) => {}
            (false, Some(0)) => plan.start_next(index, inits),
            (false, Some(code)) if should_restart(init, spec.restart_policy.as_deref(), code) => {
                plan.start(init);
            }
            (false, Some(_)) => plan.failed = true,
        }
        seen_started = true;
    }
    if !seen_started && let Some(first) = inits.first() {
        plan.start(first);
    }
    if plan.failed {
        plan.actions.clear();
    }
    plan
}

/// Returns the kill of a sidecar with a failed probe. A sidecar restarts under every policy of the pod. Its liveness result
/// counts only after its start.
fn sidecar_kill(sidecar: &Container, state: &PodState<'_>) -> Option<ContainerAction> {
    let failed_probe = if state.has_failed(sidecar, ProbeKind::Startup) {
        FailedProbe::Startup
    } else if state.has_started(sidecar) && state.has_failed(sidecar, ProbeKind::Liveness) {
        FailedProbe::Liveness
    } else {
        return None;
    };
    Some(ContainerAction::Kill {
        failed_probe,
        restart: true,
    })
}

#[cfg(test)]
mod tests;
