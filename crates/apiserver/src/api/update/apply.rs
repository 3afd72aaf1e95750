//! Server-side apply: an object becomes what its appliers want of it, each of the fields that are theirs.

use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};

use super::{ATTEMPTS, answer, check_type, put_in_place, warnings, writer};
use crate::api::body::Body;
use crate::api::path::Path;
use crate::api::query::Query;
use crate::api::{Api, Failure, create, meta};
use crate::kinds::{FieldError, Kind};

/// JSON is YAML too, and what most clients send.
pub(super) const MEDIA_TYPE: &str = "application/apply-patch+yaml";

pub(super) fn respond(
    api: &Api,
    path: &Path,
    query: &Query,
    body: &Body,
) -> Result<Response, Failure> {
    let kind = path.kind.0;
    if query.get("fieldManager").is_none() {
        return Err(no_manager(kind));
    }
    let name = path.name.as_deref().unwrap_or_default();
    let mut config = read(name, body)?;
    let mut warnings = check_type(&path.kind, &mut config, query)?;
    warnings.extend(self::warnings(&path.kind, &config));
    for _ in 0..ATTEMPTS {
        let applied = apply(api, path, query, &config);
        match applied {
            // Somebody else wrote, or made it, between.
            Err(failure)
                if (failure.is_conflict() || failure.is_taken())
                    && !config["metadata"]["resourceVersion"].is_string() => {}
            applied => {
                let (status, object) = applied?;
                return Ok(answer(status, &object, &warnings));
            }
        }
    }
    let why = "it changes faster than the configuration can be applied";
    Err(Failure::conflict(kind, name, why))
}

fn apply(
    api: &Api,
    path: &Path,
    query: &Query,
    config: &Value,
) -> Result<(StatusCode, std::sync::Arc<Value>), Failure> {
    let name = path.name.as_deref().unwrap_or_default();
    let live = api.store.get(&path.key(name));
    let before = live.as_deref().unwrap_or(&Value::Null);
    let applied = writer(api, path, query).apply(before, config, query.is_set("force"));
    let object = applied.map_err(|conflicts| Failure::apply_conflict(&conflicts))?;
    if let Some(live) = &live {
        let changed = put_in_place(api, path, query, live, object, true)?;
        return Ok((StatusCode::OK, changed));
    }
    if path.subresource.is_some() {
        return Err(Failure::not_found(&path.kind, name));
    }
    let namespace = create::namespace(path, &object)?;
    let made = create::create(api, path, &namespace, query, object, true)?;
    Ok((StatusCode::CREATED, made))
}

/// The configuration, whose name is that of its path.
fn read(name: &str, body: &Body) -> Result<Value, Failure> {
    let mut config = body.yaml()?;
    if !config.is_object() {
        return Err(Failure::bad_request("the body is no object"));
    }
    for field in ["apiVersion", "kind"] {
        if config[field].as_str().is_none_or(str::is_empty) {
            return Err(Failure::bad_request(format!("{field} must be set")));
        }
    }
    if config["metadata"]["managedFields"]
        .as_array()
        .is_some_and(|list| !list.is_empty())
    {
        return Err(Failure::bad_request("metadata.managedFields must be nil"));
    }
    match meta::text(&config, "name") {
        Some(given) if given != name => Err(Failure::bad_request(format!(
            "the name of the object ({given}) does not match the name on the URL ({name})"
        ))),
        _ => {
            meta::metadata(&mut config).insert("name".to_owned(), json!(name));
            Ok(config)
        }
    }
}

fn no_manager(kind: &Kind) -> Failure {
    let options = Kind {
        kind: "PatchOptions",
        group: "meta.k8s.io",
        ..kind.clone()
    };
    let error = FieldError::required("fieldManager", "is required for apply patch");
    Failure::invalid(&options, "", &[error])
}
