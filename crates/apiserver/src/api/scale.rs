//! The subresource `scale`: the replica count as an `autoscaling/v1` `Scale`.

use std::sync::Arc;

use axum::response::Response;
use http::{Method, StatusCode};
use probe::spec::field::validate_not_negative;
use serde_json::{Value, json};

use super::body::Body;
use super::patch::Patch;
use super::query::Query;
use super::request_info::RequestInfo;
use super::update::{self, OnConflict};
use super::{Api, StatusError, read};
use crate::kinds::{Kind, selected};

pub(super) fn respond(
    api: &Api,
    info: &RequestInfo,
    method: &Method,
    query: &Query,
    body: &Body,
) -> Result<Response, StatusError> {
    let name = info.name.as_deref().unwrap_or_default();
    let requested = |old: &Value| -> Result<Value, StatusError> {
        match *method {
            Method::PUT => body.object(),
            _ => Patch::parse(body)?.apply(info.kind, &scale_of(old)),
        }
    };
    let has_resource_version = match *method {
        Method::GET => {
            let scale = scale_of(&*read::object(api, info, name)?);
            return Ok(super::json(StatusCode::OK, &scale));
        }
        Method::PUT => body.object()?["metadata"]["resourceVersion"]
            .as_str()
            .is_some_and(|version| !version.is_empty()),
        Method::PATCH => Patch::parse(body)?.has_resource_version(),
        _ => return Err(StatusError::method_not_allowed()),
    };
    let on_conflict = OnConflict::for_write(has_resource_version);
    let updated = update::retry_on_conflict(info, on_conflict, || {
        let old = read::object(api, info, name)?;
        set_replicas(api, info, query, &old, &requested(&old)?)
    })?;
    Ok(super::json(StatusCode::OK, &scale_of(&updated)))
}

/// Writes the replica count of a scale to its object.
fn set_replicas(
    api: &Api,
    info: &RequestInfo,
    query: &Query,
    old: &Arc<Value>,
    scale: &Value,
) -> Result<Arc<Value>, StatusError> {
    let name = info.name.as_deref().unwrap_or_default();
    let replicas = requested_replicas(info, name, scale)?;
    let version = scale["metadata"]["resourceVersion"]
        .as_str()
        .unwrap_or_default();
    let mut object = (**old).clone();
    object["spec"]["replicas"] = replicas;
    if !version.is_empty() {
        object["metadata"]["resourceVersion"] = json!(version);
    }
    let object_info = RequestInfo {
        subresource: None,
        ..info.clone()
    };
    update::replace(api, &object_info, query, old, object)
}

/// Returns the requested count, which defaults to 0 (`omitempty`). Fails unless it is a non-negative integer.
fn requested_replicas(info: &RequestInfo, name: &str, scale: &Value) -> Result<Value, StatusError> {
    let replicas = scale["spec"].get("replicas").cloned().unwrap_or(json!(0));
    let count = replicas.as_i64().ok_or_else(|| {
        StatusError::bad_request(format!(
            "Scale in version \"v1\" cannot be handled as a Scale: spec.replicas: {replicas} is not an integer"
        ))
    })?;
    match validate_not_negative("spec.replicas", Some(count)) {
        None => Ok(replicas),
        Some(error) => {
            let kind = Kind {
                kind: "Scale",
                group: "autoscaling",
                ..info.kind.clone()
            };
            Err(StatusError::invalid(&kind, name, &[error]))
        }
    }
}

/// Builds the `Scale` of an object.
fn scale_of(object: &Value) -> Value {
    let metadata = &object["metadata"];
    json!({
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {
            "name": metadata["name"], "namespace": metadata["namespace"], "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"], "creationTimestamp": metadata["creationTimestamp"],
        },
        "spec": {"replicas": object["spec"].get("replicas").cloned().unwrap_or(json!(1))},
        "status": {
            "replicas": object["status"].get("replicas").cloned().unwrap_or(json!(0)),
            "selector": selector_text(selected(object)),
        },
    })
}

/// Formats labels as a label selector.
fn selector_text(labels: &Value) -> String {
    let pairs = labels.as_object().into_iter().flatten();
    let pairs: Vec<String> = pairs
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    pairs.join(",")
}
