//! Deleting objects: at once, or once nothing holds them any more.
//!
//! A pod is held by its grace period until the kubelet deletes it with none; a namespace by its `spec.finalizers`;
//! anything by `metadata.finalizers`.

use std::sync::Arc;

use axum::response::Response;
use http::StatusCode;
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::body::Body;
use super::path::Path;
use super::query::Query;
use super::selector::Selector;
use super::{Api, Failure, meta, read};
use crate::kinds::Kind;

/// Namespaces that cannot be deleted: upstream's admission plugin `NamespaceLifecycle`.
const IMMORTAL_NAMESPACES: [&str; 3] = ["default", "kube-system", "kube-public"];

/// How often a deletion is tried again on an object that others write too.
const ATTEMPTS: usize = 16;

/// What a caller wants of a deletion.
struct Options {
    grace: Option<i64>,
    propagation: Option<String>,
    uid: Option<String>,
    version: Option<String>,
    dry_run: bool,
}

pub(super) fn respond(
    api: &Api,
    path: &Path,
    query: &Query,
    body: &Body,
) -> Result<Response, Failure> {
    let options = Options::of(query, body)?;
    match &path.name {
        Some(name) => {
            let old = read::object(api, path, name)?;
            if path.kind.kind == "Namespace" && IMMORTAL_NAMESPACES.contains(&name.as_str()) {
                let why = "this namespace may not be deleted";
                return Err(Failure::forbidden(&path.kind, name, why));
            }
            let last = delete(api, path, name, &options)?;
            Ok(super::json(
                StatusCode::OK,
                &answer(&path.kind, name, &old, &last),
            ))
        }
        None if path.kind.has_delete_collection() => delete_all(api, path, query, &options),
        None => Err(Failure::method_not_allowed()),
    }
}

fn delete_all(
    api: &Api,
    path: &Path,
    query: &Query,
    options: &Options,
) -> Result<Response, Failure> {
    let selector = Selector::of(query)?;
    selector.check(&path.kind)?;
    let (objects, version) = api.store.list(&path.resource(), path.namespace.as_deref());
    let mut items = Vec::new();
    for object in objects
        .iter()
        .filter(|object| selector.matches(&path.kind, object))
    {
        let one = Path {
            namespace: meta::text(object, "namespace").map(str::to_owned),
            ..path.clone()
        };
        items.push(delete(
            api,
            &one,
            meta::text(object, "name").unwrap_or_default(),
            options,
        )?);
    }
    let list = json!({
        "kind": format!("{}List", path.kind.kind),
        "apiVersion": path.kind.api_version(),
        "metadata": {"resourceVersion": version.to_string()},
        "items": items.iter().map(|item| &**item).collect::<Vec<_>>(),
    });
    Ok(super::json(StatusCode::OK, &list))
}

fn delete(api: &Api, path: &Path, name: &str, options: &Options) -> Result<Arc<Value>, Failure> {
    for _ in 0..ATTEMPTS {
        let old = read::object(api, path, name)?;
        options.check(&path.kind, name, &old)?;
        if options.dry_run {
            return Ok(old);
        }
        match try_delete(api, path, name, options, &old) {
            Err(failure) if failure.is_conflict() => {}
            done => return done,
        }
    }
    Err(Failure::conflict(
        &path.kind,
        name,
        "it changes faster than it can be deleted",
    ))
}

fn try_delete(
    api: &Api,
    path: &Path,
    name: &str,
    options: &Options,
    old: &Arc<Value>,
) -> Result<Arc<Value>, Failure> {
    let grace = grace(&path.kind, old, options.grace);
    let mut marked = (**old).clone();
    add_finalizer(&path.kind, &mut marked, options.propagation.as_deref());
    mark(api, &mut marked, old, grace);
    if path.kind.kind == "Namespace" {
        marked["status"]["phase"] = json!("Terminating");
    }
    let key = path.key(name);
    let write = |error| Failure::write(error, &path.kind, name);
    if nothing_holds(&path.kind, &marked) {
        return api.store.remove(&key, old).map_err(write);
    }
    if marked == **old {
        return Ok(old.clone());
    }
    api.store.replace(&key, old, marked).map_err(write)
}

