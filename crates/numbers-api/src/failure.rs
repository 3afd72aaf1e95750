//! Error responses in the format of the chapter's API.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use serde_json::json;

/// Returns a `500` with `{"message": …}`.
pub(crate) fn failure(message: &str) -> Response {
    (
        StatusCode::INTERNAL_SERVER_ERROR,
        Json(json!({ "message": message })),
    )
        .into_response()
}

/// Returns the `503` of an instance that is starting or shutting down.
pub(crate) fn unavailable() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, "Unavailable").into_response()
}
