//! Pages of the list. Every form works without a script.

use axum::Extension;
use axum::extract::rejection::{FormRejection, PathRejection, QueryRejection};
use axum::extract::{Form, Path, Query, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use serde::Deserialize;
use uuid::Uuid;

use super::App;
use super::error::AppError;
use super::undo::{self, Deleted};
use super::view::{self, Facts, Frame, Home, List};
use super::visit::Visit;
use crate::database;
use crate::item::{Item, Text};
use crate::settings::DisplayedSetting;
use crate::store::{Change, Created, Outcome, StoreError};

/// Number of items on a page.
const PAGE_SIZE: u16 = 100;

#[derive(Debug, Deserialize)]
pub(super) struct ListQuery {
    before: Option<i64>,
}

/// Fields of the forms for new and existing items.
#[derive(Debug, Deserialize)]
pub(super) struct ItemFields {
    #[serde(default)]
    csrf: String,
    text: String,
    key: Option<String>,
    version: Option<i64>,
    /// State of an item that is added again.
    #[serde(default)]
    done: bool,
}

/// Fields of the buttons beside an item.
#[derive(Debug, Deserialize)]
pub(super) struct ButtonFields {
    #[serde(default)]
    csrf: String,
    /// Value of the button that marks an item as not done; the other one has none.
    #[serde(default = "default_done")]
    done: bool,
}

fn default_done() -> bool {
    true
}

type Id = Result<Path<i64>, PathRejection>;
type Fields<T> = Result<Form<T>, FormRejection>;

pub(super) async fn home(State(app): State<App>, Extension(visit): Extension<Visit>) -> Response {
    match app.database().read("count", |store| store.count()).await {
        Ok(count) => {
            let frame = Frame::new(&app, &visit, "/");
            view::page(StatusCode::OK, &Home { frame, count })
        }
        Err(error) => view::error(&app, &visit, &error.into()),
    }
}

pub(super) async fn list(
    State(app): State<App>,
    Extension(visit): Extension<Visit>,
    query: Result<Query<ListQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let before = query.ok().and_then(|Query(query)| query.before);
    match app
        .database()
        .read("list", |store| store.list(before, PAGE_SIZE))
        .await
    {
        Ok(items) => {
            let is_full = items.len() == usize::from(PAGE_SIZE);
            let next = items.last().filter(|_| is_full).map(|item| item.id);
            let deleted = Deleted::from_cookie(&headers).map(|item| (item, Uuid::new_v4()));
            let was_deleted = deleted.is_some();
            let page = view::list(&List {
                frame: Frame::new(&app, &visit, "/list"),
                items,
                next,
                key: Uuid::new_v4(),
                deleted,
            });
            match was_deleted {
                true => undo::forget(&visit, page),
                false => page,
            }
        }
        Err(error) => view::error(&app, &visit, &error.into()),
    }
}

pub(super) async fn new_form(
    State(app): State<App>,
    Extension(visit): Extension<Visit>,
) -> Response {
    new_page(&app, &visit, "", None, Uuid::new_v4())
}

fn new_page(app: &App, visit: &Visit, text: &str, error: Option<&AppError>, key: Uuid) -> Response {
    let form = view::Form {
        frame: Frame::new(app, visit, "/new"),
        title: "New item",
        action: format!("{}/new", visit.prefix),
        text,
        error,
        key: Some(key),
        version: None,
    };
    view::form(&form)
}

pub(super) async fn new(
    State(app): State<App>,
    Extension(visit): Extension<Visit>,
    fields: Fields<ItemFields>,
) -> Response {
    let fields = match parse(fields) {
        Ok(fields) => fields,
        Err(error) => return view::error(&app, &visit, &error),
    };
    // The key makes a form that is sent twice add one item. Other values are replaced.
    let key = fields.key.and_then(|key| Uuid::try_parse(&key).ok());
    let key = key.unwrap_or_else(Uuid::new_v4);
    match create(&app, &visit, &fields.csrf, &fields.text, key).await {
        Ok(Created::New(item)) => {
            app.database().count_created();
            if fields.done {
                let change = Change {
                    done: Some(true),
                    ..Change::default()
                };
                if let Err(error) = change_item(&app, item.id, change).await {
                    return view::error(&app, &visit, &error.into());
                }
            }
            to_list(&visit)
        }
        Ok(Created::Existing(_)) => to_list(&visit),
        // The visitor went back and changed the text: a new item is meant.
        Ok(Created::KeyReused) => {
            let error = AppError::new(
                StatusCode::CONFLICT,
                "Added before",
                "This form has added an item with another text. Save again to add this one, too.",
            );
            new_page(&app, &visit, &fields.text, Some(&error), Uuid::new_v4())
        }
        // The page keeps the text and the key: sent again, the item is added once.
        Err(error) => new_page(&app, &visit, &fields.text, Some(&error), key),
    }
}

async fn create(
    app: &App,
    visit: &Visit,
    csrf: &str,
    text: &str,
    key: Uuid,
) -> Result<Created, AppError> {
    visit.token.check(csrf)?;
    let (text, key) = (Text::parse(text)?, key.to_string());
    let created = app.database().write("create", |store| async move {
        store.create(&text, Some(&key)).await
    });
    Ok(created.await?)
}

pub(super) async fn edit_form(
    State(app): State<App>,
    Extension(visit): Extension<Visit>,
    id: Id,
) -> Response {
    let id = match parse_id(id) {
        Ok(id) => id,
        Err(error) => return view::error(&app, &visit, &error),
    };
    match app.database().read("get", |store| store.get(id)).await {
        Ok(Some(item)) => edit_page(&app, &visit, id, &item.text, None, Some(item.version)),
        Ok(None) => view::error(&app, &visit, &AppError::no_item(id)),
        Err(error) => view::error(&app, &visit, &error.into()),
    }
}

fn edit_page(
    app: &App,
    visit: &Visit,
    id: i64,
    text: &str,
    error: Option<&AppError>,
    version: Option<i64>,
) -> Response {
    let form = view::Form {
        frame: Frame::new(app, visit, ""),
        title: "Edit item",
        action: format!("{}/items/{id}/edit", visit.prefix),
        text,
        error,
        key: None,
        version,
    };
    view::form(&form)
}

pub(super) async fn edit(
    State(app): State<App>,
    Extension(visit): Extension<Visit>,
    id: Id,
    fields: Fields<ItemFields>,
) -> Response {
    let (id, fields) = match both(id, parse(fields)) {
        Ok(both) => both,
        Err(error) => return view::error(&app, &visit, &error),
    };
    let version = fields.version;
    let change = visit.token.check(&fields.csrf).and_then(|()| {
        let text = Some(Text::parse(&fields.text)?);
        Ok(Change {
            text,
            done: None,
            version,
        })
    });
    let outcome = match change {
        Ok(change) => change_item(&app, id, change).await.map_err(Into::into),
        Err(error) => Err(error),
    };
    match outcome {
        Ok(Outcome::Done(_)) => to_list(&visit),
        Ok(Outcome::Missing) => view::error(&app, &visit, &AppError::no_item(id)),
        Ok(Outcome::Conflict(item)) => {
            let detail = format!(
                "The item was changed to “{}” in the meantime. Save again to replace that.",
                item.text
            );
            let error = AppError::new(StatusCode::CONFLICT, "Changed in the meantime", detail);
            let version = Some(item.version);
            edit_page(&app, &visit, id, &fields.text, Some(&error), version)
        }
        Err(error) => edit_page(&app, &visit, id, &fields.text, Some(&error), version),
    }
}

pub(super) async fn done(
    State(app): State<App>,
    Extension(visit): Extension<Visit>,
    id: Id,
    fields: Fields<ButtonFields>,
) -> Response {
    let (id, fields) = match both(id, parse(fields)).and_then(|(id, fields)| {
        visit.token.check(&fields.csrf)?;
        Ok((id, fields))
    }) {
        Ok(both) => both,
        Err(error) => return view::error(&app, &visit, &error),
    };
    let change = Change {
        done: Some(fields.done),
        ..Change::default()
    };
    match change_item(&app, id, change).await {
        Ok(Outcome::Done(_)) => to_list(&visit),
        Ok(_) => view::error(&app, &visit, &AppError::no_item(id)),
        Err(error) => view::error(&app, &visit, &error.into()),
    }
}

pub(super) async fn delete(
    State(app): State<App>,
    Extension(visit): Extension<Visit>,
    id: Id,
    fields: Fields<ButtonFields>,
) -> Response {
    let id = match both(id, parse(fields)).and_then(|(id, fields)| {
        visit.token.check(&fields.csrf)?;
        Ok(id)
    }) {
        Ok(id) => id,
        Err(error) => return view::error(&app, &visit, &error),
    };
    match app
        .database()
        .write("delete", |store| store.delete(id, None))
        .await
    {
        Ok(Outcome::Done(item)) => undo::remember(item, &visit, to_list(&visit)),
        // An item that was deleted before is deleted.
        Ok(_) => to_list(&visit),
        Err(error) => view::error(&app, &visit, &error.into()),
    }
}

async fn change_item(app: &App, id: i64, change: Change) -> Result<Outcome<Item>, StoreError> {
    app.database()
        .write(
            "change",
            |store| async move { store.change(id, &change).await },
        )
        .await
}

pub(super) async fn diagnostics(
    State(app): State<App>,
    Extension(visit): Extension<Visit>,
) -> Response {
    let state = match app.database().state() {
        database::State::Unknown => "not checked yet".to_owned(),
        database::State::Up(access) => format!("available ({access:?})"),
        // The reason may name hosts and roles; it is in the log.
        database::State::Down(_) => "unavailable".to_owned(),
    };
    let host = nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned());
    let up = Timestamp::now().duration_since(app.0.started);
    let fact = |key: &str, value: String| DisplayedSetting {
        key: key.to_owned(),
        value,
        source: String::new(),
    };
    let facts = vec![
        fact("Version", env!("CARGO_PKG_VERSION").to_owned()),
        fact("Host", host.unwrap_or_default()),
        fact("Started", app.0.started.to_string()),
        fact("Up", format!("{} s", up.as_secs())),
        fact("Database", app.settings().provider.name().to_owned()),
        fact("Database state", state),
        fact("Ready when", format!("{:?}", app.0.policy)),
    ];
    let frame = Frame::new(&app, &visit, "/diagnostics");
    view::page(
        StatusCode::OK,
        &Facts {
            frame,
            title: "Diagnostics",
            facts,
        },
    )
}

