//! What is wrong with a field of an object, as the API server says it.

use std::fmt;

/// One thing wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// Its path: `spec.template.spec.containers[0].livenessProbe.successThreshold`.
    pub field: String,
    /// What kind of mistake.
    pub class: ErrorClass,
    /// The value, rendered as the API server renders it; none where the class shows none.
    pub value: Option<String>,
    /// The rest of the sentence.
    pub detail: String,
}

/// The API server's kinds of mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// `Required value`
    Required,
    /// `Invalid value`
    Invalid,
    /// `Unsupported value`
    NotSupported,
    /// `Forbidden`
    Forbidden,
    /// `Duplicate value`
    Duplicate,
    /// `Too long`
    TooLong,
    /// `Too many`
    TooMany,
    /// `Not found`
    NotFound,
    /// `Internal error`
    Internal,
}

impl ErrorClass {
    /// As messages name it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Required => "Required value",
            Self::Invalid => "Invalid value",
            Self::NotSupported => "Unsupported value",
            Self::Forbidden => "Forbidden",
            Self::Duplicate => "Duplicate value",
            Self::TooLong => "Too long",
            Self::TooMany => "Too many",
            Self::NotFound => "Not found",
            Self::Internal => "Internal error",
        }
    }
}

impl FieldError {
    fn new(
        field: impl Into<String>,
        class: ErrorClass,
        value: Option<String>,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            field: field.into(),
            class,
            value,
            detail: detail.into(),
        }
    }

    /// There is no value and has to be one.
    #[must_use]
    pub fn required(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(field, ErrorClass::Required, None, detail)
    }

    /// The value, already rendered, breaks a rule.
    #[must_use]
    pub fn invalid(
        field: impl Into<String>,
        value: impl Into<String>,
        detail: impl Into<String>,
    ) -> Self {
        Self::new(field, ErrorClass::Invalid, Some(value.into()), detail)
    }

    /// The value is none of those there are.
    #[must_use]
    pub fn unsupported(field: impl Into<String>, value: &str, supported: &[&str]) -> Self {
        let supported: Vec<String> = supported.iter().map(|value| quoted(value)).collect();
        let detail = format!("supported values: {}", supported.join(", "));
        Self::new(field, ErrorClass::NotSupported, Some(quoted(value)), detail)
    }

    /// There may be no value here.
    #[must_use]
    pub fn forbidden(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(field, ErrorClass::Forbidden, None, detail)
    }

    /// The value stands elsewhere already.
    #[must_use]
    pub fn duplicate(field: impl Into<String>, value: &str) -> Self {
        Self::new(field, ErrorClass::Duplicate, Some(quoted(value)), "")
    }

    /// The value names something that is not there.
    #[must_use]
    pub fn not_found(field: impl Into<String>, value: &str) -> Self {
        Self::new(field, ErrorClass::NotFound, Some(quoted(value)), "")
    }

    /// Everything but the field.
    #[must_use]
    pub fn cause(&self) -> String {
        let parts = [
            Some(self.class.as_str()),
            self.value.as_deref(),
            Some(self.detail.as_str()).filter(|detail| !detail.is_empty()),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(": ")
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.cause())
    }
}

/// A text as messages show it, and files that Kubernetes writes.
#[must_use]
pub fn quoted(text: &str) -> String {
    crate::text::quote(text.as_bytes())
}

/// The error of a number below zero.
#[must_use]
pub fn not_negative(field: impl Into<String>, value: Option<i64>) -> Option<FieldError> {
    let value = value.filter(|value| *value < 0)?;
    let detail = "must be greater than or equal to 0";
    Some(FieldError::invalid(field, value.to_string(), detail))
}
