//! POST: creates objects.

use std::sync::Arc;

use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};

use super::body::Body;
use super::query::Query;
use super::request_info::RequestInfo;
use super::update::WriteSource;
use super::{Api, StatusError, meta, update};
use crate::kinds::Kind;
use crate::store::Key;

/// Maximum number of generated names that are tried (`maxNameGenerationCreateAttempts`).
const MAX_NAME_ATTEMPTS: usize = 8;

pub(super) fn respond(
    api: &Api,
    info: &RequestInfo,
    query: &Query,
    body: &Body,
) -> Result<Response, StatusError> {
    let mut object = body.object()?;
    let mut warnings = update::check_type(info.kind, &mut object, query)?;
    warnings.extend(update::warnings(info.kind, &object));
    let namespace = namespace(info, &object)?;
    let is_generated = meta::text(&object, "name").is_none();
    for _ in 0..MAX_NAME_ATTEMPTS {
        let source = WriteSource::Update;
        match create(api, info, &namespace, query, object.clone(), source) {
            Err(error) if is_generated && error.is_already_exists() => {}
            created => {
                return Ok(update::write_response(
                    StatusCode::CREATED,
                    &*created?,
                    &warnings,
                ));
            }
        }
    }
    Err(StatusError::already_exists(
        info.kind,
        meta::text(&object, "generateName").unwrap_or_default(),
    ))
}

/// Validates and stores a new object. An applied object has its managed fields already.
pub(super) fn create(
    api: &Api,
    info: &RequestInfo,
    namespace: &str,
    query: &Query,
    mut object: Value,
    source: WriteSource,
) -> Result<Arc<Value>, StatusError> {
    let kind = info.kind;
    let managed = object["metadata"]["managedFields"].take();
    let name = name(&object);
    let metadata = meta::metadata(&mut object);
    if metadata
        .get("resourceVersion")
        .and_then(Value::as_str)
        .is_some_and(|version| !version.is_empty())
    {
        return Err(StatusError::bad_request(
            "resourceVersion should not be set on objects to be created",
        ));
    }
    metadata.insert("name".to_owned(), json!(name));
    if kind.namespaced {
        metadata.insert("namespace".to_owned(), json!(namespace));
        check_namespace(api, kind, namespace, &name)?;
    }
    meta::prepare_for_create(kind, &mut object, api.clock.now());
    (kind.default)(&mut object);
    (kind.prepare_for_create)(&mut object);
    let _allocation = update::allocate(api, kind, &mut object, None)?;
    update::validate(kind, &name, &object, None)?;
    match source {
        WriteSource::Apply => object["metadata"]["managedFields"] = managed,
        WriteSource::Update => {
            update::field_manager(api, info, query).record_update(&mut object, &Value::Null);
        }
    }
    if query.is_dry_run() {
        return Ok(Arc::new(object));
    }
    let key = Key {
        resource: info.resource(),
        namespace: namespace.to_owned(),
        name: name.clone(),
    };
    api.store
        .create(key, object)
        .map_err(|error| StatusError::from_write_error(error, kind, &name))
}

/// Returns the object's name, or a generated one; empty if it has neither, which validation rejects.
fn name(object: &Value) -> String {
    match (
        meta::text(object, "name"),
        meta::text(object, "generateName"),
    ) {
        (Some(name), _) => name.to_owned(),
        (None, Some(base)) => meta::generate_name(base),
        (None, None) => String::new(),
    }
}

/// Returns the namespace of the request; empty for cluster-scoped kinds. Fails if the object names another one.
pub(super) fn namespace(info: &RequestInfo, object: &Value) -> Result<String, StatusError> {
    if !info.kind.namespaced {
        return Ok(String::new());
    }
    match (&info.namespace, meta::text(object, "namespace")) {
        (Some(requested), Some(own)) if requested != own => Err(StatusError::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        )),
        (Some(requested), _) => Ok(requested.clone()),
        (None, _) => Err(StatusError::method_not_allowed()),
    }
}

/// Fails if the namespace does not exist or is being deleted.
fn check_namespace(api: &Api, kind: &Kind, namespace: &str, name: &str) -> Result<(), StatusError> {
    let key = Key {
        resource: "/namespaces".to_owned(),
        namespace: String::new(),
        name: namespace.to_owned(),
    };
    let Some(found) = api.store.get(&key) else {
        let namespaces = crate::kinds::find("", "v1", "namespaces").expect("namespaces are served");
        return Err(StatusError::not_found(namespaces, namespace));
    };
    if meta::is_being_deleted(&found) {
        Err(StatusError::namespace_terminating(kind, name, namespace))
    } else {
        Ok(())
    }
}
