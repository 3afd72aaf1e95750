//! Revisions: the new replica set, the old ones, and those beyond the history limit.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use kube::ResourceExt;

use super::annotations::revision;
use super::scaling::replicas_of;

pub(super) const HASH_LABEL: &str = "pod-template-hash";
/// Replacements of the digits 0 to 9 in a hash (upstream's `SafeEncodeString`), which form no words.
const SAFE_ENCODE_ALPHABET: &[u8; 10] = b"456789bcdf";

/// Sorts the sets by age, oldest first.
pub(super) fn sort_by_age(mut sets: Vec<Arc<ReplicaSet>>) -> Vec<Arc<ReplicaSet>> {
    sets.sort_by_key(|set| (set.creation_timestamp().map(|time| time.0), set.name_any()));
    sets
}

/// Returns the index in `sets`, oldest first, of the oldest set with the deployment's template.
pub(super) fn find_new(deployment: &Deployment, sets: &[Arc<ReplicaSet>]) -> Option<usize> {
    let desired = without_hash_label(&template(deployment));
    sets.iter().position(|set| has_template(set, &desired))
}

/// Returns `true` if `set` has the deployment's template.
pub(super) fn matches(deployment: &Deployment, set: &ReplicaSet) -> bool {
    has_template(set, &without_hash_label(&template(deployment)))
}

fn has_template(set: &ReplicaSet, desired: &PodTemplateSpec) -> bool {
    let template = set.spec.as_ref().and_then(|spec| spec.template.as_ref());
    template.is_some_and(|template| without_hash_label(template) == *desired)
}

pub(super) fn template(deployment: &Deployment) -> PodTemplateSpec {
    deployment
        .spec
        .as_ref()
        .map(|spec| spec.template.clone())
        .unwrap_or_default()
}

/// Returns the template without the label that replica sets add.
fn without_hash_label(template: &PodTemplateSpec) -> PodTemplateSpec {
    let mut template = template.clone();
    let meta = template.metadata.get_or_insert_default();
    if let Some(labels) = &mut meta.labels {
        labels.remove(HASH_LABEL);
    }
    // Other metadata of the template depends on the decoder and not on the pods.
    meta.creation_timestamp = None;
    template
}

/// Returns the sets without pods beyond the deployment's history limit, oldest revision first.
pub(super) fn sets_to_delete<'a>(
    deployment: &Deployment,
    old: &[&'a ReplicaSet],
) -> Vec<&'a ReplicaSet> {
    let limit = deployment
        .spec
        .as_ref()
        .and_then(|spec| spec.revision_history_limit)
        .unwrap_or(10);
    let mut kept: Vec<&ReplicaSet> = old
        .iter()
        .copied()
        .filter(|set| set.metadata.deletion_timestamp.is_none())
        .collect();
    kept.sort_by_key(|set| revision(set));
    let surplus = kept
        .len()
        .saturating_sub(usize::try_from(limit).unwrap_or(0));
    kept.truncate(surplus);
    kept.retain(|set| is_idle(set));
    kept
}

fn is_idle(set: &ReplicaSet) -> bool {
    let status = set.status.as_ref();
    let replicas = status.map_or(0, |status| status.replicas);
    let observed = status
        .and_then(|status| status.observed_generation)
        .unwrap_or(0);
    replicas == 0 && replicas_of(set) == 0 && set.metadata.generation.unwrap_or(0) <= observed
}

/// Hashes a template. Equal templates with equal collision counts have equal hashes.
pub(super) fn hash(template: &PodTemplateSpec, collisions: Option<i32>) -> String {
    let mut hasher = Fnv(0x811c_9dc5);
    let text = serde_json::to_string(template).expect("a template is plain data");
    text.hash(&mut hasher);
    collisions.hash(&mut hasher);
    let digits = (hasher.finish() & u64::from(u32::MAX)).to_string();
    digits
        .bytes()
        .map(|digit| char::from(SAFE_ENCODE_ALPHABET[usize::from(digit - b'0')]))
        .collect()
}

/// 32-bit FNV-1a. The standard library's hasher may change between versions, and names must not.
struct Fnv(u32);

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
        }
    }

    fn finish(&self) -> u64 {
        u64::from(self.0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn template(image: &str, hash: Option<&str>) -> Value {
        let mut labels = json!({"app": "api"});
        if let Some(hash) = hash {
            labels[HASH_LABEL] = json!(hash);
        }
        json!({"metadata": {"labels": labels}, "spec": {"containers": [{"name": "a", "image": image}]}})
    }

    fn set(name: &str, created: &str, image: &str) -> Arc<ReplicaSet> {
        let spec = json!({"selector": {}, "template": template(image, Some("h"))});
        let meta = json!({"name": name, "creationTimestamp": created});
        Arc::new(
            serde_json::from_value(json!({"metadata": meta, "spec": spec})).expect("a replica set"),
        )
    }

    fn deployment(image: &str, limit: i32) -> Deployment {
        let spec = json!({"selector": {}, "template": template(image, None), "revisionHistoryLimit": limit});
        serde_json::from_value(json!({"metadata": {"name": "api"}, "spec": spec}))
            .expect("a deployment")
    }

    #[test]
    fn new_set_is_the_oldest_of_the_template() {
        let sets = sort_by_age(vec![
            set("c", "2026-01-03T00:00:00Z", "v1"),
            set("b", "2026-01-02T00:00:00Z", "v1"),
            set("a", "2026-01-01T00:00:00Z", "v2"),
        ]);
        let at = find_new(&deployment("v1", 10), &sets).expect("there is one");
        assert_eq!(sets[at].name_any(), "b");
        assert_eq!(find_new(&deployment("v3", 10), &sets), None);
        assert!(matches(&deployment("v2", 10), &sets[0]));
    }

    #[test]
    fn hashes_use_the_alphabet_and_differ_by_template_and_collision_count() {
        let (a, b) = (
            super::template(&deployment("v1", 1)),
            super::template(&deployment("v2", 1)),
        );
        let hashes = [hash(&a, None), hash(&b, None), hash(&a, Some(1))];
        assert!(hashes.iter().all(|hash| {
            hash.len() <= 10
                && hash
                    .bytes()
                    .all(|byte| SAFE_ENCODE_ALPHABET.contains(&byte))
        }));
        assert!(hashes[0] != hashes[1] && hashes[0] != hashes[2]);
        assert_eq!(hashes[0], hash(&a, None));
    }

    fn old(revision: i32, replicas: i32, observed: i64) -> ReplicaSet {
        let value = json!({
            "metadata": {"name": revision.to_string(), "generation": 2, "annotations": {super::super::annotations::REVISION: revision.to_string()}},
            "spec": {"replicas": replicas, "selector": {}},
            "status": {"replicas": 0, "observedGeneration": observed},
        });
        serde_json::from_value(value).expect("a replica set")
    }

    #[test]
    fn oldest_idle_revisions_above_the_limit_are_deleted() {
        let sets = [
            old(10, 0, 2),
            old(9, 0, 2),
            old(2, 1, 2),
            old(3, 0, 1),
            old(1, 0, 2),
        ];
        let sets: Vec<&ReplicaSet> = sets.iter().collect();
        let names = |limit| {
            sets_to_delete(&deployment("v1", limit), &sets)
                .iter()
                .map(|set| set.name_any())
                .collect::<Vec<_>>()
        };
        assert_eq!(names(4), ["1"]);
        assert_eq!(names(2), ["1"], "2 has pods, 3 is not observed yet");
        assert_eq!(names(0), ["1", "9", "10"]);
        assert!(names(5).is_empty());
    }
}
