//! OpenAPI v2, which kubectl before 1.27 asks for whatever it is to make, and gives up without. There is nothing in it but which
//! kinds can be tried without a change (`kubectl diff`, `--dry-run=server`): what it has no schema of such a kubectl leaves to
//! the server to check. The schemas here are OpenAPI v3.

use axum::response::{IntoResponse as _, Response};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};

use crate::kinds::{KINDS, Kind};

mod gnostic;

/// As kubectl asks for it, and as it is answered: Go takes no media type with an @ in it.
const ASKED: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
const PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

pub(in crate::api) fn document(headers: &HeaderMap) -> Response {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    if accept.is_some_and(|accept| accept.contains(ASKED) || accept.contains(PROTOBUF)) {
        return ([(CONTENT_TYPE, PROTOBUF)], gnostic::encode(&whole())).into_response();
    }
    crate::api::json(StatusCode::OK, &whole())
}

fn whole() -> Value {
    let paths: Map<String, Value> = KINDS.iter().map(|kind| (path(kind), patch(kind))).collect();
    json!({
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": component_helpers::VERSION},
        "paths": paths,
    })
}

/// Where objects of a kind are.
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

    use super::*;

    #[test]
    fn a_kubectl_that_wants_protobuf_gets_it_and_others_json() {
        let mut headers = HeaderMap::new();
        let media_type = |headers: &HeaderMap| document(headers).headers()[CONTENT_TYPE].clone();
        assert_eq!(media_type(&headers), "application/json");
        for accept in [ASKED, PROTOBUF] {
            headers.insert(ACCEPT, HeaderValue::from_static(accept));
            assert_eq!(media_type(&headers), PROTOBUF);
        }
    }

    #[test]
    fn every_kind_can_be_tried_without_a_change() {
        let document = whole();
        let deployments = "/apis/apps/v1/namespaces/{namespace}/deployments/{name}";
        let patch = &document["paths"][deployments]["patch"];
        assert_eq!(patch["parameters"][0]["name"], "dryRun");
        let kind = json!({"group": "apps", "version": "v1", "kind": "Deployment"});
        assert_eq!(patch["x-kubernetes-group-version-kind"], kind);
        assert!(document["paths"]["/api/v1/nodes/{name}"].is_object());
        assert_eq!(document["paths"].as_object().unwrap().len(), KINDS.len());
    }
}
