//! How many replicas an object asks for, as every scaler sees it.

use axum::response::Response;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::body::Body;
use super::path::Path;
use super::query::Query;
use super::update::{self, Patch};
use super::{Api, Failure, read};

pub(super) fn respond(
    api: &Api,
    path: &Path,
    method: &Method,
    query: &Query,
    body: &Body,
) -> Result<Response, Failure> {
    let name = path.name.as_deref().unwrap_or_default();
    let old = read::object(api, path, name)?;
    let scale = of(&old);
    let wanted = match *method {
        Method::GET => return Ok(super::json(StatusCode::OK, &scale)),
        Method::PUT => body.object()?,
        Method::PATCH => Patch::read(body)?.apply(&path.kind, &scale)?,
        _ => return Err(Failure::method_not_allowed()),
    };
    let replicas = wanted["spec"].get("replicas").cloned().unwrap_or(json!(0));
    if replicas.as_i64().is_none_or(|replicas| replicas < 0) {
        return Err(Failure::bad_request(format!(
            "spec.replicas: Invalid value: {replicas}: must be greater than or equal to 0"
        )));
    }
    let version = wanted["metadata"]["resourceVersion"]
        .as_str()
        .unwrap_or_default();
    let mut object = (*old).clone();
    object["spec"]["replicas"] = replicas;
    if !version.is_empty() {
        object["metadata"]["resourceVersion"] = json!(version);
    }
    let whole = Path {
        subresource: None,
        ..path.clone()
    };
    let changed = update::replace(api, &whole, query, &old, object)?;
    Ok(super::json(StatusCode::OK, &of(&changed)))
}

fn of(object: &Value) -> Value {
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
            "selector": selector(&object["spec"]["selector"]["matchLabels"]),
        },
    })
}

fn selector(labels: &Value) -> String {
    let pairs = labels.as_object().into_iter().flatten();
    let pairs: Vec<String> = pairs
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    pairs.join(",")
}
