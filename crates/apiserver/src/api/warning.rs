//! `Warning` response headers (RFC 7234, section 5.5), which kubectl prints.

use http::{HeaderMap, HeaderValue};

/// Appends a warning with code 299 ("miscellaneous persistent warning"). A text that no header can hold is dropped.
pub(super) fn append(headers: &mut HeaderMap, text: &str) {
    if let Ok(value) = HeaderValue::from_str(&format!("299 - {text:?}")) {
        headers.append(http::header::WARNING, value);
    }
}
