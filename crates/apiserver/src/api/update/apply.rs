//! Server-side apply: merges a manager's configuration into an object and records which fields the manager owns.

use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};

use super::{
    MAX_ATTEMPTS, WriteSource, check_type, field_manager, update_object, warnings, write_response,
};
use crate::api::body::Body;
use crate::api::query::Query;
use crate::api::request_info::RequestInfo;
use crate::api::{Api, StatusError, create, meta};
use crate::kinds::{FieldError, Kind};

/// Media type of a configuration. Most clients send JSON, which is a subset of YAML.
pub(super) const MEDIA_TYPE: &str = "application/apply-patch+yaml";

pub(super) fn respond(
    api: &Api,
    info: &RequestInfo,
    query: &Query,
    body: &Body,
) -> Result<Response, StatusError> {
    let kind = info.kind;
    if query.get("fieldManager").is_none() {
        return Err(missing_field_manager(kind));
    }
    let name = info.name.as_deref().unwrap_or_default();
    let mut config = read(name, body)?;
    let mut warnings = check_type(info.kind, &mut config, query)?;
    warnings.extend(self::warnings(info.kind, &config));
    let has_resource_version = config["metadata"]["resourceVersion"].is_string();
    for _ in 0..MAX_ATTEMPTS {
        match apply(api, info, query, &config) {
            // Another client wrote or created the object in between.
            Err(error)
                if (error.is_retryable() || error.is_already_exists()) && !has_resource_version => {
            }
            applied => {
                let (status, object) = applied?;
                return Ok(write_response(status, &object, &warnings));
            }
        }
    }
    let reason = "other clients keep changing the object; try again";
    Err(StatusError::conflict(kind, name, reason))
}

fn apply(
    api: &Api,
    info: &RequestInfo,
    query: &Query,
    config: &Value,
) -> Result<(StatusCode, std::sync::Arc<Value>), StatusError> {
    let name = info.name.as_deref().unwrap_or_default();
    let live = api.store.get(&info.key(name));
    let before = live.as_deref().unwrap_or(&Value::Null);
    let force = query.is_set("force");
    let applied = field_manager(api, info, query).apply(before, config, force);
    let object = applied.map_err(|conflicts| StatusError::apply_conflict(&conflicts))?;
    if let Some(live) = &live {
        let updated = update_object(api, info, query, live, object, WriteSource::Apply)?;
        return Ok((StatusCode::OK, updated));
    }
    if info.subresource.is_some() {
        return Err(StatusError::not_found(info.kind, name));
    }
    let namespace = create::namespace(info, &object)?;
    let created = create::create(api, info, &namespace, query, object, WriteSource::Apply)?;
    Ok((StatusCode::CREATED, created))
}

/// Parses the configuration. Its name defaults to the name on the URL.
fn read(name: &str, body: &Body) -> Result<Value, StatusError> {
    let mut config = body.yaml()?;
    if !config.is_object() {
        return Err(StatusError::bad_request("the body is not an object"));
    }
    for field in ["apiVersion", "kind"] {
        if config[field].as_str().is_none_or(str::is_empty) {
            return Err(StatusError::bad_request(format!("{field} must be set")));
        }
    }
    if config["metadata"]["managedFields"]
        .as_array()
        .is_some_and(|list| !list.is_empty())
    {
        return Err(StatusError::bad_request(
            "metadata.managedFields must be nil",
        ));
    }
    match meta::text(&config, "name") {
        Some(given) if given != name => Err(StatusError::bad_request(format!(
            "the name of the object ({given}) does not match the name on the URL ({name})"
        ))),
        _ => {
            meta::metadata(&mut config).insert("name".to_owned(), json!(name));
            Ok(config)
        }
    }
}

fn missing_field_manager(kind: &Kind) -> StatusError {
    let options = Kind {
        kind: "PatchOptions",
        group: "meta.k8s.io",
        ..kind.clone()
    };
    let error = FieldError::required("fieldManager", "is required for apply patch");
    StatusError::invalid(&options, "", &[error])
}
