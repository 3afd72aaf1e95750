//! OpenAPI v3, a document for each group and version, made of the kinds' own types.

pub(super) mod v2;

use axum::response::Response;
use http::StatusCode;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::{groups, of_group};
use crate::api::Failure;
use crate::kinds::Kind;

fn place(group: &str) -> String {
    if group.is_empty() {
        "api/v1".to_owned()
    } else {
        format!("apis/{group}/v1")
    }
}

/// Where the documents are.
pub(super) fn index() -> Value {
    let paths: Map<String, Value> = groups()
        .into_iter()
        .map(|group| {
            let place = place(group);
            let url = format!("/openapi/v3/{place}?hash={}", component_helpers::VERSION);
            (place, json!({"serverRelativeURL": url}))
        })
        .collect();
    json!({"paths": paths})
}

/// The document at a place.
pub(super) fn document(at: &str) -> Result<Response, Failure> {
    let group = groups().into_iter().find(|group| place(group) == at);
    let group = group.ok_or_else(Failure::no_such_path)?;
    let mut settings = SchemaSettings::openapi3();
    settings.meta_schema = None;
    let mut generator = settings.into_generator();
    let mut paths = Map::new();
    let mut tops = Vec::new();
    for kind in of_group(group, "v1") {
        let reference = (kind.schema)(&mut generator).to_value();
        tops.push((kind, name(&reference)));
        add_paths(kind, &reference, &mut paths);
    }
    let mut schemas = generator.take_definitions(true);
    for (kind, name) in tops {
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

/// The last part of a reference.
fn name(reference: &Value) -> String {
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
    let list = format!("/{}/{namespace}{}", place(kind.group), kind.plural);
    let one = format!("{list}/{{name}}");
    paths.insert(
        list,
        json!({
            "get": operation(kind, "list", schema, &[]),
            "post": operation(kind, "post", schema, &["application/json"]),
        }),
    );
    // Strategic merge patches are served and not told of: their clients would look for merge keys in these schemas,
    // which have none, while without being told they use the keys they have built in.
    let patches = [
        "application/json-patch+json",
        "application/merge-patch+json",
    ];
    paths.insert(
        one,
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
