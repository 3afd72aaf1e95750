//! OpenAPI v2, which kubectl before 1.27 requires for every write.
//!
//! The document lists only which kinds support dry run (`kubectl diff`, `--dry-run=server`). Schemas are in OpenAPI v3;
//! without a schema kubectl leaves validation to the server.

use axum::response::{IntoResponse as _, Response};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};

use super::gnostic;
use crate::api::accept;
use crate::kinds::{KINDS, Kind};

/// Media type that kubectl requests. Go cannot parse the `@`, so the response has [`PROTOBUF`].
const REQUESTED_PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
const PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

pub(super) fn respond(headers: &HeaderMap) -> Response {
    let mut ranges = accept::media_ranges(headers);
    if ranges.any(|range| [REQUESTED_PROTOBUF, PROTOBUF].contains(&range.media_type)) {
        return ([(CONTENT_TYPE, PROTOBUF)], gnostic::encode(&document())).into_response();
    }
    crate::api::json(StatusCode::OK, &document())
}

fn document() -> Value {
    let paths: Map<String, Value> = KINDS.iter().map(|kind| (path(kind), patch(kind))).collect();
    json!({
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": component_helpers::VERSION},
        "paths": paths,
    })
}

/// Returns the path template of objects of a kind.
fn path(kind: &Kind) -> String {
    let group = if kind.group.is_empty() {
        "/api"
    } else {
        "/apis"
    };
    let namespace = if kind.namespaced {
        "/namespaces/{namespace}"
    } else {
        ""
    };
    let (version, plural) = (kind.api_version(), kind.plural);
    format!("{group}/{version}{namespace}/{plural}/{{name}}")
}

fn patch(kind: &Kind) -> Value {
    let dry_run = json!({"name": "dryRun", "in": "query", "type": "string", "uniqueItems": true});
    json!({"patch": {
        "parameters": [dry_run],
        "responses": {"200": {"description": "OK"}},
        "x-kubernetes-group-version-kind": {"group": kind.group, "version": kind.version, "kind": kind.kind},
    }})
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::ACCEPT;

    use super::*;

    #[test]
    fn protobuf_is_returned_if_accepted_and_json_otherwise() {
        let mut headers = HeaderMap::new();
        let media_type = |headers: &HeaderMap| respond(headers).headers()[CONTENT_TYPE].clone();
        assert_eq!(media_type(&headers), "application/json");
        for accept in [REQUESTED_PROTOBUF, PROTOBUF] {
            headers.insert(ACCEPT, HeaderValue::from_static(accept));
            assert_eq!(media_type(&headers), PROTOBUF);
        }
    }

    #[test]
    fn document_lists_dry_run_for_every_kind() {
        let document = document();
        let deployments = "/apis/apps/v1/namespaces/{namespace}/deployments/{name}";
        let patch = &document["paths"][deployments]["patch"];
        assert_eq!(patch["parameters"][0]["name"], "dryRun");
        let kind = json!({"group": "apps", "version": "v1", "kind": "Deployment"});
        assert_eq!(patch["x-kubernetes-group-version-kind"], kind);
        assert!(document["paths"]["/api/v1/nodes/{name}"].is_object());
        assert_eq!(document["paths"].as_object().unwrap().len(), KINDS.len());
    }
}
