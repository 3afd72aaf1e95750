//! How many replicas an object asks for, as every scaler sees it.

use std::sync::Arc;

use axum::response::Response;
use http::{Method, StatusCode};
use probe::spec::field::validate_not_negative;
use serde_json::{Value, json};

use super::body::Body;
use super::path::Path;
use super::query::Query;
use super::update::{self, Patch};
use super::{Api, Failure, read};
use crate::kinds::{Kind, selected};

pub(super) fn respond(
    api: &Api,
    path: &Path,
    method: &Method,
    query: &Query,
    body: &Body,
) -> Result<Response, Failure> {
    let name = path.name.as_deref().unwrap_or_default();
    let scale = |old: &Value| -> Result<Value, Failure> {
        match *method {
            Method::PUT => body.object(),
            _ => Patch::read(body)?.apply(&path.kind, &of(old)),
        }
    };
    let names_version = match *method {
        Method::GET => {
            let scale = of(&*read::object(api, path, name)?);
            return Ok(super::json(StatusCode::OK, &scale));
        }
        Method::PUT => body.object()?["metadata"]["resourceVersion"]
            .as_str()
            .is_some_and(|version| !version.is_empty()),
        Method::PATCH => Patch::read(body)?.names_version(),
        _ => return Err(Failure::method_not_allowed()),
    };
    let changed = update::again(path, names_version, || {
        let old = read::object(api, path, name)?;
        change(api, path, query, &old, &scale(&old)?)
    })?;
    Ok(super::json(StatusCode::OK, &of(&changed)))
}

/// Gives the object the size that a scale asks for.
fn change(
    api: &Api,
    path: &Path,
    query: &Query,
    old: &Arc<Value>,
    wanted: &Value,
) -> Result<Arc<Value>, Failure> {
    let name = path.name.as_deref().unwrap_or_default();
    let replicas = wanted_replicas(path, name, wanted)?;
    let version = wanted["metadata"]["resourceVersion"]
        .as_str()
        .unwrap_or_default();
    let mut object = (**old).clone();
    object["spec"]["replicas"] = replicas;
    if !version.is_empty() {
        object["metadata"]["resourceVersion"] = json!(version);
    }
    let whole = Path {
        subresource: None,
        ..path.clone()
    };
    update::replace(api, &whole, query, old, object)
}

/// The count that is asked for, none meaning zero.
fn wanted_replicas(path: &Path, name: &str, wanted: &Value) -> Result<Value, Failure> {
    let replicas = wanted["spec"].get("replicas").cloned().unwrap_or(json!(0));
    let count = replicas.as_i64().ok_or_else(|| {
        Failure::bad_request(format!(
            "Scale in version \"v1\" cannot be handled as a Scale: spec.replicas: {replicas} is no whole number"
        ))
    })?;
    match validate_not_negative("spec.replicas", Some(count)) {
        None => Ok(replicas),
        Some(error) => {
            let kind = Kind {
                kind: "Scale",
                group: "autoscaling",
                ..(*path.kind).clone()
            };
            Err(Failure::invalid(&kind, name, &[error]))
        }
    }
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
            "selector": selector(selected(object)),
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
