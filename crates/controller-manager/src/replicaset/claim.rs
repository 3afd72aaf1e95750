//! Adoption and release: an owner of replicas adopts selected pods without a controller, and releases pods that it no longer selects.

use std::sync::Arc;

use component_helpers::controller::Context;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;

use super::replica_owner::ReplicaOwner;
use crate::Error;
use crate::meta::{controlled_by, controller_of};

/// Decision about a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Claim {
    Keep,
    Adopt,
    Release,
    Ignore,
}

fn decide(set: &impl ReplicaOwner, pod: &Pod) -> Claim {
    let is_terminating = set.meta().deletion_timestamp.is_some();
    match controller_of(&pod.metadata) {
        Some(owner) if Some(&owner.uid) != set.meta().uid.as_ref() => Claim::Ignore,
        Some(_) if set.selects(pod) => Claim::Keep,
        Some(_) if is_terminating => Claim::Ignore,
        Some(_) => Claim::Release,
        None if set.selects(pod) && !is_terminating => Claim::Adopt,
        None => Claim::Ignore,
    }
}

/// Returns the set's pods among `candidates` after adoption and release.
pub(super) async fn claim(
    context: &Context,
    set: &impl ReplicaOwner,
    candidates: Vec<Arc<Pod>>,
) -> Result<Vec<Arc<Pod>>, Error> {
    let mut mine = Vec::new();
    for pod in candidates {
        match decide(set, &pod) {
            Claim::Keep => mine.push(pod),
            Claim::Ignore => {}
            Claim::Adopt => {
                let mut owners = pod.owner_references().to_vec();
                owners.push(controlled_by(set));
                if let Some(adopted) = write_owners(context, &pod, json!(owners)).await? {
                    mine.push(Arc::new(adopted));
                }
            }
            Claim::Release => {
                let uid = set.meta().uid.as_ref();
                let owners: Vec<_> = pod
                    .owner_references()
                    .iter()
                    .filter(|owner| Some(&owner.uid) != uid)
                    .collect();
                write_owners(context, &pod, json!(owners)).await?;
            }
        }
    }
    Ok(mine)
}

/// Writes the pod's owner references on the cached version; `None` if the pod does not exist any more.
async fn write_owners(
    context: &Context,
    pod: &Pod,
    owners: serde_json::Value,
) -> Result<Option<Pod>, Error> {
    let api: Api<Pod> =
        Api::namespaced(context.client.clone(), &pod.namespace().unwrap_or_default());
    let version = &pod.metadata.resource_version;
    let change = json!({"metadata": {"resourceVersion": version, "ownerReferences": owners}});
    match api
        .patch(
            &pod.name_any(),
            &PatchParams::default(),
            &Patch::Merge(change),
        )
        .await
    {
        Ok(pod) => {
            context
                .informers
                .pods
                .wait_for_resource_version(&pod.metadata)
                .await;
            Ok(Some(pod))
        }
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::apps::v1::ReplicaSet;
    use serde_json::Value;

    use super::*;

    #[track_caller]
    fn check(owner: Option<&str>, label: &str, is_terminating: bool, claim: Claim) {
        let mut set = json!({
            "metadata": {"name": "api", "uid": "me"},
            "spec": {"selector": {"matchLabels": {"app": "api"}}},
        });
        if is_terminating {
            set["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        }
        let owners: Vec<Value> = owner
            .map(|uid| json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "x", "uid": uid, "controller": true}))
            .into_iter()
            .collect();
        let pod = json!({"metadata": {"labels": {"app": label}, "ownerReferences": owners}});
        let set: ReplicaSet = serde_json::from_value(set).expect("a replica set");
        let pod = serde_json::from_value(pod).expect("a pod");
        assert_eq!(decide(&set, &pod), claim);
    }

    #[test]
    fn pods_are_kept_adopted_or_released_by_owner_and_selector() {
        check(Some("me"), "api", false, Claim::Keep);
        check(Some("me"), "other", false, Claim::Release);
        check(Some("you"), "api", false, Claim::Ignore);
        check(None, "api", false, Claim::Adopt);
        check(None, "other", false, Claim::Ignore);
    }

    #[test]
    fn terminating_set_neither_adopts_nor_releases() {
        check(Some("me"), "api", true, Claim::Keep);
        check(Some("me"), "other", true, Claim::Ignore);
        check(None, "api", true, Claim::Ignore);
    }
}
