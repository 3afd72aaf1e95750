//! Annotations for revisions and replica counts, which `kubectl rollout` reads.

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use kube::ResourceExt;

use super::scaling::RolloutLimits;

pub(super) const REVISION: &str = "deployment.kubernetes.io/revision";
pub(super) const REVISION_HISTORY: &str = "deployment.kubernetes.io/revision-history";
pub(super) const DESIRED_REPLICAS: &str = "deployment.kubernetes.io/desired-replicas";
pub(super) const MAX_REPLICAS: &str = "deployment.kubernetes.io/max-replicas";
/// Annotations of the deployment that replica sets do not get.
const NOT_COPIED: [&str; 6] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    REVISION_HISTORY,
    DESIRED_REPLICAS,
    MAX_REPLICAS,
    "deprecated.deployment.rollback.to",
];
/// Maximum length of the list of a set's former revisions, in bytes.
const MAX_HISTORY_LEN: usize = 2000;

/// Parses a numeric annotation of `set`.
pub(super) fn number<T: std::str::FromStr>(set: &ReplicaSet, annotation: &str) -> Option<T> {
    set.annotations().get(annotation)?.parse().ok()
}

pub(super) fn revision(set: &ReplicaSet) -> i64 {
    number(set, REVISION).unwrap_or(0)
}

/// Sets the replica counts of the deployment on `set`; returns `true` if an annotation changed.
pub(super) fn set_replicas_annotations(set: &mut ReplicaSet, limits: RolloutLimits) -> bool {
    let before = set.annotations().clone();
    let annotations = set.annotations_mut();
    annotations.insert(DESIRED_REPLICAS.to_owned(), limits.replicas.to_string());
    annotations.insert(MAX_REPLICAS.to_owned(), limits.max_total().to_string());
    *annotations != before
}

/// Sets the revision of `set` to `newest` unless it is already as high; returns `true` if an annotation changed.
pub(super) fn set_revision_annotation(
    set: &mut ReplicaSet,
    deployment: &Deployment,
    newest: i64,
) -> bool {
    let before = set.annotations().clone();
    let annotations = set.annotations_mut();
    for (key, value) in deployment.annotations() {
        if !NOT_COPIED.contains(&key.as_str()) {
            annotations.insert(key.clone(), value.clone());
        }
    }
    let old = before.get(REVISION);
    if old.and_then(|old| old.parse().ok()).unwrap_or(0) < newest {
        annotations.insert(REVISION.to_owned(), newest.to_string());
        if let Some(old) = old {
            let history = append_revision(before.get(REVISION_HISTORY), old);
            annotations.insert(REVISION_HISTORY.to_owned(), history);
        }
    }
    *annotations != before
}

/// Appends a revision to the history; drops the oldest revisions beyond the maximum length.
fn append_revision(history: Option<&String>, revision: &str) -> String {
    let former = history.map_or("", String::as_str);
    let mut revisions: Vec<&str> = former.split(',').filter(|one| !one.is_empty()).collect();
    revisions.push(revision);
    while revisions.len() > 1 && revisions.join(",").len() > MAX_HISTORY_LEN {
        revisions.remove(0);
    }
    revisions.join(",")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set(annotations: &serde_json::Value) -> ReplicaSet {
        serde_json::from_value(json!({"metadata": {"name": "api", "annotations": annotations}}))
            .expect("a replica set")
    }

    fn deployment() -> Deployment {
        let annotations = json!({"note": "x", REVISION: "9", "kubectl.kubernetes.io/last-applied-configuration": "{}"});
        serde_json::from_value(json!({"metadata": {"annotations": annotations}}))
            .expect("a deployment")
    }

    #[test]
    fn first_revision_has_no_history_and_copies_the_deployments_annotations() {
        let mut set = set(&json!({}));
        assert!(set_revision_annotation(&mut set, &deployment(), 1));
        let expected = json!({"note": "x", REVISION: "1"});
        assert_eq!(json!(set.annotations()), expected);
        assert!(
            !set_revision_annotation(&mut set, &deployment(), 1),
            "nothing more to note"
        );
    }

    #[test]
    fn reused_set_moves_its_revision_to_its_history() {
        let mut set = set(&json!({REVISION: "3", REVISION_HISTORY: "1"}));
        assert!(set_revision_annotation(&mut set, &deployment(), 5));
        assert_eq!(
            set.annotations().get(REVISION).map(String::as_str),
            Some("5")
        );
        assert_eq!(
            set.annotations().get(REVISION_HISTORY).map(String::as_str),
            Some("1,3")
        );
    }

    #[test]
    fn revision_never_decreases() {
        let mut set = set(&json!({REVISION: "3", "note": "x"}));
        assert!(!set_revision_annotation(&mut set, &deployment(), 2));
        assert_eq!(revision(&set), 3);
    }

    #[test]
    fn too_long_history_drops_its_oldest_revision() {
        let long = format!("1,{}", "2".repeat(MAX_HISTORY_LEN - 4));
        assert_eq!(append_revision(Some(&long), "3"), format!("{long},3"));
        let longer = format!("1,{}", "2".repeat(MAX_HISTORY_LEN - 3));
        assert_eq!(
            append_revision(Some(&longer), "3"),
            format!("{},3", "2".repeat(MAX_HISTORY_LEN - 3))
        );
    }

    #[test]
    fn maximum_replicas_include_the_surge() {
        let mut set = set(&json!({}));
        let limits = RolloutLimits {
            replicas: 4,
            surge: 1,
            unavailable: 1,
            rolling: true,
        };
        assert!(set_replicas_annotations(&mut set, limits));
        assert_eq!(number(&set, DESIRED_REPLICAS), Some(4));
        assert_eq!(number(&set, MAX_REPLICAS), Some(5));
        assert!(!set_replicas_annotations(&mut set, limits));
    }
}
