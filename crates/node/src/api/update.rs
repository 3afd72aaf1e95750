//! Changing objects: in place, or by a patch that is applied to what is there.

use std::sync::Arc;

use axum::response::Response;
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};

use super::body::Body;
use super::path::Path;
use super::query::Query;
use super::{Api, Failure, meta, read};
use crate::kinds::{FieldError, Kind, Subresource};
use crate::store::WriteError;

mod patch;

pub(super) use patch::Patch;

/// How often a patch is tried again on an object that others write too.
const ATTEMPTS: usize = 16;

pub(super) fn put(api: &Api, path: &Path, query: &Query, body: &Body) -> Result<Response, Failure> {
    let mut object = body.object()?;
    let mut warnings = check_type(&path.kind, &mut object, query)?;
    let name = path.name.as_deref().unwrap_or_default();
    let old = read::object(api, path, name)?;
    let changed = replace(api, path, query, &old, object)?;
    warnings.extend(self::warnings(&path.kind, &changed));
    Ok(answer(StatusCode::OK, &changed, &warnings))
}

pub(super) fn patch(
    api: &Api,
    path: &Path,
    query: &Query,
    body: &Body,
) -> Result<Response, Failure> {
    let name = path.name.as_deref().unwrap_or_default();
    let patch = Patch::read(body)?;
    for _ in 0..ATTEMPTS {
        let old = read::object(api, path, name)?;
        let mut object = patch.apply(&path.kind, &old)?;
        let mut warnings = check_type(&path.kind, &mut object, query)?;
        warnings.extend(self::warnings(&path.kind, &object));
        match replace(api, path, query, &old, object) {
            // Somebody else wrote between; a patch that names a version means that one and no other.
            Err(failure) if failure.is_conflict() && !patch.names_version() => {}
            changed => return Ok(answer(StatusCode::OK, &*changed?, &warnings)),
        }
    }
    Err(Failure::conflict(
        &path.kind,
        name,
        "it changes faster than the patch can be applied",
    ))
}

/// Puts `object` in the place of `old`, keeping what this path cannot change.
pub(super) fn replace(
    api: &Api,
    path: &Path,
    query: &Query,
    old: &Arc<Value>,
    mut object: Value,
) -> Result<Arc<Value>, Failure> {
    let kind = path.kind.0;
    let name = path.name.as_deref().unwrap_or_default();
    check_identity(kind, name, old, &object)?;
    if path.subresource == Some(Subresource::Status) {
        let status = object["status"].take();
        object = (**old).clone();
        object["status"] = status;
    } else if kind.serves(Subresource::Status) {
        object["status"] = old["status"].clone();
    }
    (kind.default)(&mut object);
    meta::stamp_changed(kind, &mut object, old);
    if object == **old {
        return Ok(old.clone());
    }
    check(kind, name, &object, Some(old))?;
    if query.dry_run() {
        return Ok(Arc::new(object));
    }
    write(api, path, old, object)
}

/// Stores a changed object, or removes it if the change took the last thing that held it.
pub(super) fn write(
    api: &Api,
    path: &Path,
    old: &Value,
    object: Value,
) -> Result<Arc<Value>, Failure> {
    let name = path.name.as_deref().unwrap_or_default();
    let key = path.key(name);
    let written = api
        .store
        .replace(&key, old, object)
        .map_err(|error| Failure::write(error, &path.kind, name))?;
    if super::delete::nothing_holds(&path.kind, &written) {
        return api
            .store
            .remove(&key, &written)
            .map_err(|error| Failure::write(error, &path.kind, name));
    }
    Ok(written)
}

fn check_identity(kind: &Kind, name: &str, old: &Value, object: &Value) -> Result<(), Failure> {
    if meta::text(object, "name").is_some_and(|own| own != name) {
        return Err(Failure::bad_request(format!(
            "the name of the object ({}) does not match the name on the URL ({name})",
            meta::text(object, "name").unwrap_or_default()
        )));
    }
    let differs = |field| {
        meta::text(object, field).is_some_and(|given| Some(given) != meta::text(old, field))
    };
    if differs("uid") {
        let (given, found) = (meta::text(object, "uid"), meta::text(old, "uid"));
        let why = format!(
            "Precondition failed: UID in precondition: {}, UID in object meta: {}",
            given.unwrap_or_default(),
            found.unwrap_or_default()
        );
        return Err(Failure::precondition(kind, name, &why));
    }
    if differs("resourceVersion") {
        return Err(Failure::write(WriteError::Conflict, kind, name));
    }
    Ok(())
}

/// Whether an object is of the kind that its path says; its unknown fields are refused or become warnings.
pub(super) fn check_type(
    kind: &Kind,
    object: &mut Value,
    query: &Query,
) -> Result<Vec<String>, Failure> {
    for (field, expected) in [
        ("apiVersion", kind.api_version()),
        ("kind", kind.kind.to_owned()),
    ] {
        match object[field].as_str() {
            Some(given) if given != expected => {
                return Err(Failure::bad_request(format!(
                    "the {field} in the data ({given}) does not match the expected {field} ({expected})"
                )));
            }
            _ => object[field] = json!(expected),
        }
    }
    let cannot = |why: &str| {
        let (name, version) = (kind.kind, kind.version);
        Failure::bad_request(format!(
            "{name} in version {version:?} cannot be handled as a {name}: {why}"
        ))
    };
    crate::kinds::quantities(object);
    let unknown = (kind.unknown_fields)(object).map_err(|why| cannot(&why))?;
    let texts: Vec<_> = unknown
        .iter()
        .map(|field| format!("unknown field {field:?}"))
        .collect();
    match query.get("fieldValidation") {
        Some("Strict") if !texts.is_empty() => Err(cannot(&format!(
            "strict decoding error: {}",
            texts.join(", ")
        ))),
        Some("Ignore") => Ok(Vec::new()),
        _ => Ok(texts),
    }
}

/// Whether the kind's rules, and this node's limits, let an object be.
pub(super) fn check(
    kind: &Kind,
    name: &str,
    object: &Value,
    old: Option<&Value>,
) -> Result<(), Failure> {
    let mut errors = (kind.validate)(object, old);
    let refused = (kind.unsupported)(object)
        .into_iter()
        .filter(|field| field.refused);
    errors.extend(refused.map(|field| FieldError::forbidden(field.field, field.message)));
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Failure::invalid(kind, name, &errors))
    }
}

/// What this node does not honour of an object that it takes.
pub(super) fn warnings(kind: &Kind, object: &Value) -> Vec<String> {
    let found = (kind.unsupported)(object).into_iter();
    found
        .filter(|field| !field.refused)
        .map(|field| format!("{}: {}", field.field, field.message))
        .collect()
}

/// An object as the answer to a write, with what its writer should be told.
pub(super) fn answer(status: StatusCode, object: &Value, warnings: &[String]) -> Response {
    let mut response = super::json(status, object);
    for warning in warnings {
        let text = format!("299 - {warning:?}");
        if let Ok(value) = HeaderValue::from_str(&text) {
            response.headers_mut().append("warning", value);
        }
    }
    response
}
