//! The annotations by which deployments and replica sets remember revisions and sizes; `kubectl rollout` reads them.

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use kube::ResourceExt;

use super::numbers::Goal;

pub(super) const REVISION: &str = "deployment.kubernetes.io/revision";
pub(super) const HISTORY: &str = "deployment.kubernetes.io/revision-history";
pub(super) const DESIRED_REPLICAS: &str = "deployment.kubernetes.io/desired-replicas";
pub(super) const MAX_REPLICAS: &str = "deployment.kubernetes.io/max-replicas";
/// What stays with the deployment.
const NOT_COPIED: [&str; 6] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    HISTORY,
    DESIRED_REPLICAS,
    MAX_REPLICAS,
    "deprecated.deployment.rollback.to",
];
/// How long the list of a set's former revisions may become.
const HISTORY_LIMIT: usize = 2000;

/// The number in an annotation of `set`.
pub(super) fn number<T: std::str::FromStr>(set: &ReplicaSet, annotation: &str) -> Option<T> {
    set.annotations().get(annotation)?.parse().ok()
}

pub(super) fn revision(set: &ReplicaSet) -> i64 {
    number(set, REVISION).unwrap_or(0)
}

/// Notes on `set` what is wanted of its deployment; true if that changed anything.
pub(super) fn note_sizes(set: &mut ReplicaSet, goal: Goal) -> bool {
    let before = set.annotations().clone();
    let annotations = set.annotations_mut();
    annotations.insert(DESIRED_REPLICAS.to_owned(), goal.replicas.to_string());
    annotations.insert(MAX_REPLICAS.to_owned(), goal.max_total().to_string());
    *annotations != before
}

/// Makes `set` the deployment's revision `newest`, unless it already has as high a one; true if that changed anything.
pub(super) fn note_revision(set: &mut ReplicaSet, deployment: &Deployment, newest: i64) -> bool {
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
            let history = history(before.get(HISTORY), old);
            annotations.insert(HISTORY.to_owned(), history);
        }
    }
    *annotations != before
}

/// The former revisions with one more, without the oldest where they would be too long.
fn history(history: Option<&String>, revision: &str) -> String {
    let former = history.map_or("", String::as_str);
    let mut revisions: Vec<&str> = former.split(',').filter(|one| !one.is_empty()).collect();
    revisions.push(revision);
    while revisions.len() > 1 && revisions.join(",").len() > HISTORY_LIMIT {
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
    fn a_first_revision_has_no_history_and_takes_the_deployments_notes() {
        let mut set = set(&json!({}));
        assert!(note_revision(&mut set, &deployment(), 1));
        let expected = json!({"note": "x", REVISION: "1"});
        assert_eq!(json!(set.annotations()), expected);
        assert!(
            !note_revision(&mut set, &deployment(), 1),
            "nothing more to note"
        );
    }

    #[test]
    fn a_set_used_again_moves_its_revision_to_its_history() {
        let mut set = set(&json!({REVISION: "3", HISTORY: "1"}));
        assert!(note_revision(&mut set, &deployment(), 5));
        assert_eq!(
            set.annotations().get(REVISION).map(String::as_str),
            Some("5")
        );
        assert_eq!(
            set.annotations().get(HISTORY).map(String::as_str),
            Some("1,3")
        );
    }

    #[test]
    fn a_revision_never_falls() {
        let mut set = set(&json!({REVISION: "3", "note": "x"}));
        assert!(!note_revision(&mut set, &deployment(), 2));
        assert_eq!(revision(&set), 3);
    }

    #[test]
    fn a_history_drops_its_oldest_when_it_is_too_long() {
        let long = format!("1,{}", "2".repeat(HISTORY_LIMIT - 4));
        assert_eq!(history(Some(&long), "3"), format!("{long},3"));
        let longer = format!("1,{}", "2".repeat(HISTORY_LIMIT - 3));
        assert_eq!(
            history(Some(&longer), "3"),
            format!("{},3", "2".repeat(HISTORY_LIMIT - 3))
        );
    }

    #[test]
    fn sizes_are_noted_with_the_surge() {
        let mut set = set(&json!({}));
        let goal = Goal {
            replicas: 4,
            surge: 1,
            unavailable: 1,
            rolling: true,
        };
        assert!(note_sizes(&mut set, goal));
        assert_eq!(number(&set, DESIRED_REPLICAS), Some(4));
        assert_eq!(number(&set, MAX_REPLICAS), Some(5));
        assert!(!note_sizes(&mut set, goal));
    }
}
