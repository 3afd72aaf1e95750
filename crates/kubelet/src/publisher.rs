//! Keeps a pod's status in the API as it is observed: written when it changes, and only then.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Pod, PodStatus};
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tokio::sync::{Notify, watch};

use super::Context;
use super::pods::Desired;
use super::status::{self, Observed};

pub(super) struct Publisher {
    context: Arc<Context>,
    pod: watch::Receiver<Desired>,
    observed: watch::Receiver<Observed>,
    wake: Arc<Notify>,
    published: Option<PodStatus>,
    is_restart: bool,
}

impl Publisher {
    pub(super) fn new(
        context: Arc<Context>,
        pod: watch::Receiver<Desired>,
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

    /// Publishes until the worker stops observing.
    pub(super) async fn run(&mut self) {
        if std::mem::replace(&mut self.is_restart, true) {
            // The change during which it panicked is not published yet.
            self.wake.notify_one();
        }
        loop {
            tokio::select! {
                changed = self.observed.changed() => if changed.is_err() { return },
                () = self.wake.notified() => {}
            }
            self.context.components.status_manager.failpoint();
            if let Err(error) = self.publish().await {
                tracing::debug!(%error, "a pod's status was not written");
            }
        }
    }

    async fn publish(&mut self) -> Result<(), kube::Error> {
        let Desired { pod, gone } = self.pod.borrow().clone();
        let observed = self.observed.borrow_and_update().clone();
        if gone || observed.start_time.is_none() {
            return Ok(());
        }
        let next = self.status(&pod, &observed);
        let uid = pod.metadata.uid.clone().unwrap_or_default();
        if self.published.as_ref() == Some(&next) {
            self.context.probes.set_status(&uid, next);
            return Ok(());
        }
        // The UID makes sure that a pod that has taken the name over is not meant.
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
        let mut known = pod.clone();
        if let Some(published) = &self.published {
            known.status = Some(latest(pod, published));
        }
        let mut partial = status::containers(pod, observed);
        self.context.probes.update_pod_status(pod, &mut partial);
        status::complete(
            &known,
            observed,
            partial,
            &self.context.config.node_ip,
            self.context.clock.now(),
        )
    }
}

/// What was written last, and the conditions of others that were read since: the watch may lag behind the writing.
fn latest(read: &Pod, written: &PodStatus) -> PodStatus {
    let mut latest = written.clone();
    let conditions = latest.conditions.get_or_insert_default();
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
    latest
}
