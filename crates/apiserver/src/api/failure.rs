//! What goes wrong, as the API says it: a `Status` object with the HTTP code, a reason for programs and a sentence.

use std::collections::BTreeMap;

use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use serde_json::{Value, json};

use super::managed::Conflict;
use crate::kinds::{ErrorClass, FieldError, Kind};
use crate::store::{Compacted, WriteError};

/// A request that was not carried out.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    code: StatusCode,
    reason: &'static str,
    message: String,
    details: Value,
    /// Whether the same request would fail again.
    settled: bool,
}

impl Failure {
    fn new(code: StatusCode, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            details: json!({}),
            settled: false,
        }
    }

    fn about(mut self, kind: &Kind, name: &str) -> Self {
        self.details = json!({"name": name, "kind": kind.plural});
        if !kind.group.is_empty() {
            self.details["group"] = json!(kind.group);
        }
        self
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    pub(super) fn no_such_path() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "NotFound",
            "the server could not find the requested resource",
        )
    }

    pub(super) fn not_found(kind: &Kind, name: &str) -> Self {
        let message = format!("{} {name:?} not found", kind.qualified());
        Self::new(StatusCode::NOT_FOUND, "NotFound", message).about(kind, name)
    }

    pub(super) fn exists(kind: &Kind, name: &str) -> Self {
        let message = format!("{} {name:?} already exists", kind.qualified());
        Self::new(StatusCode::CONFLICT, "AlreadyExists", message).about(kind, name)
    }

    pub(super) fn conflict(kind: &Kind, name: &str, why: &str) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {} {name:?}: {why}",
            kind.qualified()
        );
        Self::new(StatusCode::CONFLICT, "Conflict", message).about(kind, name)
    }

    /// What is applied would change what others own; `conflicts` is not empty.
    pub(super) fn apply_conflict(conflicts: &[Conflict]) -> Self {
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
        let mut failure = Self::new(StatusCode::CONFLICT, "Conflict", message);
        failure.details = json!({"causes": causes});
        failure.settled = true;
        failure
    }

    pub(super) fn forbidden(kind: &Kind, name: &str, why: &str) -> Self {
        let message = format!("{} {name:?} is forbidden: {why}", kind.qualified());
        Self::new(StatusCode::FORBIDDEN, "Forbidden", message).about(kind, name)
    }

    pub(super) fn terminating(kind: &Kind, name: &str, namespace: &str) -> Self {
        let why = format!(
            "unable to create new content in namespace {namespace} because it is being terminated"
        );
        let mut failure = Self::forbidden(kind, name, &why);
        failure.details["causes"] = json!([{
            "reason": "NamespaceTerminating",
            "message": format!("namespace {namespace} is being terminated"),
            "field": "metadata.namespace",
        }]);
        failure
    }

    /// An object that is not valid; `errors` is not empty.
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
        let mut failure = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message);
        failure.details = json!({"name": name, "kind": kind.kind, "causes": causes(errors)});
        if !kind.group.is_empty() {
            failure.details["group"] = json!(kind.group);
        }
        failure
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

    /// An eviction that a budget forbids for now; `after` are seconds.
    pub(super) fn too_many_disruptions(why: &str, after: u32) -> Self {
        let message = "Cannot evict pod as it would violate the pod's disruption budget.";
        let mut failure = Self::new(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", message);
        let causes = [json!({"reason": "DisruptionBudget", "message": why})];
        failure.details = json!({"causes": causes, "retryAfterSeconds": after});
        failure
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
        let message = format!("limit is {}", super::MAX_BODY);
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "RequestEntityTooLarge",
            format!("Request entity is too large: {message}"),
        )
    }

    pub(super) fn write(error: WriteError, kind: &Kind, name: &str) -> Self {
        match error {
            WriteError::Exists => Self::exists(kind, name),
            WriteError::NotFound => Self::not_found(kind, name),
            WriteError::Conflict => Self::conflict(
                kind,
                name,
                "the object has been modified; please apply your changes to the latest version and try again",
            ),
        }
    }

    /// Not the object that the caller means; unlike other conflicts this one stays.
    pub(super) fn precondition(kind: &Kind, name: &str, why: &str) -> Self {
        Self {
            settled: true,
            ..Self::conflict(kind, name, why)
        }
    }

    /// Whether trying again from a fresh read may help.
    pub(super) fn is_conflict(&self) -> bool {
        self.reason == "Conflict" && !self.settled
    }

    pub(super) fn is_taken(&self) -> bool {
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

impl From<Compacted> for Failure {
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
