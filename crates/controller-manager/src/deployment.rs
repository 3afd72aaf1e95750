//! Deployment controller: replaces pods of an old template by pods of a new one through replica sets, within the deployment's bounds.
//!
//! One sync makes at most one step in one direction; the status of the replica sets triggers the next.

mod annotations;
mod conditions;
mod replica_sets;
mod revisions;
mod rollout;
mod scaling;
mod status;

use std::time::Duration;

use async_trait::async_trait;
use component_helpers::controller::Context;
use component_helpers::events::Recorder;
use component_helpers::work_queue::{Key, Reconcile, WorkQueue};
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use kube::ResourceExt;

use super::Error;
use super::meta::controller_of;
use rollout::Rollout;

pub(super) struct Controller {
    context: Context,
    recorder: Recorder,
}

/// Registers the controller's handlers; returns its queue and its reconciler.
pub(super) fn controller(context: &Context) -> (WorkQueue, Controller) {
    let queue = WorkQueue::default();
    let deployments = queue.clone();
    context.informers.deployments.on_change(move |old, new| {
        if let Some(deployment) = new.or(old) {
            deployments.add(Key::from_object(deployment));
        }
    });
    let (of_sets, cache) = (queue.clone(), context.informers.deployments.clone());
    context.informers.sets.on_change(move |old, new| {
        for set in [old, new].into_iter().flatten() {
            if let Some(owner) = owner(set) {
                of_sets.add(owner);
            } else if controller_of(&set.metadata).is_none() {
                let deployments = cache.in_namespace(&set.namespace().unwrap_or_default());
                deployments
                    .iter()
                    .for_each(|deployment| of_sets.add(Key::from_object(&**deployment)));
            }
        }
    });
    let (of_pods, cache) = (queue.clone(), context.informers.sets.clone());
    // `Recreate` waits until the last old pod is removed, which no replica set counts any more.
    context.informers.pods.on_change(move |old, new| {
        if let (Some(pod), None) = (old, new) {
            let set = controller_of(&pod.metadata)
                .map(|set| Key::new(&pod.namespace().unwrap_or_default(), &set.name));
            let set = set.and_then(|set| cache.get(&set));
            set.and_then(|set| owner(&set))
                .into_iter()
                .for_each(|owner| of_pods.add(owner));
        }
    });
    (
        queue,
        Controller {
            context: context.clone(),
            recorder: context.recorder("deployment-controller"),
        },
    )
}

fn owner(set: &ReplicaSet) -> Option<Key> {
    let owner = controller_of(&set.metadata).filter(|owner| owner.kind == "Deployment")?;
    Some(Key::new(&set.namespace().unwrap_or_default(), &owner.name))
}

#[async_trait]
impl Reconcile for Controller {
    type Error = Error;

    async fn sync(&self, key: &Key) -> Result<Option<Duration>, Error> {
        let Some(deployment) = self.context.informers.deployments.get(key) else {
            return Ok(None);
        };
        let sets = replica_sets::claim(&self.context, &deployment).await?;
        let mut rollout = Rollout::new(&self.context, &self.recorder, &deployment, sets);
        if deployment.metadata.deletion_timestamp.is_some() {
            return rollout.write_counts().await;
        }
        rollout.sync_paused_condition();
        if is_paused(&deployment) || rollout.is_scaling_event() {
            return rollout.sync_scale().await;
        }
        if rollout.limits.rolling {
            rollout.roll().await
        } else {
            rollout.recreate().await
        }
    }
}

fn is_paused(deployment: &Deployment) -> bool {
    deployment
        .spec
        .as_ref()
        .and_then(|spec| spec.paused)
        .unwrap_or(false)
}
