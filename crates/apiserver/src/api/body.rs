//! A request's body: bounded, and JSON of some dialect.

use axum::body::to_bytes;
use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde_json::Value;

use super::{Failure, MAX_BODY, protobuf};

/// A body and what it says it is.
pub(super) struct Body {
    pub(super) media_type: String,
    bytes: Bytes,
}

impl Body {
    pub(super) async fn read(headers: &HeaderMap, body: axum::body::Body) -> Result<Self, Failure> {
        let bytes = to_bytes(body, MAX_BODY)
            .await
            .map_err(|_| Failure::too_large())?;
        let named = headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or("application/json");
        let media_type = named
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        Ok(Self { media_type, bytes })
    }

    /// A body with this in it; nothing for null.
    pub(super) fn of(value: &Value) -> Self {
        let bytes = if value.is_null() {
            Bytes::new()
        } else {
            value.to_string().into()
        };
        Self {
            media_type: "application/json".to_owned(),
            bytes,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The body as JSON. Nesting is bounded by the parser (128 deep).
    pub(super) fn json(&self) -> Result<Value, Failure> {
        if self.media_type == protobuf::MEDIA_TYPE {
            return protobuf::decode(&self.bytes)
                .map_err(|error| Failure::bad_request(format!("invalid protobuf: {error}")));
        }
        serde_json::from_slice(&self.bytes)
            .map_err(|error| Failure::bad_request(format!("invalid JSON: {error}")))
    }

    /// The body as YAML, of which JSON is a part.
    pub(super) fn yaml(&self) -> Result<Value, Failure> {
        if let Ok(value) = serde_json::from_slice(&self.bytes) {
            return Ok(value);
        }
        serde_saphyr::from_slice(&self.bytes)
            .map_err(|error| Failure::bad_request(format!("error decoding YAML: {error}")))
    }

    /// The body as an object, in a media type that says so.
    pub(super) fn object(&self) -> Result<Value, Failure> {
        if !["application/json", protobuf::MEDIA_TYPE].contains(&self.media_type.as_str()) {
            return Err(Failure::unsupported_media_type(format!(
                "the body of the request was in an unknown format - accepted media types include: application/json, {} (not {})",
                protobuf::MEDIA_TYPE,
                self.media_type
            )));
        }
        let value = self.json()?;
        if value.is_object() {
            Ok(value)
        } else {
            Err(Failure::bad_request("the body is no JSON object"))
        }
    }
}
