//! Subresources that are read and written as JSON objects: status, scale, binding, eviction and finalize.

use axum::response::Response;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::body::Body;
use super::query::Query;
use super::request_info::RequestInfo;
use super::table::ResponseFormat;
use super::{Api, StatusError, eviction, meta, read, scale, status, update};
use crate::kinds::Subresource;

pub(super) fn respond(
    api: &Api,
    info: &RequestInfo,
    subresource: Subresource,
    method: &Method,
    query: &Query,
    body: &Body,
) -> Result<Response, StatusError> {
    match (subresource, method) {
        (Subresource::Status, &Method::GET) => {
            read::respond(api, info, query, ResponseFormat::Objects)
        }
        (Subresource::Status, &Method::PUT) => update::put(api, info, query, body),
        (Subresource::Status, &Method::PATCH) => update::patch(api, info, query, body),
        (Subresource::Scale, method) => scale::respond(api, info, method, query, body),
        (Subresource::Binding, &Method::POST) => bind(api, info, body),
        (Subresource::Eviction, &Method::POST) => eviction::respond(api, info, query, body),
        (Subresource::Finalize, &Method::PUT) => finalize(api, info, body),
        _ => Err(StatusError::method_not_allowed()),
    }
}

/// Assigns a pod to a node.
fn bind(api: &Api, info: &RequestInfo, body: &Body) -> Result<Response, StatusError> {
    let name = info.name.as_deref().unwrap_or_default();
    let binding = body.object()?;
    let Some(node) = binding["target"]["name"].as_str() else {
        return Err(StatusError::bad_request("target.name: Required value"));
    };
    let old = read::object(api, info, name)?;
    if meta::is_being_deleted(&old) {
        return Err(StatusError::conflict(
            info.kind,
            name,
            "pod is being deleted, cannot be assigned to a host",
        ));
    }
    if let Some(assigned) = old["spec"]["nodeName"]
        .as_str()
        .filter(|assigned| !assigned.is_empty())
    {
        let reason = format!("pod {name} is already assigned to node {assigned:?}");
        return Err(StatusError::conflict(info.kind, name, &reason));
    }
    let mut pod = (*old).clone();
    pod["spec"]["nodeName"] = json!(node);
    set_pod_scheduled(&mut pod, &meta::rfc3339_seconds(api.clock.now()));
    update::write(api, info, &old, pod)?;
    Ok(status::created())
}

/// Sets the condition `PodScheduled` to `True`.
fn set_pod_scheduled(pod: &mut Value, now: &Value) {
    let scheduled = json!({"type": "PodScheduled", "status": "True", "lastProbeTime": null, "lastTransitionTime": now});
    let mut conditions = pod["status"]["conditions"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    conditions.retain(|condition| condition["type"] != "PodScheduled");
    conditions.push(scheduled);
    pod["status"]["conditions"] = Value::Array(conditions);
}

/// Replaces `spec.finalizers` of a namespace; without finalizers a terminating namespace is removed.
fn finalize(api: &Api, info: &RequestInfo, body: &Body) -> Result<Response, StatusError> {
    let name = info.name.as_deref().unwrap_or_default();
    let given = body.object()?;
    let old = read::object(api, info, name)?;
    let mut namespace = (*old).clone();
    namespace["spec"]["finalizers"] = given["spec"]["finalizers"].clone();
    let written = update::write(api, info, &old, namespace)?;
    Ok(super::json(StatusCode::OK, &*written))
}
