//! What is served below an object's path.

use axum::response::Response;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::body::Body;
use super::path::Path;
use super::query::Query;
use super::table::Form;
use super::{Api, Failure, evict, meta, read, scale, update};
use crate::kinds::Subresource;

pub(super) fn respond(
    api: &Api,
    path: &Path,
    subresource: Subresource,
    method: &Method,
    query: &Query,
    body: &Body,
) -> Result<Response, Failure> {
    match (subresource, method) {
        (Subresource::Status, &Method::GET) => read::respond(api, path, query, Form::Objects),
        (Subresource::Status, &Method::PUT) => update::put(api, path, query, body),
        (Subresource::Status, &Method::PATCH) => update::patch(api, path, query, body),
        (Subresource::Scale, method) => scale::respond(api, path, method, query, body),
        (Subresource::Binding, &Method::POST) => bind(api, path, body),
        (Subresource::Eviction, &Method::POST) => evict::respond(api, path, query, body),
        (Subresource::Finalize, &Method::PUT) => finalize(api, path, body),
        _ => Err(Failure::method_not_allowed()),
    }
}

/// Gives a pod its node.
fn bind(api: &Api, path: &Path, body: &Body) -> Result<Response, Failure> {
    let name = path.name.as_deref().unwrap_or_default();
    let binding = body.object()?;
    let Some(node) = binding["target"]["name"].as_str() else {
        return Err(Failure::bad_request("target.name: Required value"));
    };
    let old = read::object(api, path, name)?;
    if meta::is_being_deleted(&old) {
        return Err(Failure::conflict(
            &path.kind,
            name,
            "pod is being deleted, cannot be assigned to a host",
        ));
    }
    if let Some(taken) = old["spec"]["nodeName"]
        .as_str()
        .filter(|taken| !taken.is_empty())
    {
        let why = format!("pod {name} is already assigned to node {taken:?}");
        return Err(Failure::conflict(&path.kind, name, &why));
    }
    let mut pod = (*old).clone();
    pod["spec"]["nodeName"] = json!(node);
    schedule(&mut pod, &meta::time(api.clock.now()));
    update::write(api, path, &old, pod)?;
    let done = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
    Ok(super::json(StatusCode::CREATED, &done))
}

fn schedule(pod: &mut Value, now: &Value) {
    let scheduled = json!({"type": "PodScheduled", "status": "True", "lastProbeTime": null, "lastTransitionTime": now});
    let mut conditions = pod["status"]["conditions"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    conditions.retain(|condition| condition["type"] != "PodScheduled");
    conditions.push(scheduled);
    pod["status"]["conditions"] = Value::Array(conditions);
}

/// Takes what holds a namespace off it.
fn finalize(api: &Api, path: &Path, body: &Body) -> Result<Response, Failure> {
    let name = path.name.as_deref().unwrap_or_default();
    let given = body.object()?;
    let old = read::object(api, path, name)?;
    let mut namespace = (*old).clone();
    namespace["spec"]["finalizers"] = given["spec"]["finalizers"].clone();
    let written = update::write(api, path, &old, namespace)?;
    Ok(super::json(StatusCode::OK, &*written))
}
