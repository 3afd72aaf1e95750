//! API: JSON requests, JSON responses, problem details for errors.

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::{HeaderMap, StatusCode, header};
use serde::{Deserialize, Serialize};

use super::App;
use super::error::AppError;
use super::json::{self, JsonObject};
use super::visit::Visit;
use crate::item::{Item, Text};
use crate::store::{Change, Created, Outcome};

/// Maximum number of items in a response.
const MAX_LIMIT: u16 = 1000;
/// Default number of items in a response.
const DEFAULT_LIMIT: u16 = 100;
/// Maximum length of an idempotency key, in bytes.
const MAX_KEY: usize = 128;
const IDEMPOTENCY_KEY: &str = "idempotency-key";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    before: Option<i64>,
    limit: Option<u16>,
}

#[derive(Debug, Serialize)]
struct List {
    items: Vec<Item>,
    /// `before` of the next page; `None` on the last page.
    next_before: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateItem {
    text: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UpdateItem {
    text: Option<String>,
    done: Option<bool>,
}

pub(super) async fn list(
    State(app): State<App>,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(page) = page.map_err(|error| bad_request(error.body_text()))?;
    let limit = page.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        let detail = format!("limit is {limit}; it should be from 1 to {MAX_LIMIT}");
        return Err(bad_request(detail));
    }
    let items = app
        .database()
        .read("list", |store| store.list(page.before, limit))
        .await?;
    let has_more = items.len() == usize::from(limit);
    let next_before = items.last().filter(|_| has_more).map(|item| item.id);
    Ok(Json(List { items, next_before }).into_response())
}

pub(super) async fn create(
    State(app): State<App>,
    Extension(visit): Extension<Visit>,
    headers: HeaderMap,
    JsonObject(body): JsonObject<CreateItem>,
) -> Result<Response, Problem> {
    let text = Text::parse(&body.text).map_err(AppError::from)?;
    let key = idempotency_key(&headers)?;
    let created = app
        .database()
        .write("create", |store| {
            let (text, key) = (text, key);
            async move { store.create(&text, key.as_deref()).await }
        })
        .await?;
    let (status, item) = match created {
        Created::New(item) => {
            app.database().count_created();
            (StatusCode::CREATED, item)
        }
        Created::Existing(item) => (StatusCode::OK, item),
        Created::KeyReused => {
            let detail = "An item was added with this Idempotency-Key and another text.";
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            return Err(AppError::new(status, "Invalid request", detail).into());
        }
    };
    let location = format!("{}/api/todos/{}", visit.prefix, item.id);
    let location = [(header::LOCATION, location)];
    Ok((status, location, item_response(&item)).into_response())
}

pub(super) async fn get(
    State(app): State<App>,
    id: Result<Path<i64>, PathRejection>,
) -> Result<Response, Problem> {
    let id = parse_id(id)?;
    let item = app.database().read("get", |store| store.get(id)).await?;
    let item = item.ok_or_else(|| AppError::no_item(id))?;
    Ok(item_response(&item))
}

pub(super) async fn update(
    State(app): State<App>,
    id: Result<Path<i64>, PathRejection>,
    headers: HeaderMap,
    JsonObject(body): JsonObject<UpdateItem>,
) -> Result<Response, Problem> {
    let id = parse_id(id)?;
    let text = body.text.map(|text| Text::parse(&text)).transpose();
    let change = Change {
        text: text.map_err(AppError::from)?,
        done: body.done,
        version: json::required_version(&headers)?,
    };
    let outcome = app
        .database()
        .write(
            "change",
            |store| async move { store.change(id, &change).await },
        )
        .await?;
    Ok(item_response(&require_done(id, outcome)?))
}

pub(super) async fn delete(
    State(app): State<App>,
    id: Result<Path<i64>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id = parse_id(id)?;
    let version = json::required_version(&headers)?;
    let outcome = app
        .database()
        .write("delete", |store| store.delete(id, version))
        .await?;
    require_done(id, outcome)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// OpenAPI description of the API.
pub(super) async fn description() -> impl IntoResponse {
    let media_type = [(
        header::CONTENT_TYPE,
        "application/vnd.oai.openapi+json;version=3.1",
    )];
    (media_type, include_str!("../../assets/openapi.json"))
}

pub(super) fn not_found() -> Response {
    AppError::new(StatusCode::NOT_FOUND, "Not found", "There is no such path.").into_problem()
}

pub(super) async fn method_not_allowed() -> Response {
    AppError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "Not allowed",
        "The path does not support this method; the Allow header has those that it supports.",
    )
    .into_problem()
}

fn item_response(item: &Item) -> Response {
    ([(header::ETAG, json::item_tag(item.version))], Json(item)).into_response()
}

fn require_done<T>(id: i64, outcome: Outcome<T>) -> Result<T, Problem> {
    match outcome {
        Outcome::Done(value) => Ok(value),
        Outcome::Missing => Err(AppError::no_item(id).into()),
        Outcome::Conflict(_) => Err(json::precondition_failed()),
    }
}

fn parse_id(id: Result<Path<i64>, PathRejection>) -> Result<i64, Problem> {
    let not_found = |_| {
        AppError::new(
            StatusCode::NOT_FOUND,
            "Not found",
            "Ids of items are integers.",
        )
    };
    Ok(id.map_err(not_found)?.0)
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    match value.to_str() {
        _ if values.next().is_some() => Err(bad_request("There are several Idempotency-Keys")),
        Ok(key) if (1..=MAX_KEY).contains(&key.len()) => Ok(Some(key.to_owned())),
        _ => {
            let detail = format!("Idempotency-Key should have 1 to {MAX_KEY} visible characters");
            Err(bad_request(detail))
        }
    }
}

fn bad_request(detail: impl Into<String>) -> Problem {
    AppError::new(StatusCode::BAD_REQUEST, "Invalid request", detail).into()
}

/// Error response of the API.
#[derive(Debug)]
pub(super) struct Problem(AppError);

impl<E: Into<AppError>> From<E> for Problem {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.0.into_problem()
    }
}
