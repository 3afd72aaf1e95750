//! `Status` objects of requests that succeeded; those of requests that failed are [`super::StatusError`]s.

use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};

/// Returns the `Status` of a request that succeeded, with the object that it was about in `details`.
pub(super) fn success(details: &Value) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
}

/// Returns the response of a subresource that creates no object of its own: a binding or an eviction.
pub(super) fn created() -> Response {
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
    super::json(StatusCode::CREATED, &status)
}
