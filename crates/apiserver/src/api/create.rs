//! Making objects.

use std::sync::Arc;

use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};

use super::body::Body;
use super::path::Path;
use super::query::Query;
use super::{Api, Failure, allocate, meta, update};
use crate::kinds::{Kind, Subresource};
use crate::store::{Key, WriteError};

/// How often a generated name may be taken before the caller is told.
const ATTEMPTS: usize = 8;

pub(super) fn respond(
    api: &Api,
    path: &Path,
    query: &Query,
    body: &Body,
) -> Result<Response, Failure> {
    let mut object = body.object()?;
    let mut warnings = update::check_type(&path.kind, &mut object, query)?;
    warnings.extend(update::warnings(&path.kind, &object));
    let namespace = namespace(path, &object)?;
    let generated = meta::text(&object, "name").is_none();
    for _ in 0..ATTEMPTS {
        match create(api, path, &namespace, query, object.clone(), false) {
            Err(failure) if generated && failure.is_taken() => {}
            made => return Ok(update::answer(StatusCode::CREATED, &*made?, &warnings)),
        }
    }
    Err(Failure::exists(
        &path.kind,
        meta::text(&object, "generateName").unwrap_or_default(),
    ))
}

/// Makes an object; what has been applied has its managed fields already.
pub(super) fn create(
    api: &Api,
    path: &Path,
    namespace: &str,
    query: &Query,
    mut object: Value,
    applied: bool,
) -> Result<Arc<Value>, Failure> {
    let kind = path.kind.0;
    let managed = object["metadata"]["managedFields"].take();
    let name = name(api, &object);
    let metadata = meta::metadata(&mut object);
    if metadata
        .get("resourceVersion")
        .and_then(Value::as_str)
        .is_some_and(|version| !version.is_empty())
    {
        return Err(Failure::bad_request(
            "resourceVersion should not be set on objects to be created",
        ));
    }
    metadata.insert("name".to_owned(), json!(name));
    if kind.namespaced {
        metadata.insert("namespace".to_owned(), json!(namespace));
        check_namespace(api, kind, namespace, &name)?;
    }
    meta::stamp_new(kind, &mut object, api.clock.now());
    (kind.default)(&mut object);
    initial_status(kind, &mut object);
    // Until the object is stored, so that nobody else is given the same.
    let _allocating = api.allocating();
    allocate::addresses(&api.store, kind, &mut object, None)?;
    update::check(kind, &name, &object, None)?;
    if applied {
        object["metadata"]["managedFields"] = managed;
    } else {
        update::writer(api, path, query).note_update(&mut object, &Value::Null);
    }
    if query.dry_run() {
        return Ok(Arc::new(object));
    }
    let key = Key {
        resource: path.resource(),
        namespace: namespace.to_owned(),
        name: name.clone(),
    };
    api.store
        .create(key, object)
        .map_err(|error: WriteError| Failure::write(error, kind, &name))
}

fn name(api: &Api, object: &Value) -> String {
    match (
        meta::text(object, "name"),
        meta::text(object, "generateName"),
    ) {
        (Some(name), _) => name.to_owned(),
        (None, Some(base)) => api.names.generate(base),
        // Validation says that it is required.
        (None, None) => String::new(),
    }
}

/// The namespace of the path, which the object may repeat and not contradict.
pub(super) fn namespace(path: &Path, object: &Value) -> Result<String, Failure> {
    if !path.kind.namespaced {
        return Ok(String::new());
    }
    match (&path.namespace, meta::text(object, "namespace")) {
        (Some(path), Some(own)) if path != own => Err(Failure::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        )),
        (Some(path), _) => Ok(path.clone()),
        (None, _) => Err(Failure::method_not_allowed()),
    }
}

fn check_namespace(api: &Api, kind: &Kind, namespace: &str, name: &str) -> Result<(), Failure> {
    let key = Key {
        resource: "/namespaces".to_owned(),
        namespace: String::new(),
        name: namespace.to_owned(),
    };
    let Some(found) = api.store.get(&key) else {
        let namespaces = crate::kinds::find("", "v1", "namespaces").expect("namespaces are served");
        return Err(Failure::not_found(namespaces, namespace));
    };
    if meta::is_being_deleted(&found) {
        Err(Failure::terminating(kind, name, namespace))
    } else {
        Ok(())
    }
}

/// A new object has no past: its status is what its kind begins with.
fn initial_status(kind: &Kind, object: &mut Value) {
    match kind.kind {
        "Namespace" => {
            object["spec"] = json!({"finalizers": ["kubernetes"]});
            object["status"] = json!({"phase": "Active"});
        }
        "Pod" => {
            let class = crate::kinds::qos_class(&object["spec"]);
            object["status"] = json!({"phase": "Pending", "qosClass": class});
        }
        "Service" => object["status"] = json!({"loadBalancer": {}}),
        // A node comes with what it knows of itself.
        "Node" => {}
        _ if kind.serves(Subresource::Status) => object["status"] = json!({}),
        _ => {}
    }
}
