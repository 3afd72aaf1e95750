//! Request bodies: limited in length, and JSON, YAML or protobuf.

use axum::body::to_bytes;
use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde_json::Value;

use super::{MAX_BODY_LEN, StatusError, protobuf};

/// Request body with its `Content-Type`.
pub(super) struct Body {
    pub(super) media_type: String,
    bytes: Bytes,
}

impl Body {
    /// Reads the whole body. Without a `Content-Type` it is JSON.
    pub(super) async fn read(
        headers: &HeaderMap,
        body: axum::body::Body,
    ) -> Result<Self, StatusError> {
        let bytes = to_bytes(body, MAX_BODY_LEN)
            .await
            .map_err(|_| StatusError::too_large())?;
        let content_type = headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or("application/json");
        let media_type = content_type
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        Ok(Self { media_type, bytes })
    }

    /// Creates a JSON body; `null` is an empty body.
    pub(super) fn from_json(value: &Value) -> Self {
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

    /// Parses JSON or protobuf. The JSON parser limits nesting to 128 levels.
    pub(super) fn json(&self) -> Result<Value, StatusError> {
        if self.media_type == protobuf::MEDIA_TYPE {
            return protobuf::decode(&self.bytes)
                .map_err(|error| StatusError::bad_request(format!("invalid protobuf: {error}")));
        }
        serde_json::from_slice(&self.bytes)
            .map_err(|error| StatusError::bad_request(format!("invalid JSON: {error}")))
    }

    /// Parses YAML, of which JSON is a subset.
    pub(super) fn yaml(&self) -> Result<Value, StatusError> {
        if let Ok(value) = serde_json::from_slice(&self.bytes) {
            return Ok(value);
        }
        serde_saphyr::from_slice(&self.bytes)
            .map_err(|error| StatusError::bad_request(format!("error decoding YAML: {error}")))
    }

    /// Parses an object. Fails with 415 for other media types than JSON and protobuf.
    pub(super) fn object(&self) -> Result<Value, StatusError> {
        if !["application/json", protobuf::MEDIA_TYPE].contains(&self.media_type.as_str()) {
            return Err(StatusError::unsupported_media_type(format!(
                "the body of the request was in an unknown format - accepted media types include: application/json, {} (not {})",
                protobuf::MEDIA_TYPE,
                self.media_type
            )));
        }
        let value = self.json()?;
        if value.is_object() {
            Ok(value)
        } else {
            Err(StatusError::bad_request("the body is not a JSON object"))
        }
    }
}
