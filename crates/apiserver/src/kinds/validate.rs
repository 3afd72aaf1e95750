//! Validation with the API server's messages.

use serde_json::Value;

use super::FieldError;
use super::names::{self, Rule};

mod data;
mod disruption;
mod endpoint_slice;
mod lifecycle;
mod node;
mod pod;
mod pod_update;
mod restart_policy;
mod service;
mod workload;

pub(super) use data::{config_map, secret};
pub(super) use disruption::disruption_budget;
pub(super) use endpoint_slice::endpoint_slice;
pub(super) use node::node;
pub(super) use pod::pod;
pub(super) use service::service;
pub(super) use workload::{deployment, pod_template, replica_set, replication_controller};

/// Validates the metadata of kinds without rules of their own.
pub(super) fn named(new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    metadata(new, old, names::subdomain)
}

pub(super) fn namespace(new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    metadata(new, old, names::label)
}

/// Validates name and labels. The name of an existing object is not validated again.
fn metadata(new: &Value, old: Option<&Value>, rule: Rule) -> Vec<FieldError> {
    let metadata = &new["metadata"];
    let mut errors = Vec::new();
    let name = metadata["name"].as_str().unwrap_or_default();
    if name.is_empty() {
        let detail = "name or generateName is required";
        errors.push(FieldError::required("metadata.name", detail));
    } else if old.is_none() {
        errors.extend(
            rule(name)
                .into_iter()
                .map(|detail| FieldError::invalid("metadata.name", format!("{name:?}"), detail)),
        );
    }
    errors.extend(old.and_then(|old| added_finalizers(metadata, &old["metadata"])));
    errors.extend(labels(&metadata["labels"], "metadata.labels"));
    for key in metadata["annotations"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, _)| key)
    {
        let broken = names::qualified(&key.to_lowercase());
        errors.extend(
            broken.into_iter().map(|detail| {
                FieldError::invalid("metadata.annotations", format!("{key:?}"), detail)
            }),
        );
    }
    errors
}

/// Rejects new finalizers of an object that is being deleted. Upstream: `ValidateNoNewFinalizers`.
fn added_finalizers(new: &Value, old: &Value) -> Option<FieldError> {
    if !old["deletionTimestamp"].is_string() {
        return None;
    }
    let known: Vec<&Value> = list(old, "finalizers").map(|(_, name)| name).collect();
    let mut added: Vec<String> = list(new, "finalizers")
        .filter(|(_, name)| !known.contains(name))
        .map(|(_, name)| name.to_string())
        .collect();
    added.sort();
    (!added.is_empty()).then(|| {
        let detail = format!(
            "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
            added.join(", ")
        );
        FieldError::forbidden("metadata.finalizers", detail)
    })
}

fn labels(labels: &Value, path: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (key, value) in labels.as_object().into_iter().flatten() {
        let value = value.as_str().unwrap_or_default();
        let broken = names::qualified(key)
            .into_iter()
            .map(|detail| (key.as_str(), detail));
        let broken = broken.chain(
            names::label_value(value)
                .into_iter()
                .map(|detail| (value, detail)),
        );
        errors.extend(
            broken.map(|(text, detail)| FieldError::invalid(path, format!("{text:?}"), detail)),
        );
    }
    errors
}

/// Rejects a change of a field that has a value.
fn immutable(new: &Value, old: Option<&Value>, pointer: &str, path: &str) -> Option<FieldError> {
    let (new, old) = (new.pointer(pointer)?, old?.pointer(pointer)?);
    (new != old).then(|| FieldError::invalid(path, new.to_string(), "field is immutable"))
}

fn list<'a>(object: &'a Value, field: &str) -> impl Iterator<Item = (usize, &'a Value)> + use<'a> {
    object[field].as_array().into_iter().flatten().enumerate()
}

#[cfg(test)]
mod tests;
