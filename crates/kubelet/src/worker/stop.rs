//! Stops one container: preStop hook, termination order, SIGTERM, SIGKILL.

use std::time::Duration;

use component_helpers::events::EventType::Warning;
use futures::future::join_all;
use tokio_util::sync::CancellationToken;

use crate::container_handle::ContainerHandle;

/// Minimum time between SIGTERM and SIGKILL, whatever the grace period (upstream's `minimumGracePeriodInSeconds`).
const MINIMUM_GRACE_PERIOD: Duration = Duration::from_secs(2);

/// Result of [`ContainerHandle::stop`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StopOutcome {
    /// The runtime has stopped the container and reports its exit.
    Stopped,
    /// The runtime has failed to stop the container; no exit may follow.
    Failed,
}

impl ContainerHandle {
    /// Stops the container: runs the preStop hook, waits until the containers of `dependencies` have stopped, sends SIGTERM,
    /// and SIGKILL when `grace_period` is used up. The hook and the wait count towards the grace period.
    pub(super) async fn stop(
        &self,
        grace_period: Duration,
        dependencies: &[CancellationToken],
    ) -> StopOutcome {
        let clock = &self.context.clock;
        let started = clock.elapsed();
        let remaining = || {
            // Whole seconds, as the kubelet counts.
            let used = clock.elapsed().saturating_sub(started).as_secs();
            grace_period.saturating_sub(Duration::from_secs(used))
        };
        if !grace_period.is_zero() {
            tokio::select! {
                () = self.run_pre_stop_hook() => {}
                () = clock.sleep(grace_period) => {}
            }
        }
        let dependencies_stopped = join_all(dependencies.iter().map(CancellationToken::cancelled));
        tokio::select! {
            _ = dependencies_stopped => {}
            () = clock.sleep(remaining()) => {}
        }
        let grace_period = remaining().max(MINIMUM_GRACE_PERIOD);
        let runtime = &self.context.runtime;
        match runtime.stop_container(&self.id, grace_period).await {
            Ok(()) => StopOutcome::Stopped,
            Err(error) => {
                tracing::debug!(%error, container = %self.container.name, "cannot stop container");
                StopOutcome::Failed
            }
        }
    }

    async fn run_pre_stop_hook(&self) {
        let lifecycle = self.container.lifecycle.as_ref();
        let Some(hook) = lifecycle.and_then(|lifecycle| lifecycle.pre_stop.clone()) else {
            return;
        };
        let container = self.clone();
        // The hook runs in a task of its own: when the grace period expires, it continues and is no longer awaited.
        let result = tokio::spawn(async move { container.run_hook(&hook).await }).await;
        match result {
            Ok(Ok(())) => return,
            Ok(Err(error)) => {
                tracing::debug!(%error, container = %self.container.name, "preStop hook failed");
            }
            Err(error) => {
                if let Ok(panic) = error.try_into_panic() {
                    self.context.components.pod_worker.count_panic(&*panic);
                }
            }
        }
        self.event(Warning, "FailedPreStopHook", "PreStopHook failed");
    }
}

/// Returns the indices of the containers that must stop before the one at `index` receives SIGTERM. A sidecar waits for the
/// regular containers and for the sidecars that started after it (upstream's `terminationOrdering`).
pub(super) fn termination_dependencies(
    containers: &[ContainerHandle],
    index: usize,
) -> impl Iterator<Item = usize> {
    let is_sidecar = containers[index].is_sidecar();
    (0..containers.len()).filter(move |other| {
        is_sidecar && *other != index && (!containers[*other].is_sidecar() || *other > index)
    })
}
