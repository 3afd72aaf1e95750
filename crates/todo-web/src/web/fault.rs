//! What goes wrong, once for pages and for programs.

use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;

use crate::item::TextError;
use crate::store::StoreError;

/// When a client may try again, in seconds.
const RETRY_AFTER: &str = "2";

/// A failure with its status, its words for people, and the field it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) status: StatusCode,
    pub(super) title: &'static str,
    pub(super) detail: String,
    pub(super) field: Option<&'static str>,
}

impl Fault {
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
            "The list cannot be reached right now",
            detail,
        )
    }

    pub(super) fn no_item(id: i64) -> Self {
        let detail = format!("There is no item {id}. It may have been deleted.");
        Self::new(StatusCode::NOT_FOUND, "Not found", detail)
    }

    pub(super) fn may_be_tried_again(&self) -> bool {
        self.status == StatusCode::SERVICE_UNAVAILABLE
    }

    /// Problem details for programs (RFC 9457).
    pub(super) fn into_problem(self) -> Response {
        let mut problem = json!({
            "type": "about:blank",
            "title": self.title,
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        if let Some(field) = self.field {
            problem["field"] = json!(field);
        }
        let headers = [(header::CONTENT_TYPE, "application/problem+json")];
        let response = (self.status, headers, problem.to_string()).into_response();
        self.with_retry(response)
    }

    pub(super) fn with_retry(&self, mut response: Response) -> Response {
        if self.may_be_tried_again() {
            let after = HeaderValue::from_static(RETRY_AFTER);
            response.headers_mut().insert(header::RETRY_AFTER, after);
        }
        response
    }
}

impl From<TextError> for Fault {
    fn from(error: TextError) -> Self {
        Self {
            field: Some("text"),
            ..Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "That is no item",
                error.to_string(),
            )
        }
    }
}

/// What the database said is for the log: it may name what is nobody's business.
impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => Self::unavailable("The database does not answer."),
            StoreError::Busy(_) => Self::unavailable("The database is too busy."),
            StoreError::Stale(_) => Self::unavailable("The database has just changed."),
            StoreError::ReadOnly => Self::new(
                StatusCode::FORBIDDEN,
                "The list is read-only",
                "Items can be looked at and not changed.",
            ),
            StoreError::Full(said) => {
                tracing::error!(%said, "the database is full");
                Self::new(
                    StatusCode::INSUFFICIENT_STORAGE,
                    "The list is full",
                    "The database has no room for more. Nothing was changed.",
                )
            }
            StoreError::Failed(said) => {
                tracing::error!(%said, "the database failed");
                Self::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "Something went wrong",
                    "The database could not do that. Nothing was changed.",
                )
            }
        }
    }
}
