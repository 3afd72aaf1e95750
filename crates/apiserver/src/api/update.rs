//! PUT and PATCH: replaces objects, or applies a patch to the stored object.

use std::sync::{Arc, MutexGuard};

use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};

use super::body::Body;
use super::managed_fields::{FieldManager, FieldScope};
use super::patch::Patch;
use super::query::Query;
use super::request_info::{self, RequestInfo};
use super::{Api, StatusError, meta, read, warning};
use crate::kinds::{FieldError, Kind, Subresource};
use crate::store::WriteError;

mod apply;
mod retry;

pub(super) use retry::{MAX_ATTEMPTS, OnConflict, retry_on_conflict};

/// Origin of an object that is to be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WriteSource {
    /// A client's object or patch, whose managed fields are still to be recorded.
    Update,
    /// Server-side apply, which has recorded the managed fields.
    Apply,
}

pub(super) fn put(
    api: &Api,
    info: &RequestInfo,
    query: &Query,
    body: &Body,
) -> Result<Response, StatusError> {
    let mut object = body.object()?;
    let mut warnings = check_type(info.kind, &mut object, query)?;
    let name = info.name.as_deref().unwrap_or_default();
    let old = read::object(api, info, name)?;
    let updated = replace(api, info, query, &old, object)?;
    warnings.extend(self::warnings(info.kind, &updated));
    Ok(write_response(StatusCode::OK, &updated, &warnings))
}

pub(super) fn patch(
    api: &Api,
    info: &RequestInfo,
    query: &Query,
    body: &Body,
) -> Result<Response, StatusError> {
    let name = info.name.as_deref().unwrap_or_default();
    if body.media_type == apply::MEDIA_TYPE {
        return apply::respond(api, info, query, body);
    }
    let patch = Patch::parse(body)?;
    let on_conflict = OnConflict::for_write(patch.has_resource_version());
    retry_on_conflict(info, on_conflict, || {
        let old = read::object(api, info, name)?;
        let mut object = patch.apply(info.kind, &old)?;
        let mut warnings = check_type(info.kind, &mut object, query)?;
        warnings.extend(self::warnings(info.kind, &object));
        let updated = replace(api, info, query, &old, object)?;
        Ok(write_response(StatusCode::OK, &updated, &warnings))
    })
}

/// Returns the field manager of this request.
pub(super) fn field_manager<'a>(
    api: &Api,
    info: &RequestInfo,
    query: &'a Query,
) -> FieldManager<'a> {
    FieldManager {
        kind: info.kind,
        name: query.field_manager(),
        scope: if info.subresource == Some(Subresource::Status) {
            FieldScope::Status
        } else {
            FieldScope::ExceptStatus
        },
        now: api.clock.now(),
    }
}

/// Replaces `old` with a client's `object`, except for fields that this endpoint does not write.
pub(super) fn replace(
    api: &Api,
    info: &RequestInfo,
    query: &Query,
    old: &Arc<Value>,
    object: Value,
) -> Result<Arc<Value>, StatusError> {
    update_object(api, info, query, old, object, WriteSource::Update)
}

/// Validates and stores a changed object. An applied object has its managed fields already.
fn update_object(
    api: &Api,
    info: &RequestInfo,
    query: &Query,
    old: &Arc<Value>,
    mut object: Value,
    source: WriteSource,
) -> Result<Arc<Value>, StatusError> {
    let kind = info.kind;
    let name = info.name.as_deref().unwrap_or_default();
    check_identity(kind, name, old, &object)?;
    // A client may replace managedFields explicitly; an absent or empty list keeps the old ones.
    let managed = match object["metadata"]["managedFields"].take() {
        Value::Array(list) if !list.is_empty() => Value::Array(list),
        _ => old["metadata"]["managedFields"].clone(),
    };
    if info.subresource == Some(Subresource::Status) {
        let status = object["status"].take();
        object = (**old).clone();
        object["status"] = status;
    } else if kind.serves(Subresource::Status) {
        object["status"] = old["status"].clone();
    }
    (kind.default)(&mut object);
    let _allocation = allocate(api, kind, &mut object, Some(&**old))?;
    meta::prepare_for_update(kind, &mut object, old);
    let metadata = meta::metadata(&mut object);
    match managed {
        Value::Null => drop(metadata.remove("managedFields")),
        managed => drop(metadata.insert("managedFields".to_owned(), managed)),
    }
    if object == **old {
        return Ok(old.clone());
    }
    if source == WriteSource::Update {
        field_manager(api, info, query).record_update(&mut object, old);
    }
    validate(kind, name, &object, Some(old))?;
    if query.is_dry_run() {
        return Ok(Arc::new(object));
    }
    write(api, info, old, object)
}

