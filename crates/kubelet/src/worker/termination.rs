//! Terminates containers: one with a failed probe or postStart hook, or all containers of a pod that is finished, past its
//! deadline or deleted.

use std::ops::ControlFlow;
use std::time::Duration;

use component_helpers::events::EventType::Normal;
use component_helpers::pods;
use container_runtime::ContainerId;
use futures::StreamExt as _;
use futures::future::join_all;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod};
use kube::Api;
use kube::api::{DeleteParams, Preconditions};
use tokio_util::sync::CancellationToken;

use super::Worker;
use super::stop::{StopOutcome, termination_dependencies};
use crate::container_handle::ContainerHandle;
use crate::instance::StatusReason;

/// Reason and message of a pod that has failed because of `activeDeadlineSeconds`.
const DEADLINE_EXCEEDED: (&str, &str) = (
    "DeadlineExceeded",
    "Pod was active on the node longer than the specified deadline",
);

/// Default of `terminationGracePeriodSeconds`.
const DEFAULT_GRACE_PERIOD_SECONDS: i64 = 30;

impl Worker {
    /// Fails the pod and stops its containers if its `activeDeadlineSeconds` have expired; otherwise schedules a sync at the
    /// deadline.
    pub(super) async fn enforce_active_deadline(&mut self, pod: &Pod) -> ControlFlow<()> {
        let start_time = self.state.start_time;
        let Some(deadline) = start_time.and_then(|start_time| active_deadline(pod, start_time))
        else {
            return ControlFlow::Continue(());
        };
        if self.context.clock.now() < deadline {
            self.requeue_at(deadline);
            return ControlFlow::Continue(());
        }
        let (reason, message) = DEADLINE_EXCEEDED;
        self.event(pod, None, Normal, reason, message);
        self.state.failed = Some(StatusReason::new(reason, message));
        self.stop_all_containers(pod, pod_grace_period(pod)).await;
        ControlFlow::Break(())
    }

    /// Stops a container and waits for its exit. `probe_grace_period` in seconds overrides the pod's grace period. `message`
    /// is the reason, in the `Killing` event.
    pub(super) async fn kill_container(
        &mut self,
        pod: &Pod,
        container: &Container,
        probe_grace_period: Option<i64>,
        message: &str,
    ) {
        let running = self.history(&container.name).running();
        let Some(id) = running.map(|instance| instance.id.clone()) else {
            return;
        };
        self.event(pod, Some(&container.name), Normal, "Killing", message);
        let grace_period = grace_period(probe_grace_period.or_else(|| pod_grace_period(pod)));
        let container = self.container_handle(pod, container, id);
        self.stop_containers(vec![container], grace_period).await;
        self.publish();
    }

    /// Stops all running containers of the pod and waits for their exits.
    pub(super) async fn stop_all_containers(
        &mut self,
        pod: &Pod,
        grace_period_seconds: Option<i64>,
    ) {
        let running = self.running_containers(pod);
        for handle in &running {
            let name = &handle.container.name;
            let message = format!("Stopping container {name}");
            self.event(pod, Some(name), Normal, "Killing", &message);
        }
        self.publish();
        self.stop_containers(running, grace_period(grace_period_seconds))
            .await;
        self.publish();
    }

    /// Stops the containers, removes the sandbox, and deletes the pod from the API unless it is `removed` there.
    pub(super) async fn terminate_pod(&mut self, pod: &Pod, removed: bool) {
        self.context.probes.stop_liveness_and_startup(pod);
        let grace_period_seconds = if removed {
            Some(0)
        } else {
            pod.metadata
                .deletion_grace_period_seconds
                .or_else(|| pod_grace_period(pod))
        };
        self.stop_all_containers(pod, grace_period_seconds).await;
        self.context
            .probes
            .remove_pod(pod.metadata.uid.as_deref().unwrap_or_default());
        if let Some(sandbox) = &self.sandbox
            && let Err(error) = self.context.runtime.remove_sandbox(&sandbox.id).await
        {
            tracing::warn!(%error, "cannot remove pod sandbox");
        }
        if !removed {
            self.delete_from_api(pod).await;
        }
    }

    /// Returns the running containers in the order of their start.
    fn running_containers(&self, pod: &Pod) -> Vec<ContainerHandle> {
        pods::containers_in_start_order(pod)
            .filter_map(|container| {
                let id = self.history(&container.name).running()?.id.clone();
                Some(self.container_handle(pod, container, id))
            })
            .collect()
    }

    /// Stops containers in parallel, in the order of their dependencies, and waits for their exits.
    async fn stop_containers(&mut self, containers: Vec<ContainerHandle>, grace_period: Duration) {
        let stopped: Vec<CancellationToken> = containers
            .iter()
            .map(|_| CancellationToken::new())
            .collect();
        let stops = containers.iter().enumerate().map(|(index, container)| {
            let dependencies: Vec<_> = termination_dependencies(&containers, index)
                .map(|dependency| stopped[dependency].clone())
                .collect();
            let this_stopped = &stopped[index];
            async move {
                let outcome = container.stop(grace_period, &dependencies).await;
                this_stopped.cancel();
                (outcome == StopOutcome::Stopped).then(|| container.id.clone())
            }
        });
        let stops: Vec<_> = stops.collect();
        let stopped_ids = join_all(stops).await.into_iter().flatten().collect();
        self.wait_for_exits(stopped_ids).await;
    }

    /// Receives exits until those of all containers in `pending` are recorded.
    async fn wait_for_exits(&mut self, mut pending: Vec<ContainerId>) {
        loop {
            pending.retain(|id| self.is_running(id));
            if pending.is_empty() {
                return;
            }
            let Some(exit) = self.exits.next().await else {
                return;
            };
            self.record_exit(&exit);
        }
    }

    fn is_running(&self, id: &ContainerId) -> bool {
        let histories = self.state.containers.values();
        let mut running = histories.filter_map(|history| history.running());
        running.any(|instance| instance.id == *id)
    }

    async fn delete_from_api(&mut self, pod: &Pod) {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        let api: Api<Pod> = Api::namespaced(self.context.client.clone(), namespace);
        let preconditions = Preconditions {
            uid: pod.metadata.uid.clone(),
            ..Preconditions::default()
        };
        let parameters = DeleteParams::default()
            .grace_period(0)
            .preconditions(preconditions);
        if let Err(error) = api.delete(name, &parameters).await {
            tracing::debug!(%error, namespace, name, "cannot delete pod");
        }
    }
}

/// Returns the time at which the pod's `activeDeadlineSeconds` expire, or `None` if it has none.
fn active_deadline(pod: &Pod, start_time: Timestamp) -> Option<Timestamp> {
    let seconds = pod.spec.as_ref()?.active_deadline_seconds?;
    let seconds = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    Some(start_time.saturating_add(seconds).unwrap_or(Timestamp::MAX))
}

/// Returns the pod's `terminationGracePeriodSeconds`.
pub(super) fn pod_grace_period(pod: &Pod) -> Option<i64> {
    pod.spec.as_ref()?.termination_grace_period_seconds
}

fn grace_period(seconds: Option<i64>) -> Duration {
    let seconds = seconds.unwrap_or(DEFAULT_GRACE_PERIOD_SECONDS);
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}
