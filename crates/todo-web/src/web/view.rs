//! Templates and their values. The template engine escapes all text.

use askama::Template;
use axum::response::{Html, IntoResponse as _, Response};
use compact_str::ToCompactString as _;
use http::StatusCode;
use jiff::Timestamp;
use jiff::tz::Offset;
use uuid::Uuid;

use super::App;
use super::error::AppError;
use super::undo::Deleted;
use super::visit::Visit;
use crate::item::{Item, MAX_LENGTH};
use crate::settings::DisplayedSetting;
use crate::store::{Access, Count};

/// Values of the base template.
pub(super) struct Frame<'a> {
    pub(super) banner: Option<&'a str>,
    pub(super) read_only: bool,
    /// Path of the current page in the navigation.
    pub(super) current: &'static str,
    /// Prefix of all paths.
    pub(super) prefix: &'a str,
    pub(super) token: &'a str,
    /// `true` if the page loads itself again after some seconds.
    pub(super) is_refreshed: bool,
}

impl<'a> Frame<'a> {
    pub(super) fn new(app: &'a App, visit: &'a Visit, current: &'static str) -> Self {
        Self {
            banner: app.settings().banner.as_deref(),
            read_only: app.database().access() == Access::ReadOnly,
            current,
            prefix: &visit.prefix,
            token: visit.token.as_str(),
            is_refreshed: false,
        }
    }
}

#[derive(Template)]
#[template(path = "home.html")]
pub(super) struct Home<'a> {
    pub(super) frame: Frame<'a>,
    pub(super) count: Count,
}

#[derive(Template)]
#[template(path = "list.html")]
pub(super) struct List<'a> {
    pub(super) frame: Frame<'a>,
    pub(super) items: Vec<Item>,
    /// `before` of the next page.
    pub(super) next: Option<i64>,
    /// Idempotency key of the form for a new item.
    pub(super) key: Uuid,
    /// Item that was deleted last, and can be added again with a key of its own.
    pub(super) deleted: Option<(Deleted, Uuid)>,
}

/// Approximate size of an item on the page, in bytes.
const ITEM_SIZE: usize = 512;

/// Time to the minute in UTC, for people and machines.
struct Minute([u8; 17]);

impl Minute {
    /// Writes the digits directly: a list has many times, for which formatting takes ten times as long. Years have four
    /// digits.
    fn new(time: &Timestamp) -> Self {
        let at = Offset::UTC.to_datetime(*time);
        let year = at.year().unsigned_abs();
        let mut text = *b"0000-00-00 00:00Z";
        let numbers = [
            (0, year / 100),
            (2, year % 100),
            (5, at.month().unsigned_abs().into()),
            (8, at.day().unsigned_abs().into()),
            (11, at.hour().unsigned_abs().into()),
            (14, at.minute().unsigned_abs().into()),
        ];
        for (position, number) in numbers {
            text[position] += (number / 10) as u8;
            text[position + 1] += (number % 10) as u8;
        }
        Self(text)
    }

    fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// Form of a new or existing item.
#[derive(Template)]
#[template(path = "form.html")]
pub(super) struct Form<'a> {
    pub(super) frame: Frame<'a>,
    pub(super) title: &'static str,
    pub(super) action: String,
    pub(super) text: &'a str,
    pub(super) error: Option<&'a AppError>,
    /// Idempotency key: a form that is sent twice adds one item.
    pub(super) key: Option<Uuid>,
    /// Version of the item that the form shows.
    pub(super) version: Option<i64>,
}

impl Form<'_> {
    /// Maximum length of the field. Browsers count UTF-16 units, of which a character can have two.
    fn max_length(&self) -> usize {
        2 * MAX_LENGTH
    }

    /// Returns `true` if the text is invalid, not the database's response.
    fn is_invalid(&self) -> bool {
        self.error.is_some_and(|error| error.field.is_some())
    }
}

#[derive(Template)]
#[template(path = "facts.html")]
pub(super) struct Facts<'a> {
    pub(super) frame: Frame<'a>,
    pub(super) title: &'static str,
    pub(super) facts: Vec<DisplayedSetting>,
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    frame: Frame<'a>,
    error: &'a AppError,
}

pub(super) fn page<T: Template>(status: StatusCode, template: &T) -> Response {
    render(status, template, T::SIZE_HINT)
}

/// Renders a page of items, each of which has less than [`ITEM_SIZE`] bytes unless its text is long.
pub(super) fn list(list: &List<'_>) -> Response {
    render(
        StatusCode::OK,
        list,
        List::SIZE_HINT + ITEM_SIZE * list.items.len(),
    )
}

fn render(status: StatusCode, template: &impl Template, size: usize) -> Response {
    let mut page = String::with_capacity(size);
    match template.render_into(&mut page) {
        Ok(()) => (status, Html(page)).into_response(),
        Err(error) => {
            tracing::error!(%error, "cannot render a page");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

pub(super) fn form(form: &Form<'_>) -> Response {
    match form.error {
        Some(error) => error.add_headers(page(error.status, form)),
        None => page(StatusCode::OK, form),
    }
}

pub(super) fn error(app: &App, visit: &Visit, error: &AppError) -> Response {
    let mut frame = Frame::new(app, visit, "");
    frame.is_refreshed = error.is_retryable() && visit.is_read;
    let response = page(error.status, &ErrorPage { frame, error });
    error.add_headers(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_has_minutes_in_utc() {
        for (at, shown) in [
            ("1970-01-01T00:00:00Z", "1970-01-01 00:00Z"),
            ("2026-11-25T13:09:59.999Z", "2026-11-25 13:09Z"),
            ("2026-12-31T23:59:00-01:00", "2027-01-01 00:59Z"),
            ("0987-06-05T04:03:02Z", "0987-06-05 04:03Z"),
            ("9999-12-30T21:00:00Z", "9999-12-30 21:00Z"),
        ] {
            let at: Timestamp = at.parse().unwrap();
            assert_eq!(Minute::new(&at).as_str(), shown);
        }
    }
}
