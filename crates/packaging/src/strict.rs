//! Whether Kubernetes knows what is in an object: every field, with a value of its type.

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The fields of an object that its kind does not have; an error where a value has another type.
///
/// # Errors
/// When the kind is not known here, or a value does not fit.
pub fn unknown_fields(object: &Value) -> Result<Vec<String>, String> {
    let api = object["apiVersion"].as_str().unwrap_or_default();
    let kind = object["kind"].as_str().unwrap_or_default();
    match (api, kind) {
        ("apps/v1", "Deployment") => of::<Deployment>(object),
        ("apps/v1", "StatefulSet") => of::<StatefulSet>(object),
        ("v1", "ConfigMap") => of::<ConfigMap>(object),
        ("v1", "Namespace") => of::<Namespace>(object),
        ("v1", "Secret") => of::<Secret>(object),
        ("v1", "Service") => of::<Service>(object),
        ("v1", "ServiceAccount") => of::<ServiceAccount>(object),
        ("networking.k8s.io/v1", "NetworkPolicy") => of::<NetworkPolicy>(object),
        ("policy/v1", "PodDisruptionBudget") => of::<PodDisruptionBudget>(object),
        _ => Err(format!("no kind {api} {kind} is known here")),
    }
}

fn of<T: DeserializeOwned>(object: &Value) -> Result<Vec<String>, String> {
    let mut unknown = Vec::new();
    let parsed: Result<T, _> = serde_ignored::deserialize(object, |path| {
        // A question mark stands for an optional field, which is no part of its name.
        unknown.push(path.to_string().replace(".?", ""));
    });
    parsed.map(|_| unknown).map_err(|error| error.to_string())
}
