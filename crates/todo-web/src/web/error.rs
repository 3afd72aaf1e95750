//! Errors of pages and of the API.

use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;

use crate::item::TextError;
use crate::store::StoreError;

/// Seconds after which a client may retry.
const RETRY_AFTER: &str = "2";

/// Error with the response's status, texts for people, and the field that is invalid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AppError {
    pub(super) status: StatusCode,
    /// Heading of the page.
    pub(super) title: &'static str,
    pub(super) detail: String,
    pub(super) field: Option<&'static str>,
}

impl AppError {
    pub(super) fn new(status: StatusCode, title: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            title,
            detail: detail.into(),
            field: None,
        }
    }

    pub(super) fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "The list is unavailable",
            detail,
        )
    }

    pub(super) fn no_item(id: i64) -> Self {
        let detail = format!("There is no item {id}. It may have been deleted.");
        Self::new(StatusCode::NOT_FOUND, "Not found", detail)
    }

    pub(super) fn is_retryable(&self) -> bool {
        self.status == StatusCode::SERVICE_UNAVAILABLE
    }

    /// Returns problem details (RFC 9457). Their type is `about:blank`, so the title is the phrase of the status.
    pub(super) fn into_problem(self) -> Response {
        let mut problem = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason().unwrap_or(self.title),
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        if let Some(field) = self.field {
            problem["field"] = json!(field);
        }
        let headers = [(header::CONTENT_TYPE, "application/problem+json")];
        let response = (self.status, headers, problem.to_string()).into_response();
        self.add_headers(response)
    }

    /// Adds the headers that the status needs.
    pub(super) fn add_headers(&self, mut response: Response) -> Response {
        let headers = response.headers_mut();
        if self.is_retryable() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER));
        }
        if self.status == StatusCode::REQUEST_TIMEOUT {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

impl From<TextError> for AppError {
    fn from(error: TextError) -> Self {
        Self {
            field: Some("text"),
            ..Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "Invalid text",
                error.to_string(),
            )
        }
    }
}

/// The database's messages are logged only: they may name hosts and roles.
impl From<StoreError> for AppError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) | StoreError::Stale(_) => {
                Self::unavailable("The database does not answer. Nothing was changed.")
            }
            StoreError::Uncertain(_) => Self::unavailable(
                "The database did not answer in time. The change may have been made, or may still be made.",
            ),
            StoreError::Busy(_) => {
                Self::unavailable("The database is too busy. Nothing was changed.")
            }
            StoreError::ReadOnly => Self::new(
                StatusCode::FORBIDDEN,
                "The list is read-only",
                "The database accepts no changes now. Items can be read.",
            ),
            StoreError::Full(message) => {
                tracing::error!(message, "the database is full");
                Self::new(
                    StatusCode::INSUFFICIENT_STORAGE,
                    "The list is full",
                    "The database has no disk space. Nothing was changed.",
                )
            }
            StoreError::Failed(message) => {
                tracing::error!(message, "the database failed");
                Self::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "Internal error",
                    "The database rejected the statement. Nothing was changed.",
                )
            }
        }
    }
}
