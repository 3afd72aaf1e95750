//! Status manager: writes a pod's status to the API when it changes (upstream's `status_manager.go`).

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Pod, PodStatus};
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tokio::sync::{Notify, watch};

use super::Context;
use super::pods::PodUpdate;
use super::status::{self, Observed};

pub(super) struct StatusManager {
    context: Arc<Context>,
    pod: watch::Receiver<PodUpdate>,
    observed: watch::Receiver<Observed>,
    wake: Arc<Notify>,
    /// Status that was written last.
    published: Option<PodStatus>,
    is_restart: bool,
}

impl StatusManager {
    pub(super) fn new(
        context: Arc<Context>,
        pod: watch::Receiver<PodUpdate>,
        observed: watch::Receiver<Observed>,
        wake: Arc<Notify>,
    ) -> Self {
        Self {
            context,
            pod,
            observed,
            wake,
            published: None,
            is_restart: false,
        }
    }

    /// Writes the status after each change, until the worker drops its sender.
    pub(super) async fn run(&mut self) {
        if std::mem::replace(&mut self.is_restart, true) {
            // The change that was processed when the task panicked is not written yet.
            self.wake.notify_one();
        }
        loop {
            tokio::select! {
                changed = self.observed.changed() => if changed.is_err() { return },
                () = self.wake.notified() => {}
            }
            self.context.components.status_manager.failpoint();
            if let Err(error) = self.publish().await {
                tracing::debug!(%error, "cannot write pod status");
            }
        }
    }

    async fn publish(&mut self) -> Result<(), kube::Error> {
        let PodUpdate { pod, removed } = self.pod.borrow().clone();
        let observed = self.observed.borrow_and_update().clone();
        if removed || observed.start_time.is_none() {
            return Ok(());
        }
        let next = self.status(&pod, &observed);
        let uid = pod.metadata.uid.clone().unwrap_or_default();
        if self.published.as_ref() == Some(&next) {
            self.context.probes.set_status(&uid, next);
            return Ok(());
        }
        // With the UID, the API server rejects the write if another pod now has the name.
        let patch = json!({"metadata": {"uid": uid}, "status": next});
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        let api: Api<Pod> = Api::namespaced(
            self.context.client.clone(),
            pod.metadata.namespace.as_deref().unwrap_or_default(),
        );
        api.patch_status(name, &PatchParams::default(), &Patch::Merge(patch))
            .await?;
        self.context.probes.set_status(&uid, next.clone());
        self.published = Some(next);
        Ok(())
    }

    fn status(&self, pod: &Pod, observed: &Observed) -> PodStatus {
        let mut current = pod.clone();
        if let Some(published) = &self.published {
            current.status = Some(merge_foreign_conditions(pod, published));
        }
        let mut partial = status::container_statuses(pod, observed);
        self.context.probes.update_pod_status(pod, &mut partial);
        status::build_status(
            &current,
            observed,
            partial,
            &self.context.config.node_ip,
            self.context.clock.now(),
        )
    }
}

/// Returns the status that was written last, with the conditions that other components have added to the pod since. The
/// pod's own status is not used, because the watch can lag behind the write.
fn merge_foreign_conditions(read: &Pod, written: &PodStatus) -> PodStatus {
    let mut merged = written.clone();
    let conditions = merged.conditions.get_or_insert_default();
    for condition in read
        .status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten())
    {
        if !conditions
            .iter()
            .any(|known| known.type_ == condition.type_)
        {
            conditions.push(condition.clone());
        }
    }
    merged
}
