//! Changing objects: in place, or by a patch that is applied to what is there.

use std::sync::Arc;

use axum::response::Response;
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};

use super::body::Body;
use super::managed::Writer;
use super::path::Path;
use super::query::Query;
use super::{Api, Failure, allocate, meta, read};
use crate::kinds::{FieldError, Kind, Subresource};
use crate::store::WriteError;

mod apply;
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
    if body.media_type == apply::MEDIA_TYPE {
        return apply::respond(api, path, query, body);
    }
    let patch = Patch::read(body)?;
    again(path, patch.names_version(), || {
        let old = read::object(api, path, name)?;
        let mut object = patch.apply(&path.kind, &old)?;
        let mut warnings = check_type(&path.kind, &mut object, query)?;
        warnings.extend(self::warnings(&path.kind, &object));
        let changed = replace(api, path, query, &old, object)?;
        Ok(answer(StatusCode::OK, &changed, &warnings))
    })
}

/// Reads, changes and writes until nobody else has written between; a change that names a version means that one and
/// no other.
pub(super) fn again<T>(
    path: &Path,
    names_version: bool,
    mut change: impl FnMut() -> Result<T, Failure>,
) -> Result<T, Failure> {
    for _ in 0..ATTEMPTS {
        match change() {
            Err(failure) if failure.is_conflict() && !names_version => {}
            changed => return changed,
        }
    }
    Err(Failure::conflict(
        &path.kind,
        path.name.as_deref().unwrap_or_default(),
        "it changes faster than the change can be made",
    ))
}

/// Who writes by this request.
pub(super) fn writer<'a>(api: &Api, path: &Path, query: &'a Query) -> Writer<'a> {
    Writer {
        kind: path.kind.0,
        manager: query.manager(),
        status: path.subresource == Some(Subresource::Status),
        now: api.clock.now(),
    }
}

/// Puts `object` in the place of `old`, keeping what this path cannot change.
pub(super) fn replace(
    api: &Api,
    path: &Path,
    query: &Query,
    old: &Arc<Value>,
    object: Value,
) -> Result<Arc<Value>, Failure> {
    put_in_place(api, path, query, old, object, false)
}

/// The same; what has been applied has its managed fields already.
fn put_in_place(
    api: &Api,
    path: &Path,
    query: &Query,
    old: &Arc<Value>,
    mut object: Value,
    applied: bool,
) -> Result<Arc<Value>, Failure> {
    let kind = path.kind.0;
    let name = path.name.as_deref().unwrap_or_default();
    check_identity(kind, name, old, &object)?;
    // Some clients mend them; one that says nothing of them means no change.
    let managed = match object["metadata"]["managedFields"].take() {
        Value::Array(list) if !list.is_empty() => Value::Array(list),
        _ => old["metadata"]["managedFields"].clone(),
    };
    if path.subresource == Some(Subresource::Status) {
        let status = object["status"].take();
        object = (**old).clone();
        object["status"] = status;
    } else if kind.serves(Subresource::Status) {
        object["status"] = old["status"].clone();
    }
    (kind.default)(&mut object);
    // As for a new one.
    let _allocating = (kind.kind == "Service").then(|| api.allocating());
    allocate::addresses(&api.store, kind, &mut object, Some(&**old))?;
    meta::stamp_changed(kind, &mut object, old);
    let metadata = meta::metadata(&mut object);
    match managed {
        Value::Null => drop(metadata.remove("managedFields")),
        managed => drop(metadata.insert("managedFields".to_owned(), managed)),
    }
    if object == **old {
        return Ok(old.clone());
    }
    if !applied {
        writer(api, path, query).note_update(&mut object, old);
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
    crate::kinds::normalize_quantities(object);
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
        .filter(|field| field.is_rejected);
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
        .filter(|field| !field.is_rejected)
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

#[cfg(test)]
mod tests {
    use super::{ATTEMPTS, Failure, Path, again};

    /// How often a change is tried that meets so many others' writes, and whether it succeeds.
    fn tried(others: usize, names_version: bool) -> (usize, bool) {
        let path = Path::parse("/apis/apps/v1/namespaces/default/deployments/x/scale").unwrap();
        let mut tries = 0;
        let made = again(&path, names_version, || {
            tries += 1;
            if tries > others {
                return Ok(());
            }
            Err(Failure::conflict(&path.kind, "x", "another wrote"))
        });
        (tries, made.is_ok())
    }

    #[test]
    fn a_change_that_names_no_version_is_made_again_after_others_writes() {
        assert_eq!(tried(0, false), (1, true));
        assert_eq!(tried(3, false), (4, true));
        assert_eq!(tried(ATTEMPTS - 1, false), (ATTEMPTS, true));
        assert_eq!(tried(usize::MAX, false), (ATTEMPTS, false));
        assert_eq!(tried(1, true), (1, false));
    }

    #[test]
    fn a_refusal_for_another_reason_is_final() {
        let path = Path::parse("/api/v1/namespaces/default/pods/x").unwrap();
        let mut tries = 0;
        let refused: Result<(), Failure> = again(&path, false, || {
            tries += 1;
            Err(Failure::bad_request("no".to_owned()))
        });
        assert!(refused.is_err());
        assert_eq!(tries, 1);
    }
}
