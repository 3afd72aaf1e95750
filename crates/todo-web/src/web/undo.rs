//! Undo of a deletion: a cookie has the deleted item until the list is shown, which offers to add it again.

use axum::response::Response;
use http::HeaderMap;
use http::header::{self, HeaderValue};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::{Deserialize, Serialize};

use super::visit::Visit;
use crate::item::Item;

const COOKIE: &str = "undo";
/// Lifetime of the cookie in seconds, for a visitor who does not return to the list.
const MAX_AGE: u32 = 60;

/// Item that was deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Deleted {
    pub(super) text: String,
    pub(super) done: bool,
}

impl Deleted {
    /// Reads the cookie. Its content is a visitor's own, and is validated as any other form when it is sent.
    pub(super) fn from_cookie(headers: &HeaderMap) -> Option<Self> {
        let mut cookies = headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'));
        let value =
            cookies.find_map(|cookie| cookie.trim().strip_prefix(COOKIE)?.strip_prefix('='))?;
        let text = percent_decode_str(value).decode_utf8().ok()?;
        serde_json::from_str(&text).ok()
    }
}

/// Adds the cookie of a deleted item.
pub(super) fn remember(item: Item, visit: &Visit, response: Response) -> Response {
    let deleted = Deleted {
        text: item.text.into_string(),
        done: item.done,
    };
    let json = serde_json::to_string(&deleted).unwrap_or_default();
    let value = utf8_percent_encode(&json, NON_ALPHANUMERIC);
    set_cookie(visit, &value.to_string(), MAX_AGE, response)
}

/// Removes the cookie.
pub(super) fn forget(visit: &Visit, response: Response) -> Response {
    set_cookie(visit, "", 0, response)
}

fn set_cookie(visit: &Visit, value: &str, max_age: u32, mut response: Response) -> Response {
    let prefix = &visit.prefix;
    let cookie = format!(
        "{COOKIE}={value}; Path={prefix}/list; Max-Age={max_age}; HttpOnly; SameSite=Strict"
    );
    if let Ok(cookie) = HeaderValue::try_from(cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}
