//! Ending containers: one that failed a probe, or all of a pod that is deleted.

use std::time::Duration;

use futures::future::join_all;
use futures::{FutureExt as _, StreamExt as _};
use k8s_openapi::api::core::v1::{Container, Pod};
use kube::Api;
use kube::api::{DeleteParams, Preconditions};

use super::{LEAST_GRACE, Worker};
use crate::events::EventType::Normal;
use crate::kubelet::actions::Failed;
use crate::runtime::ContainerId;

impl Worker {
    /// Ends a container for a probe; returns once it is known to have ended.
    pub(super) async fn kill(
        &mut self,
        pod: &Pod,
        container: &Container,
        failed: Failed,
        message: &str,
    ) {
        let name = &container.name;
        let record = self.state.containers.get(name);
        let Some(id) = record
            .and_then(|record| record.running())
            .map(|instance| instance.id.clone())
        else {
            return;
        };
        self.event(pod, Some(name), Normal, "Killing", message);
        self.publish();
        let probe = match failed {
            Failed::Liveness => container.liveness_probe.as_ref(),
            Failed::Startup => container.startup_probe.as_ref(),
        };
        let own = probe.and_then(|probe| probe.termination_grace_period_seconds);
        self.stop(&id, grace(own.or_else(|| of_pod(pod)))).await;
        self.publish();
    }

    /// Ends the pod, and takes it out of the API unless it has gone from there already.
    pub(super) async fn end(mut self, pod: &Pod, gone: bool) {
        self.context.probes.stop_liveness_and_startup(pod);
        let running = self.running();
        for (name, _) in &running {
            self.event(
                pod,
                Some(name),
                Normal,
                "Killing",
                &format!("Stopping container {name}"),
            );
        }
        self.publish();
        let asked = if gone {
            Some(0)
        } else {
            pod.metadata
                .deletion_grace_period_seconds
                .or_else(|| of_pod(pod))
        };
        let grace = self.context.clock.real(grace(asked));
        let runtime = &self.context.runtime;
        for result in join_all(
            running
                .iter()
                .map(|(_, id)| runtime.stop_container(id, grace)),
        )
        .await
        {
            if let Err(error) = result {
                tracing::debug!(%error, "a container was not stopped");
            }
        }
        while let Some(Some(exit)) = self.exits.next().now_or_never() {
            self.observe(&exit);
        }
        self.publish();
        self.context
            .probes
            .remove_pod(pod.metadata.uid.as_deref().unwrap_or_default());
        if let Some(sandbox) = &self.sandbox
            && let Err(error) = self.context.runtime.remove_sandbox(&sandbox.id).await
        {
            tracing::warn!(%error, "a sandbox was not removed");
        }
        if !gone {
            self.delete(pod).await;
        }
    }

    fn running(&self) -> Vec<(String, ContainerId)> {
        let running = self.state.containers.iter();
        running
            .filter_map(|(name, record)| Some((name.clone(), record.running()?.id.clone())))
            .collect()
    }

    /// Stops a container, and waits for word of its end.
    async fn stop(&mut self, id: &ContainerId, grace: Duration) {
        let grace = self.context.clock.real(grace);
        if let Err(error) = self.context.runtime.stop_container(id, grace).await {
            tracing::debug!(%error, "a container was not stopped");
            return;
        }
        let runs = |worker: &Self| {
            worker
                .state
                .containers
                .values()
                .any(|r| r.running().is_some_and(|i| i.id == *id))
        };
        while runs(self) {
            let Some(exit) = self.exits.next().await else {
                return;
            };
            self.observe(&exit);
        }
    }

    async fn delete(&mut self, pod: &Pod) {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let api: Api<Pod> = Api::namespaced(self.context.client.clone(), namespace);
        let preconditions = Preconditions {
            uid: pod.metadata.uid.clone(),
            ..Preconditions::default()
        };
        let parameters = DeleteParams::default()
            .grace_period(0)
            .preconditions(preconditions);
        if let Err(error) = api
            .delete(
                pod.metadata.name.as_deref().unwrap_or_default(),
                &parameters,
            )
            .await
        {
            tracing::debug!(%error, "a pod was not deleted");
        }
    }
}

fn of_pod(pod: &Pod) -> Option<i64> {
    pod.spec
        .as_ref()
        .and_then(|spec| spec.termination_grace_period_seconds)
}

fn grace(seconds: Option<i64>) -> Duration {
    let given = u64::try_from(seconds.unwrap_or(30)).unwrap_or(0);
    LEAST_GRACE.max(Duration::from_secs(given))
}
