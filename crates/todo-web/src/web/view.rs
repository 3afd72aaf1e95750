//! Templates and what goes into them. Everything that somebody wrote is escaped by the template engine.

use askama::Template;
use axum::response::{Html, IntoResponse as _, Response};
use compact_str::ToCompactString as _;
use http::StatusCode;
use jiff::Timestamp;
use jiff::tz::Offset;

use super::App;
use super::csrf::Token;
use super::fault::Fault;
use crate::item::{Item, LONGEST};
use crate::settings::Shown;
use crate::store::{Access, Count};

/// What every page has around it.
pub(super) struct Frame<'a> {
    pub(super) banner: Option<&'a str>,
    pub(super) read_only: bool,
    pub(super) here: &'static str,
}

impl<'a> Frame<'a> {
    pub(super) fn new(app: &'a App, here: &'static str) -> Self {
        Self {
            banner: app.settings().banner.as_deref(),
            read_only: app.database().access() == Access::ReadOnly,
            here,
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
    pub(super) next: Option<i64>,
    pub(super) token: &'a Token,
}

const ITEM: usize = 384;

/// A time as people and machines read it.
struct Minute([u8; 17]);

impl Minute {
    /// By hand, because there are many of them in a list: formatting takes ten times as long. Years are those of PostgreSQL
    /// and of people, up to 9999.
    fn of(at: &Timestamp) -> Self {
        let at = Offset::UTC.to_datetime(*at);
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
        for (place, number) in numbers {
            text[place] += (number / 10) as u8;
            text[place + 1] += (number % 10) as u8;
        }
        Self(text)
    }

    fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// The form of an item that is new, or that is there already.
#[derive(Template)]
#[template(path = "form.html")]
pub(super) struct Form<'a> {
    pub(super) frame: Frame<'a>,
    pub(super) title: &'static str,
    pub(super) action: String,
    pub(super) text: &'a str,
    pub(super) fault: Option<&'a Fault>,
    /// What makes a form that is sent twice one item.
    pub(super) key: Option<String>,
    pub(super) token: &'a Token,
}

impl Form<'_> {
    /// Browsers count UTF-16 units, of which a character may be two: none of what is allowed is to be kept out.
    fn longest_value(&self) -> usize {
        2 * LONGEST
    }

    /// Whether what was written is to blame, and not the database.
    fn is_invalid(&self) -> bool {
        self.fault.is_some_and(|fault| fault.field.is_some())
    }
}

#[derive(Template)]
#[template(path = "facts.html")]
pub(super) struct Facts<'a> {
    pub(super) frame: Frame<'a>,
    pub(super) title: &'static str,
    pub(super) facts: Vec<Shown>,
}

#[derive(Template)]
#[template(path = "fault.html")]
struct Failed<'a> {
    frame: Frame<'a>,
    fault: &'a Fault,
}

pub(super) fn page<T: Template>(status: StatusCode, template: &T) -> Response {
    sized(status, template, T::SIZE_HINT)
}

/// A page of items, of which each takes less than [`ITEM`] bytes unless its text is long.
pub(super) fn list(list: &List<'_>) -> Response {
    sized(
        StatusCode::OK,
        list,
        List::SIZE_HINT + ITEM * list.items.len(),
    )
}

fn sized(status: StatusCode, template: &impl Template, size: usize) -> Response {
    let mut page = String::with_capacity(size);
    match template.render_into(&mut page) {
        Ok(()) => (status, Html(page)).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

pub(super) fn form(form: &Form<'_>) -> Response {
    match form.fault {
        Some(fault) => fault.with_retry(page(fault.status, form)),
        None => page(StatusCode::OK, form),
    }
}

pub(super) fn fault(app: &App, fault: &Fault) -> Response {
    let frame = Frame::new(app, "");
    let response = page(fault.status, &Failed { frame, fault });
    fault.with_retry(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_shown_to_the_minute_in_utc() {
        for (at, shown) in [
            ("1970-01-01T00:00:00Z", "1970-01-01 00:00Z"),
            ("2026-11-25T13:09:59.999Z", "2026-11-25 13:09Z"),
            ("2026-12-31T23:59:00-01:00", "2027-01-01 00:59Z"),
            ("0987-06-05T04:03:02Z", "0987-06-05 04:03Z"),
            ("9999-12-30T21:00:00Z", "9999-12-30 21:00Z"),
        ] {
            let at: Timestamp = at.parse().unwrap();
            assert_eq!(Minute::of(&at).as_str(), shown);
        }
    }
}
