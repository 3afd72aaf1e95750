//! Templates and what goes into them. Everything that somebody wrote is escaped by the template engine.

use askama::Template;
use axum::response::{Html, IntoResponse as _, Response};
use http::StatusCode;

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

/// The form of an item that is new, or that is there already.
#[derive(Template)]
#[template(path = "form.html")]
pub(super) struct Form<'a> {
    pub(super) frame: Frame<'a>,
    pub(super) title: &'static str,
    pub(super) action: String,
    pub(super) text: &'a str,
    pub(super) error: Option<String>,
    /// What makes a form that is sent twice one item.
    pub(super) key: Option<String>,
    pub(super) token: &'a Token,
}

impl Form<'_> {
    fn longest(&self) -> usize {
        LONGEST
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

pub(super) fn page(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(page) => (status, Html(page)).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

pub(super) fn fault(app: &App, fault: &Fault) -> Response {
    let frame = Frame::new(app, "");
    let response = page(fault.status, &Failed { frame, fault });
    fault.with_retry(response)
}
