//! `Warning` headers of deprecated kinds.

use super::*;

const ENDPOINTS: &str = "/api/v1/namespaces/default/endpoints";
const WARNING: &str =
    r#"299 - "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice""#;

#[tokio::test]
async fn every_response_to_an_endpoints_request_has_a_deprecation_warning() {
    let api = api();
    let object = |port: u16| json!({"metadata": {"name": "x"}, "subsets": [{"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": port}]}]});
    let path = format!("{ENDPOINTS}/x");
    let watch = format!("{ENDPOINTS}?watch=true&timeoutSeconds=1");
    for (method, path, body, code) in [
        ("POST", ENDPOINTS, object(80), 201),
        ("POST", ENDPOINTS, object(80), 409),
        ("GET", &path, Value::Null, 200),
        ("GET", ENDPOINTS, Value::Null, 200),
        ("GET", "/api/v1/endpoints", Value::Null, 200),
        ("GET", &watch, Value::Null, 200),
        ("PUT", &path, object(81), 200),
        ("PATCH", &path, json!({}), 200),
        ("DELETE", &path, Value::Null, 200),
        ("GET", &path, Value::Null, 404),
        ("DELETE", ENDPOINTS, Value::Null, 200),
    ] {
        let media_type = if method == "PATCH" {
            "application/merge-patch+json"
        } else {
            "application/json"
        };
        let response = respond_to(&api, method, path, media_type, body).await;
        assert_eq!(response.status().as_u16(), code, "{method} {path}");
        let warnings: Vec<_> = response.headers().get_all("warning").iter().collect();
        assert_eq!(warnings, [WARNING], "{method} {path}");
    }
}

#[tokio::test]
async fn response_to_a_request_for_another_kind_has_no_warning() {
    let slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
    for path in [CONFIG_MAPS, slices] {
        let response = respond_to(&api(), "GET", path, "application/json", Value::Null).await;
        assert!(response.headers().get("warning").is_none(), "{path}");
    }
}
