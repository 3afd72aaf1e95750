//! JSON patch (RFC 6902), merge patch (RFC 7386), and Kubernetes' strategic merge patch, which merges lists by key.

use json_patch::Patch as JsonPatch;
use serde_json::Value;

use crate::api::StatusError;
use crate::api::body::Body;
use crate::kinds::Kind;

mod strategic;

/// Parsed patch.
pub(super) enum Patch {
    Json(JsonPatch),
    Merge(Value),
    Strategic(Value),
}

impl Patch {
    /// Parses the patch by the media type of the body.
    pub(super) fn parse(body: &Body) -> Result<Self, StatusError> {
        match body.media_type.as_str() {
            "application/json-patch+json" => serde_json::from_value(body.json()?)
                .map(Self::Json)
                .map_err(|error| StatusError::bad_request(format!("invalid JSON patch: {error}"))),
            "application/merge-patch+json" => Ok(Self::Merge(body.json()?)),
            "application/strategic-merge-patch+json" => Ok(Self::Strategic(body.json()?)),
            "application/apply-patch+yaml" | "application/apply-patch+cbor" => {
                Err(StatusError::unsupported_media_type(
                    "server-side apply accepts objects and their status in YAML or JSON: \
                     application/apply-patch+yaml",
                ))
            }
            other => Err(StatusError::unsupported_media_type(format!(
                "the body of the request was in an unknown format - accepted media types include: \
                 application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json \
                 (not {other})"
            ))),
        }
    }

    /// Returns the patched copy of `old`.
    pub(super) fn apply(&self, kind: &Kind, old: &Value) -> Result<Value, StatusError> {
        let mut object = old.clone();
        match self {
            Self::Json(patch) => json_patch::patch(&mut object, patch).map_err(|error| {
                StatusError::bad_request(format!("the patch cannot be applied: {error}"))
            })?,
            Self::Merge(patch) => json_patch::merge(&mut object, patch),
            Self::Strategic(patch) => strategic::merge(kind, &mut object, patch)?,
        }
        if object.is_object() {
            Ok(object)
        } else {
            Err(StatusError::bad_request(
                "the result of the patch is not an object",
            ))
        }
    }

    /// Returns `true` if the patch applies to one resource version only.
    pub(super) fn has_resource_version(&self) -> bool {
        match self {
            Self::Json(_) => false,
            Self::Merge(patch) | Self::Strategic(patch) => {
                patch["metadata"]["resourceVersion"].is_string()
            }
        }
    }
}
