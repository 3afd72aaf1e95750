//! DELETE: removes an object immediately, or marks it for deletion until nothing prevents its removal.
//!
//! Three things prevent it: a grace period, which the kubelet ends by deleting the pod with grace period 0;
//! `spec.finalizers` of a namespace; and `metadata.finalizers` of any object.

use std::sync::Arc;

use axum::response::Response;
use http::StatusCode;
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::body::Body;
use super::query::Query;
use super::request_info::RequestInfo;
use super::selector::Selector;
use super::update::MAX_ATTEMPTS;
use super::{Api, StatusError, meta, read, status};
use crate::kinds::Kind;

/// `DeleteOptions` of the body and the query.
struct DeleteOptions {
    grace_period_seconds: Option<i64>,
    propagation_policy: Option<String>,
    /// Precondition.
    uid: Option<String>,
    /// Precondition.
    resource_version: Option<String>,
    dry_run: bool,
}

pub(super) fn respond(
    api: &Api,
    info: &RequestInfo,
    query: &Query,
    body: &Body,
) -> Result<Response, StatusError> {
    let options = DeleteOptions::parse(query, body)?;
    match &info.name {
        Some(name) => {
            let old = read::object(api, info, name)?;
            if info.kind.protected_names.contains(&name.as_str()) {
                let reason = format!("this {} may not be deleted", info.kind.singular);
                return Err(StatusError::forbidden(info.kind, name, &reason));
            }
            let last = delete(api, info, name, &options)?;
            let body = response_body(info.kind, name, &old, &last);
            Ok(super::json(StatusCode::OK, &body))
        }
        None if info.kind.has_delete_collection => delete_collection(api, info, query, &options),
        None => Err(StatusError::method_not_allowed()),
    }
}

fn delete_collection(
    api: &Api,
    info: &RequestInfo,
    query: &Query,
    options: &DeleteOptions,
) -> Result<Response, StatusError> {
    let selector = Selector::from_query(query)?;
    selector.check_fields(info.kind)?;
    let (objects, version) = api.store.list(&info.resource(), info.namespace.as_deref());
    let mut items = Vec::new();
    for object in objects
        .iter()
        .filter(|object| selector.matches(info.kind, object))
    {
        let object_info = RequestInfo {
            namespace: meta::text(object, "namespace").map(str::to_owned),
            ..info.clone()
        };
        items.push(delete(
            api,
            &object_info,
            meta::text(object, "name").unwrap_or_default(),
            options,
        )?);
    }
    let list = json!({
        "kind": format!("{}List", info.kind.kind),
        "apiVersion": info.kind.api_version(),
        "metadata": {"resourceVersion": version.to_string()},
        "items": items.iter().map(|item| &**item).collect::<Vec<_>>(),
    });
    Ok(super::json(StatusCode::OK, &list))
}

fn delete(
    api: &Api,
    info: &RequestInfo,
    name: &str,
    options: &DeleteOptions,
) -> Result<Arc<Value>, StatusError> {
    for _ in 0..MAX_ATTEMPTS {
        let old = read::object(api, info, name)?;
        options.check_preconditions(info.kind, name, &old)?;
        if options.dry_run {
            return Ok(old);
        }
        match delete_once(api, info, name, options, &old) {
            Err(error) if error.is_retryable() => {}
            result => return result,
        }
    }
    Err(StatusError::conflict(
        info.kind,
        name,
        "other clients keep changing the object; try again",
    ))
}

/// Removes the object or marks it for deletion. Fails with a conflict if it has changed since `old` was read.
fn delete_once(
    api: &Api,
    info: &RequestInfo,
    name: &str,
    options: &DeleteOptions,
    old: &Arc<Value>,
) -> Result<Arc<Value>, StatusError> {
    let grace_period = info.kind.grace_period_seconds.map_or(0, |grace_period| {
        grace_period(old, options.grace_period_seconds)
    });
    let mut marked = (**old).clone();
    add_finalizer(
        info.kind,
        &mut marked,
        options.propagation_policy.as_deref(),
    );
    set_deletion_timestamp(api, &mut marked, old, grace_period);
    (info.kind.prepare_for_delete)(&mut marked);
    let key = info.key(name);
    let write = |error| StatusError::from_write_error(error, info.kind, name);
    if can_remove(info.kind, &marked) {
        return api.store.remove(&key, old).map_err(write);
    }
    if marked == **old {
        return Ok(old.clone());
    }
    api.store.replace(&key, old, marked).map_err(write)
}

