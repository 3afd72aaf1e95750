//! The garbage collector: what belongs to something that is gone goes too, and what is deleted with its dependents waits
//! for them.
//!
//! It decides from the caches and makes sure of an owner's absence at the API before it deletes: caches of different
//! kinds do not show the same moment.

use std::time::Duration;

use async_trait::async_trait;
use component_helpers::controller::Context;
use component_helpers::informer::Informer;
use component_helpers::informers::{Informers, Watched, for_each_informer};
use component_helpers::work_queue::{Key, Reconcile, WorkQueue};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, Preconditions};
use serde_json::json;

use super::Error;
use super::meta::gone_is_fine;

mod graph;

use graph::{Action, Object, decide};

pub(super) struct Controller {
    context: Context,
}

/// Starts the controller's part in the informers; returns its queue and its work.
pub(super) fn controller(context: &Context) -> (WorkQueue, Controller) {
    let queue = WorkQueue::default();
    // Of all kinds but events, as upstream's garbage collector. An object without dependents is held by a foreground
    // deletion as well, and only this controller removes its finalizer.
    for_each_informer!(watch, context.informers, &queue);
    (
        queue,
        Controller {
            context: context.clone(),
        },
    )
}

/// One key stands for the whole graph: it is small, and looked at only when an edge may have changed.
fn watch<K: Watched>(informer: &Informer<K>, queue: &WorkQueue) {
    let queue = queue.clone();
    informer.on_change(move |old, new| {
        let edges = |object: Option<&K>| {
            object.map(|object| {
                (
                    object.meta().owner_references.clone(),
                    object.meta().deletion_timestamp.is_some(),
                )
            })
        };
        if edges(old) != edges(new) {
            queue.add(Key::new("", "all"));
        }
    });
}

#[async_trait]
impl Reconcile for Controller {
    type Error = Error;

    async fn sync(&self, _: &Key) -> Result<Option<Duration>, Error> {
        for action in decide(&objects(&self.context.informers)) {
            self.carry_out(action).await?;
        }
        Ok(None)
    }
}

impl Controller {
    async fn carry_out(&self, action: Action) -> Result<(), Error> {
        match action {
            Action::Delete {
                object,
                absent,
                foreground,
            } => {
                for owner in &absent {
                    if self.exists(&object, owner).await? {
                        return Ok(());
                    }
                }
                let api = self.api(&object);
                let live = api.get_opt(&object.name).await?.map(|live| live.metadata);
                // The caches may not have seen yet that somebody gave it another owner, or none; then they will, and it is looked at again.
                let same = |live: &ObjectMeta| {
                    let owners = live.owner_references.as_deref().unwrap_or_default();
                    live.uid.as_ref() == Some(&object.uid) && owners == object.owners
                };
                let Some(live) = live.filter(same) else {
                    return Ok(());
                };
                let parameters = if foreground {
                    DeleteParams::foreground()
                } else {
                    DeleteParams::background()
                };
                let preconditions = Preconditions {
                    uid: live.uid,
                    resource_version: live.resource_version,
                };
                let parameters = parameters.preconditions(preconditions);
                Ok(gone_is_fine(api.delete(&object.name, &parameters).await)?)
            }
            Action::Disown { object, owners } => {
                self.patch(
                    &object,
                    &json!({"metadata": {"uid": object.uid, "ownerReferences": owners}}),
                )
                .await
            }
            Action::Release { object, finalizers } => {
                self.patch(
                    &object,
                    &json!({"metadata": {"uid": object.uid, "finalizers": finalizers}}),
                )
                .await
            }
        }
    }

    async fn exists(&self, object: &Object, owner: &OwnerReference) -> Result<bool, Error> {
        let Some(resource) = graph::owner_kind(owner) else {
            return Ok(true);
        };
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.context.client.clone(), &object.namespace, &resource);
        let found = api.get_opt(&owner.name).await?;
        Ok(found.is_some_and(|found| found.metadata.uid.as_deref() == Some(&owner.uid)))
    }

    async fn patch(&self, object: &Object, patch: &serde_json::Value) -> Result<(), Error> {
        let answer = self
            .api(object)
            .patch(&object.name, &PatchParams::default(), &Patch::Merge(patch))
            .await;
        Ok(gone_is_fine(answer)?)
    }

    fn api(&self, object: &Object) -> Api<DynamicObject> {
        let client = self.context.client.clone();
        match object.namespace.as_str() {
            "" => Api::all_with(client, &object.resource),
            namespace => Api::namespaced_with(client, namespace, &object.resource),
        }
    }
}

fn objects(informers: &Informers) -> Vec<Object> {
    let mut objects = Vec::new();
    for_each_informer!(collect, informers, &mut objects);
    objects
}

fn collect<K: Watched>(informer: &Informer<K>, objects: &mut Vec<Object>) {
    let resource = ApiResource::erase::<K>(&());
    objects.extend(
        informer
            .all()
            .iter()
            .map(|object| Object::new(&resource, object.meta())),
    );
}

#[cfg(test)]
mod tests;
