//! Properties of a request that every page needs: the token against cross-site request forgery, and the path prefix.
//!
//! A cookie that other sites cannot read, and a hidden field that repeats it, prove that a form is from this service. Any
//! replica can compare the two without shared state. The cookie is `SameSite=Lax`: a link on another site sends it, so
//! the link does not replace the token of forms that are open; a form on another site does not send it.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Method, StatusCode};
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

use super::App;
use super::error::AppError;

const COOKIE: &str = "csrf";
const FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");
/// Maximum length of a path prefix, in bytes.
const MAX_PREFIX: usize = 256;

/// Token that a visitor's forms repeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token(String);

impl Token {
    fn new() -> Self {
        Self(Uuid::new_v4().simple().to_string())
    }

    fn from_cookie(headers: &HeaderMap) -> Option<Self> {
        let mut cookies = headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'));
        let value =
            cookies.find_map(|cookie| cookie.trim().strip_prefix(COOKIE)?.strip_prefix('='))?;
        // A page contains tokens only in the form of this service.
        Uuid::try_parse(value)
            .ok()
            .map(|id| Self(id.simple().to_string()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Compares the token with a form's field.
    pub(super) fn check(&self, field: &str) -> Result<(), AppError> {
        if bool::from(self.0.as_bytes().ct_eq(field.as_bytes())) {
            return Ok(());
        }
        Err(AppError::new(
            StatusCode::FORBIDDEN,
            "The form has expired",
            "The form is from another session or another site. Nothing was changed. Send it again from this page.",
        ))
    }
}

/// Request extension for pages.
#[derive(Clone, Debug)]
pub(super) struct Visit {
    pub(super) token: Token,
    /// Prefix of all paths, without a slash at the end.
    pub(super) prefix: String,
    /// `true` if the request can be repeated by loading the page again.
    pub(super) is_read: bool,
}

/// Parses a path prefix. The result has no slash at the end.
///
/// # Errors
/// The prefix is not the path of a URL. `//host` would be another site.
pub(crate) fn parse_prefix(text: &str) -> Result<String, String> {
    let prefix = text.trim_end_matches('/');
    let is_path = prefix.starts_with('/') && !prefix.starts_with("//");
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "/-._~".contains(c);
    if prefix.is_empty()
        || (is_path && prefix.len() <= MAX_PREFIX && prefix.chars().all(is_allowed))
    {
        return Ok(prefix.to_owned());
    }
    Err("expected a path such as /todo, of letters, digits and -._~".to_owned())
}

/// Adds the [`Visit`], and the cookie to pages without one.
pub(super) async fn identify(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let known = Token::from_cookie(request.headers());
    let forwarded = request.headers().get(FORWARDED_PREFIX);
    let forwarded = forwarded.and_then(|value| parse_prefix(value.to_str().ok()?).ok());
    let visit = Visit {
        token: known.clone().unwrap_or_else(Token::new),
        prefix: forwarded.unwrap_or_else(|| app.0.path_prefix.clone()),
        is_read: [Method::GET, Method::HEAD].contains(request.method()),
    };
    // The response to another site's form must not replace the token of open forms.
    let needs_cookie = known.is_none() && visit.is_read && super::is_page(&request);
    let cookie = format!(
        "{COOKIE}={}; Path={}/; HttpOnly; SameSite=Lax",
        visit.token.as_str(),
        visit.prefix
    );
    request.extensions_mut().insert(visit);
    let mut response = next.run(request).await;
    if needs_cookie && let Ok(cookie) = HeaderValue::try_from(cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::parse_prefix;

    #[test]
    fn prefix_is_a_path_of_this_site() {
        for (text, expected) in [
            ("", Some("")),
            ("/", Some("")),
            ("/todo", Some("/todo")),
            ("/a/b.c/", Some("/a/b.c")),
            ("todo", None),
            ("//evil.example", None),
            ("/a b", None),
            ("/a\"", None),
            ("https://evil.example", None),
        ] {
            assert_eq!(parse_prefix(text).ok().as_deref(), expected, "{text}");
        }
    }
}
