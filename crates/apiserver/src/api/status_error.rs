//! Errors of the API: a `Status` object with the HTTP code, a machine-readable reason and a message.

use std::collections::BTreeMap;

use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use serde_json::{Value, json};

use super::managed_fields::FieldConflict;
use crate::kinds::{ErrorClass, FieldError, Kind};
use crate::store::{Compacted, WriteError};

/// Error response of the API (`errors.StatusError` of apimachinery).
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct StatusError {
    code: StatusCode,
    reason: &'static str,
    message: String,
    details: Value,
    /// `true` if the server may retry the request after reading the object again.
    retryable: bool,
}

impl StatusError {
    fn new(code: StatusCode, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            details: json!({}),
            retryable: false,
        }
    }

    fn with_object(mut self, kind: &Kind, name: &str) -> Self {
        self.details = json!({"name": name, "kind": kind.plural});
        if !kind.group.is_empty() {
            self.details["group"] = json!(kind.group);
        }
        self
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    pub(super) fn unknown_path() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "NotFound",
            "the server could not find the requested resource",
        )
    }

    pub(super) fn not_found(kind: &Kind, name: &str) -> Self {
        let message = format!("{} {name:?} not found", kind.qualified());
        Self::new(StatusCode::NOT_FOUND, "NotFound", message).with_object(kind, name)
    }

    pub(super) fn already_exists(kind: &Kind, name: &str) -> Self {
        let message = format!("{} {name:?} already exists", kind.qualified());
        Self::new(StatusCode::CONFLICT, "AlreadyExists", message).with_object(kind, name)
    }

    /// Conflict with the current state of the object. A retry from a fresh read may succeed.
    pub(super) fn conflict(kind: &Kind, name: &str, reason: &str) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {} {name:?}: {reason}",
            kind.qualified()
        );
        Self {
            retryable: true,
            ..Self::new(StatusCode::CONFLICT, "Conflict", message).with_object(kind, name)
        }
    }

    /// An apply that would change fields of other managers; `conflicts` must not be empty.
    pub(super) fn apply_conflict(conflicts: &[FieldConflict]) -> Self {
        let causes: Vec<Value> = conflicts
            .iter()
            .map(|conflict| {
                json!({
                    "reason": "FieldManagerConflict",
                    "message": format!("conflict with {}", conflict.manager),
                    "field": conflict.field,
                })
            })
            .collect();
        let message = match conflicts {
            [one] => format!(
                "Apply failed with 1 conflict: conflict with {}: {}",
                one.manager, one.field
            ),
            many => {
                let mut lists = BTreeMap::<&str, String>::new();
                for conflict in many {
                    let list = lists.entry(&conflict.manager).or_default();
                    list.push_str(&format!("\n- {}", conflict.field));
                }
                let lists: Vec<_> = lists
                    .iter()
                    .map(|(manager, list)| format!("conflicts with {manager}:{list}"))
                    .collect();
                format!(
                    "Apply failed with {} conflicts: {}",
                    many.len(),
                    lists.join("\n")
                )
            }
        };
        let mut error = Self::new(StatusCode::CONFLICT, "Conflict", message);
        error.details = json!({"causes": causes});
        error
    }

    pub(super) fn forbidden(kind: &Kind, name: &str, reason: &str) -> Self {
        let message = format!("{} {name:?} is forbidden: {reason}", kind.qualified());
        Self::new(StatusCode::FORBIDDEN, "Forbidden", message).with_object(kind, name)
    }

    pub(super) fn namespace_terminating(kind: &Kind, name: &str, namespace: &str) -> Self {
        let reason = format!(
            "unable to create new content in namespace {namespace} because it is being terminated"
        );
        let mut error = Self::forbidden(kind, name, &reason);
        error.details["causes"] = json!([{
            "reason": "NamespaceTerminating",
            "message": format!("namespace {namespace} is being terminated"),
            "field": "metadata.namespace",
        }]);
        error
    }

    /// Invalid object; `errors` must not be empty.
    pub(super) fn invalid(kind: &Kind, name: &str, errors: &[FieldError]) -> Self {
        let texts: Vec<_> = errors.iter().map(ToString::to_string).collect();
        let list = match texts.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let message = format!(
            "{}{} {name:?} is invalid: {list}",
            kind.kind,
            group_suffix(kind)
        );
        let mut error = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message);
        error.details = json!({"name": name, "kind": kind.kind, "causes": causes(errors)});
        if !kind.group.is_empty() {
            error.details["group"] = json!(kind.group);
        }
        error
    }

    pub(super) fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message)
    }

    pub(super) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "ServiceUnavailable",
            message,
        )
    }

    pub(super) fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", message)
    }

    /// Eviction that a disruption budget does not allow now. The client may retry after `retry_after` seconds.
    pub(super) fn too_many_disruptions(reason: &str, retry_after: u32) -> Self {
        let message = "Cannot evict pod as it would violate the pod's disruption budget.";
        let mut error = Self::new(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", message);
        let causes = [json!({"reason": "DisruptionBudget", "message": reason})];
        error.details = json!({"causes": causes, "retryAfterSeconds": retry_after});
        error
    }

    pub(super) fn not_acceptable() -> Self {
        let message = "only the following media types are accepted: application/json";
        Self::new(StatusCode::NOT_ACCEPTABLE, "NotAcceptable", message)
    }

    pub(super) fn unsupported_media_type(message: impl Into<String>) -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "UnsupportedMediaType",
            message,
        )
    }

    pub(super) fn too_large() -> Self {
        let message = format!("limit is {}", super::MAX_BODY_LEN);
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "RequestEntityTooLarge",
            format!("Request entity is too large: {message}"),
        )
    }

    /// Converts an error of the store.
    pub(super) fn from_write_error(error: WriteError, kind: &Kind, name: &str) -> Self {
        match error {
            WriteError::Exists => Self::already_exists(kind, name),
            WriteError::NotFound => Self::not_found(kind, name),
            WriteError::Conflict => Self::conflict(
                kind,
                name,
                "the object has been modified; please apply your changes to the latest version and try again",
            ),
        }
    }

    /// Failed precondition of the client (`uid`, `resourceVersion`). A retry fails again.
    pub(super) fn failed_precondition(kind: &Kind, name: &str, reason: &str) -> Self {
        Self {
            retryable: false,
            ..Self::conflict(kind, name, reason)
        }
    }

    /// Returns `true` if a retry from a fresh read may succeed.
    pub(super) fn is_retryable(&self) -> bool {
        self.retryable
    }

    pub(super) fn is_already_exists(&self) -> bool {
        self.reason == "AlreadyExists"
    }

    pub(super) fn to_status(&self) -> Value {
        json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "details": self.details,
            "code": self.code.as_u16(),
        })
    }

    pub(super) fn into_response(self) -> Response {
        super::json(self.code, &self.to_status()).into_response()
    }
}

impl From<Compacted> for StatusError {
    fn from(error: Compacted) -> Self {
        Self::new(StatusCode::GONE, "Expired", error.to_string())
    }
}

fn group_suffix(kind: &Kind) -> String {
    if kind.group.is_empty() {
        String::new()
    } else {
        format!(".{}", kind.group)
    }
}

fn causes(errors: &[FieldError]) -> Vec<Value> {
    let cause = |error: &FieldError| json!({"reason": reason(error.class), "message": error.cause(), "field": error.field});
    errors.iter().map(cause).collect()
}

fn reason(class: ErrorClass) -> &'static str {
    match class {
        ErrorClass::Required => "FieldValueRequired",
        ErrorClass::Invalid => "FieldValueInvalid",
        ErrorClass::NotSupported => "FieldValueNotSupported",
        ErrorClass::Forbidden => "FieldValueForbidden",
        ErrorClass::Duplicate => "FieldValueDuplicate",
        ErrorClass::TooLong => "FieldValueTooLong",
        ErrorClass::TooMany => "FieldValueTooMany",
        ErrorClass::NotFound => "FieldValueNotFound",
        ErrorClass::Internal => "InternalError",
    }
}
