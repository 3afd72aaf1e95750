//! JSON bodies of the API, and entity tags.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRequest, Request};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::api::Problem;
use super::error::AppError;

/// Body that is a JSON object. serde would also accept an array with the values of the fields.
pub(super) struct JsonObject<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonObject<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            let detail = "The Content-Type should be application/json.";
            return Err(error(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
        }
        let body = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| error(rejection.status(), rejection.body_text()))?;
        let value: Value = serde_json::from_slice(&body)
            .map_err(|cause| error(StatusCode::BAD_REQUEST, format!("invalid JSON: {cause}")))?;
        if !value.is_object() {
            let detail = "The body should be a JSON object.";
            return Err(error(StatusCode::UNPROCESSABLE_ENTITY, detail));
        }
        serde_json::from_value(value)
            .map(Self)
            .map_err(|cause| error(StatusCode::UNPROCESSABLE_ENTITY, cause.to_string()))
    }
}

fn error(status: StatusCode, detail: impl Into<String>) -> Problem {
    AppError::new(status, "Invalid request", detail).into()
}

/// Returns `true` for `application/json` and types with the suffix `+json`.
fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE);
    let value = value
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let media_type = value.split(';').next().unwrap_or_default().trim();
    let media_type = media_type.to_ascii_lowercase();
    media_type == "application/json"
        || (media_type.starts_with("application/") && media_type.ends_with("+json"))
}

/// Entity tag of an item's version.
pub(super) fn item_tag(version: i64) -> HeaderValue {
    HeaderValue::try_from(format!("\"{version}\"")).unwrap_or(HeaderValue::from_static("\"0\""))
}

/// Returns the version that `If-Match` requires; `None` if any will do.
///
/// # Errors
/// `412` if no item can have the tag, `400` for several tags: a change has one precondition.
pub(super) fn required_version(headers: &HeaderMap) -> Result<Option<i64>, Problem> {
    let Some(value) = headers.get(header::IF_MATCH) else {
        return Ok(None);
    };
    let value = value.to_str().unwrap_or_default().trim();
    if value == "*" {
        return Ok(None);
    }
    if value.contains(',') {
        return Err(error(
            StatusCode::BAD_REQUEST,
            "If-Match should have one entity tag.",
        ));
    }
    let version = value
        .strip_prefix('"')
        .and_then(|tag| tag.strip_suffix('"'));
    match version.and_then(|version| version.parse().ok()) {
        Some(version) => Ok(Some(version)),
        None => Err(precondition_failed()),
    }
}

pub(super) fn precondition_failed() -> Problem {
    error(
        StatusCode::PRECONDITION_FAILED,
        "The item has changed since it was read: read it again.",
    )
}

/// Adds entity tags to responses of the API, and responds with `304` to a client that has the current one.
pub(super) async fn tag_responses(request: Request, next: Next) -> Response {
    let is_read = [Method::GET, Method::HEAD].contains(request.method());
    let known = request.headers().get(header::IF_NONE_MATCH).cloned();
    let response = next.run(request).await;
    if !is_read || response.status() != StatusCode::OK {
        return response;
    }
    let (mut head, body) = response.into_parts();
    let Ok(body) = to_bytes(body, usize::MAX).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let tag = head
        .headers
        .entry(header::ETAG)
        .or_insert_with(|| content_tag(&body))
        .clone();
    // Clients may store the response, and have to validate it before each use.
    let cache = HeaderValue::from_static("private, no-cache");
    head.headers.insert(header::CACHE_CONTROL, cache);
    if known.is_some_and(|known| matches_tag(&known, &tag)) {
        head.status = StatusCode::NOT_MODIFIED;
        head.headers.remove(header::CONTENT_TYPE);
        head.headers.remove(header::CONTENT_LENGTH);
        return Response::from_parts(head, Body::empty());
    }
    Response::from_parts(head, Body::from(body))
}

/// Weak tag: equal content has an equal tag in one version of the program.
fn content_tag(body: &Bytes) -> HeaderValue {
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    let tag = format!("W/\"{:016x}\"", hasher.finish());
    HeaderValue::try_from(tag).unwrap_or(HeaderValue::from_static("W/\"0\""))
}

/// Compares weakly, as RFC 9110 requires for `If-None-Match`.
fn matches_tag(known: &HeaderValue, tag: &HeaderValue) -> bool {
    let (Ok(known), Ok(tag)) = (known.to_str(), tag.to_str()) else {
        return false;
    };
    let weak = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    known.trim() == "*" || known.split(',').any(|known| weak(known) == weak(tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn if_none_match_compares_weakly() {
        for (known, expected) in [
            ("\"1\"", true),
            ("W/\"1\"", true),
            ("\"2\", \"1\"", true),
            ("*", true),
            ("\"2\"", false),
            ("1", false),
        ] {
            let known = HeaderValue::from_static(known);
            let tag = HeaderValue::from_static("\"1\"");
            assert_eq!(matches_tag(&known, &tag), expected, "{known:?}");
        }
    }
}
