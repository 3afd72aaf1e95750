//! What the API server itself writes into an object's metadata.

use jiff::Timestamp;
use rand::RngExt as _;
use serde_json::{Map, Value, json};

use crate::kinds::Kind;

/// The characters of generated names: no vowels, so no words.
const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
/// The longest base that a generated suffix is put behind.
const MAX_BASE: usize = 58;

/// Chooses the random parts of names.
#[derive(Default)]
pub(super) struct Names;

impl Names {
    /// A name that begins with `base`.
    pub(super) fn generate(&self, base: &str) -> String {
        let mut random = rand::rng();
        let suffix = (0..5).map(|_| char::from(ALPHABET[random.random_range(0..ALPHABET.len())]));
        let end = base
            .char_indices()
            .map(|(at, _)| at)
            .nth(MAX_BASE)
            .unwrap_or(base.len());
        base[..end].chars().chain(suffix).collect()
    }
}

/// A time as objects show it: whole seconds.
pub(super) fn time(at: Timestamp) -> Value {
    json!(at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

/// An object's metadata, made if it is missing.
pub(super) fn metadata(object: &mut Value) -> &mut Map<String, Value> {
    if !object["metadata"].is_object() {
        object["metadata"] = json!({});
    }
    object["metadata"]
        .as_object_mut()
        .expect("it has just been made sure of")
}

pub(super) fn text<'a>(object: &'a Value, field: &str) -> Option<&'a str> {
    object["metadata"][field]
        .as_str()
        .filter(|text| !text.is_empty())
}

pub(super) fn is_being_deleted(object: &Value) -> bool {
    object["metadata"]["deletionTimestamp"].is_string()
}

pub(super) fn finalizers(object: &Value) -> &[Value] {
    object["metadata"]["finalizers"]
        .as_array()
        .map_or(&[], Vec::as_slice)
}

/// The kinds whose changes of `spec` are numbered.
pub(super) fn counts_generations(kind: &Kind) -> bool {
    matches!(kind.group, "apps" | "networking.k8s.io" | "policy")
        || matches!(kind.kind, "Pod" | "ReplicationController")
}

/// Fills in the metadata of a new object.
pub(super) fn stamp_new(kind: &Kind, object: &mut Value, now: Timestamp) {
    let metadata = metadata(object);
    for field in [
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "resourceVersion",
        "selfLink",
        "managedFields",
    ] {
        metadata.remove(field);
    }
    metadata.insert("uid".to_owned(), json!(uuid::Uuid::new_v4().to_string()));
    metadata.insert("creationTimestamp".to_owned(), time(now));
    if counts_generations(kind) {
        metadata.insert("generation".to_owned(), json!(1));
    }
}

/// Takes over from `old` what a writer cannot change, and numbers a change of the rest.
pub(super) fn stamp_changed(kind: &Kind, object: &mut Value, old: &Value) {
    let kept = [
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
        "namespace",
        "name",
        "generateName",
        "resourceVersion",
        "selfLink",
    ];
    let metadata = metadata(object);
    for field in kept {
        match &old["metadata"][field] {
            Value::Null => metadata.remove(field),
            value => metadata.insert(field.to_owned(), value.clone()),
        };
    }
    if counts_generations(kind) && object["spec"] != old["spec"] {
        let generation = old["metadata"]["generation"].as_i64().unwrap_or(0);
        object["metadata"]["generation"] = json!(generation + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_name_is_its_base_cut_at_58_and_five_characters() {
        let check = |base: &str, kept: usize| {
            let name = Names.generate(base);
            assert_eq!(&name[..kept], &base[..kept]);
            assert_eq!(name.len(), kept + 5);
            assert!(
                name[kept..].bytes().all(|byte| ALPHABET.contains(&byte)),
                "{name}"
            );
        };
        check("web-", 4);
        check(&"a".repeat(58), 58);
        check(&"a".repeat(59), 58);
    }

    #[test]
    fn times_are_whole_seconds() {
        let at: Timestamp = "2026-01-02T03:04:05.999Z".parse().unwrap();
        assert_eq!(time(at), "2026-01-02T03:04:05Z");
    }
}
