//! Garbage collector: deletes dependents of absent owners, and completes foreground and orphan deletions.
//!
//! It decides by the caches, and confirms the absence of an owner with a live GET before it deletes, because caches of different
//! kinds are not of the same time.

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
use super::meta::ignore_not_found;

mod graph;

use graph::{Action, Object, decide};

pub(super) struct Controller {
    context: Context,
}

/// Registers the controller's handlers; returns its queue and its reconciler.
pub(super) fn controller(context: &Context) -> (WorkQueue, Controller) {
    let queue = WorkQueue::default();
    // All kinds except events, as upstream's garbage collector. Foreground deletion sets a finalizer on objects without dependents,
    // too, and only this controller removes it.
    for_each_informer!(watch, context.informers, &queue);
    (
        queue,
        Controller {
            context: context.clone(),
        },
    )
}

/// Queues the single key of the graph when an owner reference may have changed. The graph is small, so it is computed as a whole.
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
            self.apply_action(action).await?;
        }
        Ok(None)
    }
}

impl Controller {
    async fn apply_action(&self, action: Action) -> Result<(), Error> {
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
                // The object may have another owner, or none, which the caches do not contain yet; their update queues the key again.
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
                Ok(ignore_not_found(
                    api.delete(&object.name, &parameters).await,
                )?)
            }
            Action::RemoveOwnerReferences { object, owners } => {
                self.patch(
                    &object,
                    &json!({"metadata": {"uid": object.uid, "ownerReferences": owners}}),
                )
                .await
            }
            Action::RemoveFinalizer { object, finalizers } => {
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
        Ok(ignore_not_found(answer)?)
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
