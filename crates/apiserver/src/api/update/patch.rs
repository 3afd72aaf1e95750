//! The three kinds of patch: JSON patch, merge patch, and the strategic merge that knows which lists have keys.

use json_patch::Patch as JsonPatch;
use serde_json::Value;

use crate::api::Failure;
use crate::api::body::Body;
use crate::kinds::Kind;

mod strategic;

/// A patch that has been read.
pub(in crate::api) enum Patch {
    Json(JsonPatch),
    Merge(Value),
    Strategic(Value),
}

impl Patch {
    pub(in crate::api) fn read(body: &Body) -> Result<Self, Failure> {
        match body.media_type.as_str() {
            "application/json-patch+json" => serde_json::from_value(body.json()?)
                .map(Self::Json)
                .map_err(|error| Failure::bad_request(format!("invalid JSON patch: {error}"))),
            "application/merge-patch+json" => Ok(Self::Merge(body.json()?)),
            "application/strategic-merge-patch+json" => Ok(Self::Strategic(body.json()?)),
            "application/apply-patch+yaml" | "application/apply-patch+cbor" => {
                Err(Failure::unsupported_media_type(
                    "what is applied here has to be an object, or its status, in YAML or JSON: \
                 application/apply-patch+yaml",
                ))
            }
            other => Err(Failure::unsupported_media_type(format!(
                "the body of the request was in an unknown format - accepted media types include: \
                 application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json \
                 (not {other})"
            ))),
        }
    }

    /// What `old` becomes.
    pub(in crate::api) fn apply(&self, kind: &Kind, old: &Value) -> Result<Value, Failure> {
        let mut object = old.clone();
        match self {
            Self::Json(patch) => json_patch::patch(&mut object, patch).map_err(|error| {
                Failure::bad_request(format!("the patch cannot be applied: {error}"))
            })?,
            Self::Merge(patch) => json_patch::merge(&mut object, patch),
            Self::Strategic(patch) => strategic::merge(kind, &mut object, patch)?,
        }
        if object.is_object() {
            Ok(object)
        } else {
            Err(Failure::bad_request("the patch leaves no object"))
        }
    }

    /// Whether it holds only for one version of the object.
    pub(in crate::api) fn names_version(&self) -> bool {
        match self {
            Self::Json(_) => false,
            Self::Merge(patch) | Self::Strategic(patch) => {
                patch["metadata"]["resourceVersion"].is_string()
            }
        }
    }
}
