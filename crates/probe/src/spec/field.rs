//! Validation errors of fields, with the texts of the API server.

use std::fmt;

/// Validation error of one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// Path of the field: `spec.template.spec.containers[0].livenessProbe.successThreshold`.
    pub field: String,
    /// Class of the error.
    pub class: ErrorClass,
    /// The value as the API server prints it; `None` for classes that print no value.
    pub value: Option<String>,
    /// Text after class and value; may be empty.
    pub detail: String,
}

/// Class of a validation error.
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
    /// Returns the text of the class: `Required value`.
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

    /// Creates the error of a missing value.
    #[must_use]
    pub fn required(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(field, ErrorClass::Required, None, detail)
    }

    /// Creates the error of a value that breaks a rule. `value` is the printed form.
    #[must_use]
    pub fn invalid(
        field: impl Into<String>,
        value: impl Into<String>,
        detail: impl Into<String>,
    ) -> Self {
        Self::new(field, ErrorClass::Invalid, Some(value.into()), detail)
    }

    /// Creates the error of a value that is not one of `supported`.
    #[must_use]
    pub fn unsupported(field: impl Into<String>, value: &str, supported: &[&str]) -> Self {
        let supported: Vec<String> = supported.iter().map(|value| quote(value)).collect();
        let detail = format!("supported values: {}", supported.join(", "));
        Self::new(field, ErrorClass::NotSupported, Some(quote(value)), detail)
    }

    /// Creates the error of a field that must not be set.
    #[must_use]
    pub fn forbidden(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(field, ErrorClass::Forbidden, None, detail)
    }

    /// Creates the error of a value that occurs twice.
    #[must_use]
    pub fn duplicate(field: impl Into<String>, value: &str) -> Self {
        Self::new(field, ErrorClass::Duplicate, Some(quote(value)), "")
    }

    /// Creates the error of a reference to an object that does not exist.
    #[must_use]
    pub fn not_found(field: impl Into<String>, value: &str) -> Self {
        Self::new(field, ErrorClass::NotFound, Some(quote(value)), "")
    }

    /// Returns the text without the field's path.
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

/// Quotes `text` as Go's `%q` does.
#[must_use]
pub fn quote(text: &str) -> String {
    crate::go_format::quote(text.as_bytes())
}

/// Returns an error if `value` is negative.
#[must_use]
pub fn validate_not_negative(field: impl Into<String>, value: Option<i64>) -> Option<FieldError> {
    let value = value.filter(|value| *value < 0)?;
    let detail = "must be greater than or equal to 0";
    Some(FieldError::invalid(field, value.to_string(), detail))
}
