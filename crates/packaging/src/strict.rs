//! Strict decoding of objects: every field has to exist in its kind, with a value of the right type.

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Returns the paths of fields that the object's kind does not have.
///
/// # Errors
/// The kind is not in the table, or a value has another type.
pub fn unknown_fields(object: &Value) -> Result<Vec<String>, String> {
    let api = object["apiVersion"].as_str().unwrap_or_default();
    let kind = object["kind"].as_str().unwrap_or_default();
    match (api, kind) {
        ("apps/v1", "Deployment") => unknown_fields_of::<Deployment>(object),
        ("apps/v1", "StatefulSet") => unknown_fields_of::<StatefulSet>(object),
        ("v1", "ConfigMap") => unknown_fields_of::<ConfigMap>(object),
        ("v1", "Namespace") => unknown_fields_of::<Namespace>(object),
        ("v1", "Secret") => unknown_fields_of::<Secret>(object),
        ("v1", "Service") => unknown_fields_of::<Service>(object),
        ("v1", "ServiceAccount") => unknown_fields_of::<ServiceAccount>(object),
        ("networking.k8s.io/v1", "NetworkPolicy") => unknown_fields_of::<NetworkPolicy>(object),
        ("policy/v1", "PodDisruptionBudget") => unknown_fields_of::<PodDisruptionBudget>(object),
        _ => Err(format!("unknown kind {api} {kind}")),
    }
}

fn unknown_fields_of<T: DeserializeOwned>(object: &Value) -> Result<Vec<String>, String> {
    let mut unknown = Vec::new();
    let parsed: Result<T, _> = serde_ignored::deserialize(object, |path| {
        // serde_ignored writes a question mark for an optional field.
        unknown.push(path.to_string().replace(".?", ""));
    });
    parsed.map(|_| unknown).map_err(|error| error.to_string())
}
