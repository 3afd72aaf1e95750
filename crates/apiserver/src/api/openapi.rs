//! OpenAPI v3: one document per group and version, generated from the Rust types of the kinds.

mod gnostic;
mod v2;

use axum::response::Response;
use http::{HeaderMap, StatusCode};
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::StatusError;
use super::discovery::{groups, kinds_of};
use crate::kinds::Kind;

/// Returns the response to a path of this module; `None` for other paths.
pub(super) fn respond(path: &str, headers: &HeaderMap) -> Option<Result<Response, StatusError>> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    match parts.as_slice() {
        ["openapi", "v2"] => Some(Ok(v2::respond(headers))),
        ["openapi", "v3"] => Some(Ok(super::json(StatusCode::OK, &index()))),
        ["openapi", "v3", rest @ ..] => Some(document(&rest.join("/"))),
        _ => None,
    }
}

/// Returns the path prefix of a group's resources, without the leading slash.
fn group_path(group: &str) -> String {
    if group.is_empty() {
        "api/v1".to_owned()
    } else {
        format!("apis/{group}/v1")
    }
}

/// Lists the documents.
fn index() -> Value {
    let paths: Map<String, Value> = groups()
        .into_iter()
        .map(|group| {
            let path = group_path(group);
            let url = format!("/openapi/v3/{path}?hash={}", component_helpers::VERSION);
            (path, json!({"serverRelativeURL": url}))
        })
        .collect();
    json!({"paths": paths})
}

/// Returns the document of the group with this path prefix.
fn document(path: &str) -> Result<Response, StatusError> {
    let group = groups()
        .into_iter()
        .find(|group| group_path(group) == path)
        .ok_or_else(StatusError::unknown_path)?;
    let mut settings = SchemaSettings::openapi3();
    settings.meta_schema = None;
    let mut generator = settings.into_generator();
    let mut paths = Map::new();
    let mut kind_schemas = Vec::new();
    for kind in kinds_of(group, "v1") {
        let reference = (kind.schema)(&mut generator).to_value();
        kind_schemas.push((kind, definition_name(&reference)));
        add_paths(kind, &reference, &mut paths);
    }
    let mut schemas = generator.take_definitions(true);
    for (kind, name) in kind_schemas {
        if let Some(schema) = schemas.get_mut(&name) {
            schema["x-kubernetes-group-version-kind"] = json!([group_version_kind(kind)]);
        }
    }
    let document = json!({
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": component_helpers::VERSION},
        "paths": paths,
        "components": {"schemas": schemas},
    });
    Ok(crate::api::json(StatusCode::OK, &document))
}

/// Returns the name of the definition that a `$ref` points to.
fn definition_name(reference: &Value) -> String {
    let reference = reference["$ref"].as_str().unwrap_or_default();
    reference.rsplit('/').next().unwrap_or_default().to_owned()
}

fn group_version_kind(kind: &Kind) -> Value {
    json!({"group": kind.group, "version": kind.version, "kind": kind.kind})
}

fn add_paths(kind: &Kind, schema: &Value, paths: &mut Map<String, Value>) {
    let namespace = if kind.namespaced {
        "namespaces/{namespace}/"
    } else {
        ""
    };
    let list = format!("/{}/{namespace}{}", group_path(kind.group), kind.plural);
    let object = format!("{list}/{{name}}");
    paths.insert(
        list,
        json!({
            "get": operation(kind, "list", schema, &[]),
            "post": operation(kind, "post", schema, &["application/json"]),
        }),
    );
    // Strategic merge patches are served but not listed: a client that finds them here reads the merge keys from these
    // schemas, which have none. Other clients use their built-in keys.
    let patches = [
        "application/json-patch+json",
        "application/merge-patch+json",
    ];
    paths.insert(
        object,
        json!({
            "get": operation(kind, "get", schema, &[]),
            "put": operation(kind, "put", schema, &["application/json"]),
            "patch": operation(kind, "patch", schema, &patches),
            "delete": operation(kind, "delete", schema, &[]),
        }),
    );
}

fn operation(kind: &Kind, action: &str, schema: &Value, bodies: &[&str]) -> Value {
    let mut operation = json!({
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": group_version_kind(kind),
        "responses": {"200": {"description": "OK", "content": {"application/json": {"schema": schema}}}},
    });
    if !bodies.is_empty() {
        let text = |name: &str| json!({"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": true}});
        operation["parameters"] = json!([
            text("dryRun"),
            text("fieldManager"),
            text("fieldValidation")
        ]);
        let content: Map<String, Value> = bodies
            .iter()
            .map(|media_type| ((*media_type).to_owned(), json!({"schema": schema})))
            .collect();
        operation["requestBody"] = json!({"content": content, "required": true});
    }
    operation
}
