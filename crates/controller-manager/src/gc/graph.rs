//! Graph of owners and dependents, and the actions that follow from it. Pure functions.

use std::collections::HashMap;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{
    ConfigMap, Endpoints, Pod, ReplicationController, Secret, Service, ServiceAccount,
};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::api::ApiResource;

const FOREGROUND: &str = "foregroundDeletion";
const ORPHAN: &str = "orphan";

/// Metadata of an object that garbage collection depends on.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Object {
    pub(super) resource: ApiResource,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) uid: String,
    pub(super) owners: Vec<OwnerReference>,
    finalizers: Vec<String>,
    deleted: bool,
}

/// Change that the garbage collector makes.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Action {
    /// Delete a dependent after its owners are confirmed to be absent.
    Delete {
        object: Object,
        absent: Vec<OwnerReference>,
        foreground: bool,
    },
    /// Reduce a dependent's owner references to these.
    RemoveOwnerReferences {
        object: Object,
        owners: Vec<OwnerReference>,
    },
    /// Reduce an object's finalizers to these.
    RemoveFinalizer {
        object: Object,
        finalizers: Vec<String>,
    },
}

impl Object {
    pub(super) fn new(resource: &ApiResource, meta: &ObjectMeta) -> Self {
        Self {
            resource: resource.clone(),
            namespace: meta.namespace.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
            uid: meta.uid.clone().unwrap_or_default(),
            owners: meta.owner_references.clone().unwrap_or_default(),
            finalizers: meta.finalizers.clone().unwrap_or_default(),
            deleted: meta.deletion_timestamp.is_some(),
        }
    }

    /// Returns `true` if the object is being deleted and has the finalizer.
    fn is_blocked_by(&self, finalizer: &str) -> bool {
        self.deleted && self.finalizers.iter().any(|held| held == finalizer)
    }

    fn without(&self, finalizer: &str) -> Vec<String> {
        self.finalizers
            .iter()
            .filter(|held| *held != finalizer)
            .cloned()
            .collect()
    }
}

/// Returns the resource of an owner of a known kind, all of which are namespaced. Dependents of other kinds are not collected.
pub(super) fn owner_kind(owner: &OwnerReference) -> Option<ApiResource> {
    let kinds = [
        ApiResource::erase::<Deployment>(&()),
        ApiResource::erase::<ReplicaSet>(&()),
        ApiResource::erase::<ReplicationController>(&()),
        ApiResource::erase::<Pod>(&()),
        ApiResource::erase::<Service>(&()),
        ApiResource::erase::<ConfigMap>(&()),
        ApiResource::erase::<Secret>(&()),
        ApiResource::erase::<ServiceAccount>(&()),
        ApiResource::erase::<Endpoints>(&()),
        ApiResource::erase::<EndpointSlice>(&()),
    ];
    kinds
        .into_iter()
        .find(|kind| kind.kind == owner.kind && kind.api_version == owner.api_version)
}

/// Returns the actions for all objects.
pub(super) fn decide(objects: &[Object]) -> Vec<Action> {
    let present: HashMap<&str, &Object> = objects
        .iter()
        .map(|object| (object.uid.as_str(), object))
        .collect();
    let of_dependents = objects
        .iter()
        .filter_map(|object| decide_dependent(object, &present));
    let of_owners = objects
        .iter()
        .flat_map(|object| decide_owner(object, objects));
    of_dependents.chain(of_owners).collect()
}

fn decide_dependent(object: &Object, present: &HashMap<&str, &Object>) -> Option<Action> {
    if object.owners.is_empty()
        || object.deleted
        || object
            .owners
            .iter()
            .any(|owner| owner_kind(owner).is_none())
    {
        return None;
    }
    let find = |owner: &OwnerReference| present.get(owner.uid.as_str());
    let (kept, absent): (Vec<_>, Vec<_>) = object
        .owners
        .iter()
        .cloned()
        .partition(|owner| find(owner).is_some());
    let foreground = object.resource.kind != "Pod";
    if kept
        .iter()
        .filter_map(find)
        .all(|owner| owner.is_blocked_by(FOREGROUND))
    {
        // Owners in foreground deletion need their dependents' dependents deleted first.
        let foreground = foreground && !kept.is_empty();
        return Some(Action::Delete {
            object: object.clone(),
            absent,
            foreground,
        });
    }
    // Some owners remain and none is in foreground deletion, so the object stays with these.
    let is_left =
        |owner: &OwnerReference| find(owner).is_some_and(|found| !found.is_blocked_by(FOREGROUND));
    let (left, others): (Vec<_>, Vec<_>) = object.owners.iter().cloned().partition(is_left);
    (!others.is_empty()).then(|| Action::RemoveOwnerReferences {
        object: object.clone(),
        owners: left,
    })
}

fn decide_owner(owner: &Object, objects: &[Object]) -> Vec<Action> {
    let dependents = || {
        objects
            .iter()
            .filter(|object| object.owners.iter().any(|found| found.uid == owner.uid))
    };
    if owner.is_blocked_by(ORPHAN) {
        let disown = |object: &Object| Action::RemoveOwnerReferences {
            object: object.clone(),
            owners: object
                .owners
                .iter()
                .filter(|found| found.uid != owner.uid)
                .cloned()
                .collect(),
        };
        let remove_finalizer = Action::RemoveFinalizer {
            object: owner.clone(),
            finalizers: owner.without(ORPHAN),
        };
        return dependents().map(disown).chain([remove_finalizer]).collect();
    }
    let blocks = |object: &Object| {
        object
            .owners
            .iter()
            .any(|found| found.uid == owner.uid && found.block_owner_deletion == Some(true))
    };
    if owner.is_blocked_by(FOREGROUND) && !dependents().any(blocks) {
        return vec![Action::RemoveFinalizer {
            object: owner.clone(),
            finalizers: owner.without(FOREGROUND),
        }];
    }
    Vec::new()
}

#[cfg(test)]
mod tests;
