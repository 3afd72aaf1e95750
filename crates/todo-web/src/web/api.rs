//! The list for programs: JSON in, JSON or problem details out.

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use serde::{Deserialize, Serialize};

use super::App;
use super::fault::Fault;
use crate::item::{Item, Text};
use crate::store::Change;

/// The most items of one answer, and how many there are unless something else is asked for.
const MOST: u16 = 1000;
const USUAL: u16 = 100;
/// The longest key that a client may send again.
const LONGEST_KEY: usize = 128;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    before: Option<i64>,
    limit: Option<u16>,
}

#[derive(Debug, Serialize)]
struct List {
    items: Vec<Item>,
    /// Where the next answer begins; none after the last.
    next_before: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct New {
    text: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Changed {
    text: Option<String>,
    done: Option<bool>,
}

pub(super) async fn list(
    State(app): State<App>,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(page) = page.map_err(|error| bad_request(error.body_text()))?;
    let limit = page.limit.unwrap_or(USUAL);
    if !(1..=MOST).contains(&limit) {
        let detail = format!("limit is {limit}; it should be from 1 to {MOST}");
        return Err(bad_request(detail));
    }
    let items = app
        .database()
        .read("list", |store| store.list(page.before, limit))
        .await?;
    let more = items.len() == usize::from(limit);
    let next_before = items.last().filter(|_| more).map(|item| item.id);
    Ok(Json(List { items, next_before }).into_response())
}

pub(super) async fn create(
    State(app): State<App>,
    headers: HeaderMap,
    body: Result<Json<New>, JsonRejection>,
) -> Result<Response, Problem> {
    let Json(new) = body.map_err(|error| unreadable(&error))?;
    let text = Text::parse(&new.text).map_err(Fault::from)?;
    let key = idempotency_key(&headers)?;
    let created = app
        .database()
        .write("create", |store| {
            let (text, key) = (text, key);
            async move { store.create(&text, key.as_deref()).await }
        })
        .await?;
    if created.new {
        app.database().created();
    }
    let status = if created.new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    let location = format!("/api/todos/{}", created.item.id);
    Ok((status, [(header::LOCATION, location)], Json(created.item)).into_response())
}

pub(super) async fn get(
    State(app): State<App>,
    id: Result<Path<i64>, PathRejection>,
) -> Result<Response, Problem> {
    let id = number(id)?;
    let item = app.database().read("get", |store| store.get(id)).await?;
    found(id, item)
}

pub(super) async fn change(
    State(app): State<App>,
    id: Result<Path<i64>, PathRejection>,
    body: Result<Json<Changed>, JsonRejection>,
) -> Result<Response, Problem> {
    let id = number(id)?;
    let Json(changed) = body.map_err(|error| unreadable(&error))?;
    let text = changed.text.map(|text| Text::parse(&text)).transpose();
    let change = Change {
        text: text.map_err(Fault::from)?,
        done: changed.done,
    };
    let item = app
        .database()
        .write(
            "change",
            |store| async move { store.change(id, &change).await },
        )
        .await?;
    found(id, item)
}

pub(super) async fn delete(
    State(app): State<App>,
    id: Result<Path<i64>, PathRejection>,
) -> Result<Response, Problem> {
    let id = number(id)?;
    if app
        .database()
        .write("delete", |store| store.delete(id))
        .await?
    {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    Err(Fault::no_item(id).into())
}

/// What all of this is, for programs that write programs.
pub(super) async fn description() -> impl IntoResponse {
    let kind = [(
        header::CONTENT_TYPE,
        "application/vnd.oai.openapi+json;version=3.1",
    )];
    (kind, include_str!("../../assets/openapi.json"))
}

pub(super) fn not_found() -> Response {
    Fault::new(StatusCode::NOT_FOUND, "Not found", "There is no such path.").into_problem()
}

pub(super) async fn method_not_allowed() -> Response {
    Fault::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "Not allowed",
        "There is such a path, and it does not do that; the Allow header says what it does.",
    )
    .into_problem()
}

fn found(id: i64, item: Option<Item>) -> Result<Response, Problem> {
    match item {
        Some(item) => Ok(Json(item).into_response()),
        None => Err(Fault::no_item(id).into()),
    }
}

fn number(id: Result<Path<i64>, PathRejection>) -> Result<i64, Problem> {
    let none = |_| {
        Fault::new(
            StatusCode::NOT_FOUND,
            "Not found",
            "Items have whole numbers.",
        )
    };
    Ok(id.map_err(none)?.0)
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    match value.to_str() {
        Ok(key) if (1..=LONGEST_KEY).contains(&key.len()) => Ok(Some(key.to_owned())),
        _ => {
            let detail =
                format!("Idempotency-Key should have 1 to {LONGEST_KEY} visible characters");
            Err(bad_request(detail))
        }
    }
}

fn bad_request(detail: impl Into<String>) -> Problem {
    Fault::new(StatusCode::BAD_REQUEST, "Bad request", detail).into()
}

fn unreadable(error: &JsonRejection) -> Problem {
    Fault::new(error.status(), "That cannot be read", error.body_text()).into()
}

/// A fault told to a program.
#[derive(Debug)]
pub(super) struct Problem(Fault);

impl<F: Into<Fault>> From<F> for Problem {
    fn from(fault: F) -> Self {
        Self(fault.into())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.0.into_problem()
    }
}