/// Allocates what the kind needs, such as a service's cluster IP. The caller holds the returned lock until the object is
/// stored, so that no other request gets the same value.
pub(super) fn allocate<'a>(
    api: &'a Api,
    kind: &Kind,
    object: &mut Value,
    old: Option<&Value>,
) -> Result<Option<MutexGuard<'a, ()>>, StatusError> {
    let Some(allocate) = kind.allocate else {
        return Ok(None);
    };
    let lock = api.lock_allocation();
    let (existing, _) = api.store.list(&request_info::store_resource(kind), None);
    allocate(&existing, object, old).map_err(StatusError::bad_request)?;
    Ok(Some(lock))
}

/// Stores a changed object, or removes it if it is being deleted and the change removed its last finalizer.
pub(super) fn write(
    api: &Api,
    info: &RequestInfo,
    old: &Value,
    object: Value,
) -> Result<Arc<Value>, StatusError> {
    let name = info.name.as_deref().unwrap_or_default();
    let key = info.key(name);
    let written = api
        .store
        .replace(&key, old, object)
        .map_err(|error| StatusError::from_write_error(error, info.kind, name))?;
    if super::delete::can_remove(info.kind, &written) {
        return api
            .store
            .remove(&key, &written)
            .map_err(|error| StatusError::from_write_error(error, info.kind, name));
    }
    Ok(written)
}

fn check_identity(kind: &Kind, name: &str, old: &Value, object: &Value) -> Result<(), StatusError> {
    if meta::text(object, "name").is_some_and(|own| own != name) {
        return Err(StatusError::bad_request(format!(
            "the name of the object ({}) does not match the name on the URL ({name})",
            meta::text(object, "name").unwrap_or_default()
        )));
    }
    let contradicts = |field| {
        meta::text(object, field).is_some_and(|given| Some(given) != meta::text(old, field))
    };
    if contradicts("uid") {
        let (given, found) = (meta::text(object, "uid"), meta::text(old, "uid"));
        let reason = format!(
            "Precondition failed: UID in precondition: {}, UID in object meta: {}",
            given.unwrap_or_default(),
            found.unwrap_or_default()
        );
        return Err(StatusError::failed_precondition(kind, name, &reason));
    }
    if contradicts("resourceVersion") {
        return Err(StatusError::from_write_error(
            WriteError::Conflict,
            kind,
            name,
        ));
    }
    Ok(())
}

/// Fails if an object is not of the request's kind. Unknown fields are an error or are returned as warnings, by
/// `fieldValidation`.
pub(super) fn check_type(
    kind: &Kind,
    object: &mut Value,
    query: &Query,
) -> Result<Vec<String>, StatusError> {
    for (field, expected) in [
        ("apiVersion", kind.api_version()),
        ("kind", kind.kind.to_owned()),
    ] {
        match object[field].as_str() {
            Some(given) if given != expected => {
                return Err(StatusError::bad_request(format!(
                    "the {field} in the data ({given}) does not match the expected {field} ({expected})"
                )));
            }
            _ => object[field] = json!(expected),
        }
    }
    let not_decodable = |reason: &str| {
        let (name, version) = (kind.kind, kind.version);
        StatusError::bad_request(format!(
            "{name} in version {version:?} cannot be handled as a {name}: {reason}"
        ))
    };
    crate::kinds::normalize_quantities(object);
    let unknown = (kind.unknown_fields)(object).map_err(|reason| not_decodable(&reason))?;
    let texts: Vec<_> = unknown
        .iter()
        .map(|field| format!("unknown field {field:?}"))
        .collect();
    match query.get("fieldValidation") {
        Some("Strict") if !texts.is_empty() => Err(not_decodable(&format!(
            "strict decoding error: {}",
            texts.join(", ")
        ))),
        Some("Ignore") => Ok(Vec::new()),
        _ => Ok(texts),
    }
}

/// Fails if an object breaks the kind's rules or needs a field that this node rejects.
pub(super) fn validate(
    kind: &Kind,
    name: &str,
    object: &Value,
    old: Option<&Value>,
) -> Result<(), StatusError> {
    let mut errors = (kind.validate)(object, old);
    let rejected = (kind.unsupported)(object)
        .into_iter()
        .filter(|field| field.is_rejected);
    errors.extend(rejected.map(|field| FieldError::forbidden(field.field, field.message)));
    if errors.is_empty() {
        Ok(())
    } else {
        Err(StatusError::invalid(kind, name, &errors))
    }
}

/// Returns a warning for each field that this node accepts and ignores.
pub(super) fn warnings(kind: &Kind, object: &Value) -> Vec<String> {
    let unsupported = (kind.unsupported)(object).into_iter();
    unsupported
        .filter(|field| !field.is_rejected)
        .map(|field| format!("{}: {}", field.field, field.message))
        .collect()
}

/// Returns the response to a write: the stored object, with a `Warning` header for each warning.
pub(super) fn write_response(status: StatusCode, object: &Value, warnings: &[String]) -> Response {
    let mut response = super::json(status, object);
    for warning in warnings {
        warning::append(response.headers_mut(), warning);
    }
    response
}