/// Sets the time of the end; one that is set already only comes nearer.
fn mark(api: &Api, object: &mut Value, old: &Value, grace: i64) {
    let before = old["metadata"]["deletionGracePeriodSeconds"].as_i64();
    if meta::is_being_deleted(old) && before.is_some_and(|before| before <= grace) {
        return;
    }
    let ends = api
        .clock
        .now()
        .saturating_add(SignedDuration::from_secs(grace));
    let metadata = meta::metadata(object);
    if let Ok(ends) = ends {
        metadata.insert("deletionTimestamp".to_owned(), meta::time(ends));
    }
    metadata.insert("deletionGracePeriodSeconds".to_owned(), json!(grace));
    if let Some(generation) = metadata.get("generation").and_then(Value::as_i64) {
        metadata.insert("generation".to_owned(), json!(generation + 1));
    }
}

/// The seconds that an object has to end: only pods take time, and only those that may be running.
fn grace(kind: &Kind, object: &Value, asked: Option<i64>) -> i64 {
    let unscheduled = object["spec"]["nodeName"]
        .as_str()
        .unwrap_or_default()
        .is_empty();
    let ended = matches!(
        object["status"]["phase"].as_str(),
        Some("Succeeded" | "Failed")
    );
    if kind.kind != "Pod" || unscheduled || ended {
        return 0;
    }
    let grace = asked
        .or_else(|| object["spec"]["terminationGracePeriodSeconds"].as_i64())
        .unwrap_or(30);
    if grace < 0 { 1 } else { grace }
}

/// Foreground and orphaning deletions are held until the garbage collector has seen to the dependents.
fn add_finalizer(kind: &Kind, object: &mut Value, propagation: Option<&str>) {
    let finalizer = match propagation {
        Some("Foreground") => "foregroundDeletion",
        Some("Orphan") => "orphan",
        _ => return,
    };
    if kind.kind == "Pod" || meta::is_being_deleted(object) {
        return;
    }
    let finalizers = meta::metadata(object)
        .entry("finalizers")
        .or_insert_with(|| json!([]));
    if let Value::Array(list) = finalizers
        && !list.iter().any(|held| held == finalizer)
    {
        list.push(json!(finalizer));
    }
}

/// Whether an object that is being deleted can go.
pub(super) fn nothing_holds(kind: &Kind, object: &Value) -> bool {
    let own = kind.kind == "Namespace"
        && object["spec"]["finalizers"]
            .as_array()
            .is_some_and(|list| !list.is_empty());
    meta::is_being_deleted(object)
        && meta::finalizers(object).is_empty()
        && !own
        && object["metadata"]["deletionGracePeriodSeconds"]
            .as_i64()
            .unwrap_or(0)
            == 0
}

/// Pods, and objects that are still there, are shown; of others their end is reported.
fn answer(kind: &Kind, name: &str, old: &Value, last: &Value) -> Value {
    if kind.kind == "Pod" || meta::is_being_deleted(last) {
        return last.clone();
    }
    let mut details = json!({"name": name, "kind": kind.plural, "uid": old["metadata"]["uid"]});
    if !kind.group.is_empty() {
        details["group"] = json!(kind.group);
    }
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
}

impl Options {
    fn of(query: &Query, body: &Body) -> Result<Self, Failure> {
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
        let grace = match (
            body["gracePeriodSeconds"].as_i64(),
            query.get("gracePeriodSeconds"),
        ) {
            (Some(seconds), _) => Some(seconds),
            (None, Some(text)) => Some(text.parse().map_err(|_| {
                Failure::bad_request(format!(
                    "invalid gracePeriodSeconds {text:?}: it is a number of seconds"
                ))
            })?),
            (None, None) => None,
        };
        let orphan = body["orphanDependents"]
            .as_bool()
            .unwrap_or(false)
            .then(|| "Orphan".to_owned());
        Ok(Self {
            grace,
            propagation: given("propagationPolicy").or(orphan),
            uid: body["preconditions"]["uid"].as_str().map(str::to_owned),
            version: body["preconditions"]["resourceVersion"]
                .as_str()
                .map(str::to_owned),
            dry_run: query.dry_run() || body["dryRun"] == json!(["All"]),
        })
    }

    fn check(&self, kind: &Kind, name: &str, object: &Value) -> Result<(), Failure> {
        for (what, field, wanted) in [
            ("UID", "uid", &self.uid),
            ("ResourceVersion", "resourceVersion", &self.version),
        ] {
            let found = meta::text(object, field).unwrap_or_default();
            if let Some(wanted) = wanted.as_deref().filter(|wanted| *wanted != found) {
                let why = format!(
                    "Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {found}"
                );
                return Err(Failure::precondition(kind, name, &why));
            }
        }
        Ok(())
    }
}
