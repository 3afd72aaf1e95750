//! Forms are taken only from pages of ours.
//!
//! A cookie that other sites cannot read, and a hidden field that repeats it. Any replica can compare the two, and none
//! has to remember anything.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::header::{self, HeaderValue};
use http::{HeaderMap, StatusCode};
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

use super::fault::Fault;

const COOKIE: &str = "csrf";

/// What a visitor's forms must repeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token(String);

impl Token {
    fn fresh() -> Self {
        Self(Uuid::new_v4().simple().to_string())
    }

    fn of(headers: &HeaderMap) -> Option<Self> {
        let mut cookies = headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'));
        let value =
            cookies.find_map(|cookie| cookie.trim().strip_prefix(COOKIE)?.strip_prefix('='))?;
        // Only what we could have given out goes into a page.
        Uuid::try_parse(value)
            .ok()
            .map(|id| Self(id.simple().to_string()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a form repeats it.
    pub(super) fn check(&self, repeated: &str) -> Result<(), Fault> {
        if bool::from(self.0.as_bytes().ct_eq(repeated.as_bytes())) {
            return Ok(());
        }
        Err(Fault::new(
            StatusCode::FORBIDDEN,
            "That form is not ours",
            "It came from another site, or from a page that is too old. Load the page again and repeat it. Nothing was changed.",
        ))
    }
}

/// Gives every visitor a token.
pub(super) async fn protect(mut request: Request, next: Next) -> Response {
    let known = Token::of(request.headers());
    let token = known.clone().unwrap_or_else(Token::fresh);
    request.extensions_mut().insert(token.clone());
    let mut response = next.run(request).await;
    if known.is_none() {
        let cookie = format!(
            "{COOKIE}={}; Path=/; HttpOnly; SameSite=Strict",
            token.as_str()
        );
        if let Ok(cookie) = HeaderValue::try_from(cookie) {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
    }
    response
}
