//! Whose pods are whose: what keeps copies adopts pods it chooses that nobody manages, and lets go of those it no longer
//! chooses.

use std::sync::Arc;

use component_helpers::controller::Context;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;

use super::copies::Copies;
use crate::Error;
use crate::meta::{controlled_by, controller_of};

/// What to do with a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Claim {
    Keep,
    Adopt,
    Release,
    Ignore,
}

fn decide(set: &impl Copies, pod: &Pod) -> Claim {
    let dying = set.meta().deletion_timestamp.is_some();
    match controller_of(&pod.metadata) {
        Some(owner) if Some(&owner.uid) != set.meta().uid.as_ref() => Claim::Ignore,
        Some(_) if set.chooses(pod) => Claim::Keep,
        Some(_) if dying => Claim::Ignore,
        Some(_) => Claim::Release,
        None if set.chooses(pod) && !dying => Claim::Adopt,
        None => Claim::Ignore,
    }
}

/// The set's pods among `candidates`, after adoption and release.
pub(super) async fn claim(
    context: &Context,
    set: &impl Copies,
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
                if let Some(adopted) = own(context, &pod, json!(owners)).await? {
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
                own(context, &pod, json!(owners)).await?;
            }
        }
    }
    Ok(mine)
}

/// Writes the pod's owners, on the version seen; none where the pod is gone.
async fn own(
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
    fn check(owner: Option<&str>, label: &str, dying: bool, claim: Claim) {
        let mut set = json!({
            "metadata": {"name": "api", "uid": "me"},
            "spec": {"selector": {"matchLabels": {"app": "api"}}},
        });
        if dying {
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
    fn pods_belong_to_who_manages_and_chooses_them() {
        check(Some("me"), "api", false, Claim::Keep);
        check(Some("me"), "other", false, Claim::Release);
        check(Some("you"), "api", false, Claim::Ignore);
        check(None, "api", false, Claim::Adopt);
        check(None, "other", false, Claim::Ignore);
    }

    #[test]
    fn a_set_that_goes_neither_adopts_nor_releases() {
        check(Some("me"), "api", true, Claim::Keep);
        check(Some("me"), "other", true, Claim::Ignore);
        check(None, "api", true, Claim::Ignore);
    }
}
