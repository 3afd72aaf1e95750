//! Who belongs to whom, and what follows from it. Pure.

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

/// What matters of an object here.
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

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Action {
    /// Delete a dependent, once its owners are known to be absent.
    Delete {
        object: Object,
        absent: Vec<OwnerReference>,
        foreground: bool,
    },
    /// Leave a dependent with these owners only.
    Disown {
        object: Object,
        owners: Vec<OwnerReference>,
    },
    /// Leave an object with these finalizers only.
    Release {
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

    /// Whether it is being deleted and held by this.
    fn waits(&self, finalizer: &str) -> bool {
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

/// The kinds that may own others, all of them in a namespace; whoever belongs to another kind is left alone.
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

/// What follows from who is there, who goes, and who belongs to whom.
pub(super) fn decide(objects: &[Object]) -> Vec<Action> {
    let present: HashMap<&str, &Object> = objects
        .iter()
        .map(|object| (object.uid.as_str(), object))
        .collect();
    let of_dependents = objects
        .iter()
        .filter_map(|object| of_dependent(object, &present));
    let of_owners = objects.iter().flat_map(|object| of_owner(object, objects));
    of_dependents.chain(of_owners).collect()
}

fn of_dependent(object: &Object, present: &HashMap<&str, &Object>) -> Option<Action> {
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
        .all(|owner| owner.waits(FOREGROUND))
    {
        // With owners that wait, their dependents' own come first; with none left there is nobody to wait.
        let foreground = foreground && !kept.is_empty();
        return Some(Action::Delete {
            object: object.clone(),
            absent,
            foreground,
        });
    }
    // Some owners are left, and none of those waits for it: it stays, and theirs only.
    let is_left =
        |owner: &OwnerReference| find(owner).is_some_and(|found| !found.waits(FOREGROUND));
    let (left, others): (Vec<_>, Vec<_>) = object.owners.iter().cloned().partition(is_left);
    (!others.is_empty()).then(|| Action::Disown {
        object: object.clone(),
        owners: left,
    })
}

fn of_owner(owner: &Object, objects: &[Object]) -> Vec<Action> {
    let dependents = || {
        objects
            .iter()
            .filter(|object| object.owners.iter().any(|found| found.uid == owner.uid))
    };
    if owner.waits(ORPHAN) {
        let disown = |object: &Object| Action::Disown {
            object: object.clone(),
            owners: object
                .owners
                .iter()
                .filter(|found| found.uid != owner.uid)
                .cloned()
                .collect(),
        };
        let release = Action::Release {
            object: owner.clone(),
            finalizers: owner.without(ORPHAN),
        };
        return dependents().map(disown).chain([release]).collect();
    }
    let blocks = |object: &Object| {
        object
            .owners
            .iter()
            .any(|found| found.uid == owner.uid && found.block_owner_deletion == Some(true))
    };
    if owner.waits(FOREGROUND) && !dependents().any(blocks) {
        return vec![Action::Release {
            object: owner.clone(),
            finalizers: owner.without(FOREGROUND),
        }];
    }
    Vec::new()
}

#[cfg(test)]
mod tests;
