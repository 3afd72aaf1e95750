//! Which replica set is which: the new one, the old ones, and the ones too old to keep.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use kube::ResourceExt;

use super::annotations::revision;
use super::numbers::size;

pub(super) const HASH_LABEL: &str = "pod-template-hash";
/// The digits 0 to 9 of a hash, as letters that make no words.
const ALPHABET: &[u8; 10] = b"456789bcdf";

/// The sets by age, oldest first.
pub(super) fn by_age(mut sets: Vec<Arc<ReplicaSet>>) -> Vec<Arc<ReplicaSet>> {
    sets.sort_by_key(|set| (set.creation_timestamp().map(|time| time.0), set.name_any()));
    sets
}

/// Where in `sets`, oldest first, the one of the deployment's template is: the oldest, where several are.
pub(super) fn find_new(deployment: &Deployment, sets: &[Arc<ReplicaSet>]) -> Option<usize> {
    let wanted = plain(&template(deployment));
    sets.iter().position(|set| is_of(set, &wanted))
}

/// Whether `set` is of the deployment's template.
pub(super) fn matches(deployment: &Deployment, set: &ReplicaSet) -> bool {
    is_of(set, &plain(&template(deployment)))
}

fn is_of(set: &ReplicaSet, wanted: &PodTemplateSpec) -> bool {
    let template = set.spec.as_ref().and_then(|spec| spec.template.as_ref());
    template.is_some_and(|template| plain(template) == *wanted)
}

pub(super) fn template(deployment: &Deployment) -> PodTemplateSpec {
    deployment
        .spec
        .as_ref()
        .map(|spec| spec.template.clone())
        .unwrap_or_default()
}

/// The template without the label that replica sets add.
fn plain(template: &PodTemplateSpec) -> PodTemplateSpec {
    let mut template = template.clone();
    let meta = template.metadata.get_or_insert_default();
    if let Some(labels) = &mut meta.labels {
        labels.remove(HASH_LABEL);
    }
    // What the API's decoder may or may not leave in a template's metadata says nothing about its pods.
    meta.creation_timestamp = None;
    template
}

/// The sets beyond the deployment's limit, oldest revision first, that nothing runs under any more.
pub(super) fn expired<'a>(deployment: &Deployment, old: &[&'a ReplicaSet]) -> Vec<&'a ReplicaSet> {
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
    kept.retain(|set| idle(set));
    kept
}

fn idle(set: &ReplicaSet) -> bool {
    let status = set.status.as_ref();
    let replicas = status.map_or(0, |status| status.replicas);
    let observed = status
        .and_then(|status| status.observed_generation)
        .unwrap_or(0);
    replicas == 0 && size(set) == 0 && set.metadata.generation.unwrap_or(0) <= observed
}

/// A short name for a template: the same for the same template and number of collisions.
pub(super) fn hash(template: &PodTemplateSpec, collisions: Option<i32>) -> String {
    let mut hasher = Fnv(0x811c_9dc5);
    let text = serde_json::to_string(template).expect("a template is plain data");
    text.hash(&mut hasher);
    collisions.hash(&mut hasher);
    let digits = (hasher.finish() & u64::from(u32::MAX)).to_string();
    digits
        .bytes()
        .map(|digit| char::from(ALPHABET[usize::from(digit - b'0')]))
        .collect()
}

/// 32-bit FNV-1a; the standard library's hasher may change between its versions, and names must not.
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
    fn the_new_set_is_the_oldest_of_the_template() {
        let sets = by_age(vec![
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
    fn a_hash_is_of_the_alphabet_and_tells_templates_and_collisions_apart() {
        let (a, b) = (
            super::template(&deployment("v1", 1)),
            super::template(&deployment("v2", 1)),
        );
        let hashes = [hash(&a, None), hash(&b, None), hash(&a, Some(1))];
        assert!(
            hashes
                .iter()
                .all(|hash| hash.len() <= 10 && hash.bytes().all(|byte| ALPHABET.contains(&byte)))
        );
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
    fn the_oldest_idle_revisions_beyond_the_limit_expire() {
        let sets = [
            old(10, 0, 2),
            old(9, 0, 2),
            old(2, 1, 2),
            old(3, 0, 1),
            old(1, 0, 2),
        ];
        let sets: Vec<&ReplicaSet> = sets.iter().collect();
        let names = |limit| {
            expired(&deployment("v1", limit), &sets)
                .iter()
                .map(|set| set.name_any())
                .collect::<Vec<_>>()
        };
        assert_eq!(names(4), ["1"]);
        assert_eq!(names(2), ["1"], "2 has pods, 3 has not been seen to");
        assert_eq!(names(0), ["1", "9", "10"]);
        assert!(names(5).is_empty());
    }
}
