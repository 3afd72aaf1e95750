//! Metadata that the API server itself writes into objects.

use jiff::Timestamp;
use rand::RngExt as _;
use serde_json::{Map, Value, json};

use crate::kinds::Kind;

/// Alphabet of generated suffixes. It has no vowels, so a suffix never forms a word (`k8s.io/apimachinery` `rand`).
const SUFFIX_ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
/// Number of characters of a generated suffix.
const SUFFIX_LEN: usize = 5;
/// Maximum number of characters of `generateName` that a generated name keeps.
const MAX_BASE_LEN: usize = 58;

/// Returns `base`, truncated to [`MAX_BASE_LEN`], with a random suffix (`SimpleNameGenerator`).
pub(super) fn generate_name(base: &str) -> String {
    let mut random = rand::rng();
    let mut random_char =
        || char::from(SUFFIX_ALPHABET[random.random_range(0..SUFFIX_ALPHABET.len())]);
    let mut name: String = base.chars().take(MAX_BASE_LEN).collect();
    name.extend((0..SUFFIX_LEN).map(|_| random_char()));
    name
}

/// Formats a time as `metav1.Time` does: RFC 3339 with whole seconds.
pub(super) fn rfc3339_seconds(at: Timestamp) -> Value {
    json!(at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

/// Returns the metadata of `object`, which is created if it is missing.
pub(super) fn metadata(object: &mut Value) -> &mut Map<String, Value> {
    if !object["metadata"].is_object() {
        object["metadata"] = json!({});
    }
    object["metadata"]
        .as_object_mut()
        .expect("metadata is an object")
}

/// Returns a text field of the metadata; `None` if it is absent or empty.
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

/// Fills in the metadata of a new object (`RESTCreateStrategy`).
pub(super) fn prepare_for_create(kind: &Kind, object: &mut Value, now: Timestamp) {
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
    metadata.insert("creationTimestamp".to_owned(), rfc3339_seconds(now));
    if kind.tracks_generation {
        metadata.insert("generation".to_owned(), json!(1));
    }
}

/// Restores the fields of `old` that a client cannot change, and increments `generation` if `spec` differs
/// (`RESTUpdateStrategy`).
pub(super) fn prepare_for_update(kind: &Kind, object: &mut Value, old: &Value) {
    let read_only = [
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
    for field in read_only {
        match &old["metadata"][field] {
            Value::Null => metadata.remove(field),
            value => metadata.insert(field.to_owned(), value.clone()),
        };
    }
    if kind.tracks_generation && object["spec"] != old["spec"] {
        let generation = old["metadata"]["generation"].as_i64().unwrap_or(0);
        object["metadata"]["generation"] = json!(generation + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_name_keeps_at_most_58_characters_and_gets_a_suffix() {
        let check = |base: &str, kept: usize| {
            let name = generate_name(base);
            assert_eq!(&name[..kept], &base[..kept]);
            assert_eq!(name.len(), kept + SUFFIX_LEN);
            assert!(
                name[kept..]
                    .bytes()
                    .all(|byte| SUFFIX_ALPHABET.contains(&byte)),
                "{name}"
            );
        };
        check("web-", 4);
        check(&"a".repeat(58), 58);
        check(&"a".repeat(59), 58);
    }

    #[test]
    fn timestamp_is_formatted_in_whole_seconds() {
        let at: Timestamp = "2026-01-02T03:04:05.999Z".parse().unwrap();
        assert_eq!(rfc3339_seconds(at), "2026-01-02T03:04:05Z");
    }
}