pub(super) async fn config(State(app): State<App>, Extension(visit): Extension<Visit>) -> Response {
    if !app.settings().config_page {
        return not_found(&app, &visit);
    }
    let facts = app.settings().displayed.clone();
    let frame = Frame::new(&app, &visit, "/config");
    view::page(
        StatusCode::OK,
        &Facts {
            frame,
            title: "Settings",
            facts,
        },
    )
}

pub(super) async fn method_not_allowed(
    State(app): State<App>,
    Extension(visit): Extension<Visit>,
) -> Response {
    let error = AppError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "Not allowed",
        "The page does not support this method.",
    );
    view::error(&app, &visit, &error)
}

pub(super) fn not_found(app: &App, visit: &Visit) -> Response {
    let error = AppError::new(StatusCode::NOT_FOUND, "Not found", "There is no such page.");
    view::error(app, visit, &error)
}

fn to_list(visit: &Visit) -> Response {
    Redirect::to(&format!("{}/list", visit.prefix)).into_response()
}

fn parse_id(id: Id) -> Result<i64, AppError> {
    let not_found = |_| AppError::new(StatusCode::NOT_FOUND, "Not found", "There is no such page.");
    Ok(id.map_err(not_found)?.0)
}

fn both<T>(id: Id, fields: Result<T, AppError>) -> Result<(i64, T), AppError> {
    Ok((parse_id(id)?, fields?))
}

fn parse<T>(fields: Fields<T>) -> Result<T, AppError> {
    let Form(fields) =
        fields.map_err(|error| AppError::new(error.status(), "Invalid form", error.body_text()))?;
    Ok(fields)
}