/// Sets `deletionTimestamp` and the grace period. A later deletion can only shorten the grace period.
fn set_deletion_timestamp(api: &Api, object: &mut Value, old: &Value, grace_period: i64) {
    let earlier = old["metadata"]["deletionGracePeriodSeconds"].as_i64();
    if meta::is_being_deleted(old) && earlier.is_some_and(|earlier| earlier <= grace_period) {
        return;
    }
    let deadline = api
        .clock
        .now()
        .saturating_add(SignedDuration::from_secs(grace_period));
    let metadata = meta::metadata(object);
    if let Ok(deadline) = deadline {
        metadata.insert(
            "deletionTimestamp".to_owned(),
            meta::rfc3339_seconds(deadline),
        );
    }
    metadata.insert("deletionGracePeriodSeconds".to_owned(), json!(grace_period));
    if let Some(generation) = metadata.get("generation").and_then(Value::as_i64) {
        metadata.insert("generation".to_owned(), json!(generation + 1));
    }
}

/// Adds the finalizer of a foreground or orphaning deletion, which the garbage collector removes after it has handled the
/// dependents. Kinds with a grace period have no dependents.
fn add_finalizer(kind: &Kind, object: &mut Value, propagation: Option<&str>) {
    let finalizer = match propagation {
        Some("Foreground") => "foregroundDeletion",
        Some("Orphan") => "orphan",
        _ => return,
    };
    if kind.grace_period_seconds.is_some() || meta::is_being_deleted(object) {
        return;
    }
    let finalizers = meta::metadata(object)
        .entry("finalizers")
        .or_insert_with(|| json!([]));
    if let Value::Array(list) = finalizers
        && !list.iter().any(|present| present == finalizer)
    {
        list.push(json!(finalizer));
    }
}

/// Returns `true` if an object is being deleted and neither a finalizer nor a grace period prevents its removal.
pub(super) fn can_remove(kind: &Kind, object: &Value) -> bool {
    let has_spec_finalizer = kind.has_spec_finalizers
        && object["spec"]["finalizers"]
            .as_array()
            .is_some_and(|list| !list.is_empty());
    meta::is_being_deleted(object)
        && meta::finalizers(object).is_empty()
        && !has_spec_finalizer
        && object["metadata"]["deletionGracePeriodSeconds"]
            .as_i64()
            .unwrap_or(0)
            == 0
}

/// Returns the object if it has a grace period or still exists, else a `Status`, as kube-apiserver does.
fn response_body(kind: &Kind, name: &str, old: &Value, last: &Value) -> Value {
    if kind.grace_period_seconds.is_some() || meta::is_being_deleted(last) {
        return last.clone();
    }
    let mut details = json!({"name": name, "kind": kind.plural, "uid": old["metadata"]["uid"]});
    if !kind.group.is_empty() {
        details["group"] = json!(kind.group);
    }
    status::success(&details)
}

impl DeleteOptions {
    /// Reads the options of the body, then those of the query.
    fn parse(query: &Query, body: &Body) -> Result<Self, StatusError> {
        let body = if body.is_empty() {
            Value::Null
        } else {
            body.json()?
        };
        let given = |name: &str| {
            body[name]
                .as_str()
                .or_else(|| query.get(name))
                .map(str::to_owned)
        };
        let grace_period_seconds = match (
            body["gracePeriodSeconds"].as_i64(),
            query.get("gracePeriodSeconds"),
        ) {
            (Some(seconds), _) => Some(seconds),
            (None, Some(text)) => Some(text.parse().map_err(|_| {
                StatusError::bad_request(format!(
                    "invalid gracePeriodSeconds {text:?}: must be a number of seconds"
                ))
            })?),
            (None, None) => None,
        };
        let orphan = body["orphanDependents"]
            .as_bool()
            .unwrap_or(false)
            .then(|| "Orphan".to_owned());
        Ok(Self {
            grace_period_seconds,
            propagation_policy: given("propagationPolicy").or(orphan),
            uid: body["preconditions"]["uid"].as_str().map(str::to_owned),
            resource_version: body["preconditions"]["resourceVersion"]
                .as_str()
                .map(str::to_owned),
            dry_run: query.is_dry_run() || body["dryRun"] == json!(["All"]),
        })
    }

    fn check_preconditions(
        &self,
        kind: &Kind,
        name: &str,
        object: &Value,
    ) -> Result<(), StatusError> {
        for (label, field, expected) in [
            ("UID", "uid", &self.uid),
            ("ResourceVersion", "resourceVersion", &self.resource_version),
        ] {
            let found = meta::text(object, field).unwrap_or_default();
            if let Some(expected) = expected.as_deref().filter(|expected| *expected != found) {
                let reason = format!(
                    "Precondition failed: {label} in precondition: {expected}, {label} in object meta: {found}"
                );
                return Err(StatusError::failed_precondition(kind, name, &reason));
            }
        }
        Ok(())
    }
}
