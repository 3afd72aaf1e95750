//! The list for people. Every form works without a script.

use axum::Extension;
use axum::extract::rejection::{FormRejection, PathRejection, QueryRejection};
use axum::extract::{Form, Path, Query, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use http::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;
use uuid::Uuid;

use super::App;
use super::csrf::Token;
use super::fault::Fault;
use super::view::{self, Facts, Frame, Home, List};
use crate::database;
use crate::item::{Item, Text};
use crate::settings::Shown;
use crate::store::{Change, StoreError};

/// How many items a page has.
const PAGE: u16 = 100;

#[derive(Debug, Deserialize)]
pub(super) struct Older {
    before: Option<i64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Written {
    #[serde(default)]
    csrf: String,
    text: String,
    key: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Pressed {
    #[serde(default)]
    csrf: String,
    /// What the button that takes a mark away says; the one that sets it has nothing to add.
    #[serde(default = "marked")]
    done: bool,
}

fn marked() -> bool {
    true
}

type Id = Result<Path<i64>, PathRejection>;
type Fields<T> = Result<Form<T>, FormRejection>;

pub(super) async fn home(State(app): State<App>) -> Response {
    match app.database().read("count", |store| store.count()).await {
        Ok(count) => {
            let frame = Frame::new(&app, "/");
            view::page(StatusCode::OK, &Home { frame, count })
        }
        Err(error) => view::fault(&app, &error.into()),
    }
}

pub(super) async fn list(
    State(app): State<App>,
    Extension(token): Extension<Token>,
    older: Result<Query<Older>, QueryRejection>,
) -> Response {
    let before = older.ok().and_then(|Query(older)| older.before);
    match app
        .database()
        .read("list", |store| store.list(before, PAGE))
        .await
    {
        Ok(items) => {
            let full = items.len() == usize::from(PAGE);
            let next = items.last().filter(|_| full).map(|item| item.id);
            let (frame, token) = (Frame::new(&app, "/list"), &token);
            view::list(&List {
                frame,
                items,
                next,
                token,
            })
        }
        Err(error) => view::fault(&app, &error.into()),
    }
}

pub(super) async fn new_form(
    State(app): State<App>,
    Extension(token): Extension<Token>,
) -> Response {
    new_page(&app, &token, "", None, Uuid::new_v4().to_string())
}

fn new_page(app: &App, token: &Token, text: &str, fault: Option<&Fault>, key: String) -> Response {
    let form = view::Form {
        frame: Frame::new(app, "/new"),
        title: "New item",
        action: "/new".to_owned(),
        text,
        fault,
        key: Some(key),
        token,
    };
    view::form(&form)
}

pub(super) async fn new(
    State(app): State<App>,
    Extension(token): Extension<Token>,
    fields: Fields<Written>,
) -> Response {
    let written = match checked(fields, &token, |written| &written.csrf) {
        Ok(written) => written,
        Err(fault) => return view::fault(&app, &fault),
    };
    // A form sent twice adds one item; whatever else stands there is no key of ours.
    let key = written.key.filter(|key| Uuid::try_parse(key).is_ok());
    let key = key.unwrap_or_else(|| Uuid::new_v4().to_string());
    let text = match Text::parse(&written.text) {
        Ok(text) => text,
        Err(error) => return new_page(&app, &token, &written.text, Some(&error.into()), key),
    };
    let created = app
        .database()
        .write("create", |store| async {
            store.create(&text, Some(&key)).await
        })
        .await;
    match created {
        Ok(created) => {
            if created.new {
                app.database().created();
            }
            to_list()
        }
        // With what was written, and its key: sent again, it is added once.
        Err(error) => new_page(&app, &token, text.as_str(), Some(&error.into()), key),
    }
}

pub(super) async fn edit_form(
    State(app): State<App>,
    Extension(token): Extension<Token>,
    id: Id,
) -> Response {
    let id = match number(id) {
        Ok(id) => id,
        Err(fault) => return view::fault(&app, &fault),
    };
    match app.database().read("get", |store| store.get(id)).await {
        Ok(Some(item)) => edit_page(&app, &token, id, &item.text, None),
        Ok(None) => view::fault(&app, &Fault::no_item(id)),
        Err(error) => view::fault(&app, &error.into()),
    }
}

fn edit_page(app: &App, token: &Token, id: i64, text: &str, fault: Option<&Fault>) -> Response {
    let form = view::Form {
        frame: Frame::new(app, ""),
        title: "Edit item",
        action: format!("/items/{id}/edit"),
        text,
        fault,
        key: None,
        token,
    };
    view::form(&form)
}

pub(super) async fn edit(
    State(app): State<App>,
    Extension(token): Extension<Token>,
    id: Id,
    fields: Fields<Written>,
) -> Response {
    let (id, written) = match both(id, checked(fields, &token, |written| &written.csrf)) {
        Ok(both) => both,
        Err(fault) => return view::fault(&app, &fault),
    };
    let text = match Text::parse(&written.text) {
        Ok(text) => text,
        Err(error) => return edit_page(&app, &token, id, &written.text, Some(&error.into())),
    };
    let text = Some(text);
    match change(&app, id, Change { text, done: None }).await {
        Ok(Some(_)) => to_list(),
        Ok(None) => view::fault(&app, &Fault::no_item(id)),
        Err(error) => edit_page(&app, &token, id, &written.text, Some(&error.into())),
    }
}

pub(super) async fn done(
    State(app): State<App>,
    Extension(token): Extension<Token>,
    id: Id,
    fields: Fields<Pressed>,
) -> Response {
    match both(id, checked(fields, &token, |pressed| &pressed.csrf)) {
        Ok((id, pressed)) => {
            let done = Some(pressed.done);
            match change(&app, id, Change { text: None, done }).await {
                Ok(Some(_)) => to_list(),
                Ok(None) => view::fault(&app, &Fault::no_item(id)),
                Err(error) => view::fault(&app, &error.into()),
            }
        }
        Err(fault) => view::fault(&app, &fault),
    }
}

pub(super) async fn delete(
    State(app): State<App>,
    Extension(token): Extension<Token>,
    id: Id,
    fields: Fields<Pressed>,
) -> Response {
    let id = match both(id, checked(fields, &token, |pressed| &pressed.csrf)) {
        Ok((id, _)) => id,
        Err(fault) => return view::fault(&app, &fault),
    };
    match app
        .database()
        .write("delete", |store| store.delete(id))
        .await
    {
        // One that is gone already is what was wanted.
        Ok(_) => to_list(),
        Err(error) => view::fault(&app, &error.into()),
    }
}

async fn change(app: &App, id: i64, change: Change) -> Result<Option<Item>, StoreError> {
    app.database()
        .write(
            "change",
            |store| async move { store.change(id, &change).await },
        )
        .await
}

pub(super) async fn diagnostics(State(app): State<App>) -> Response {
    let state = match app.database().state() {
        database::State::Unknown => "has not answered yet".to_owned(),
        database::State::Up(access) => format!("answers ({access:?})"),
        // Its words may name hosts and roles; they are in the log.
        database::State::Down(_) => "does not answer".to_owned(),
    };
    let host = nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned());
    let up = Timestamp::now().duration_since(app.0.started);
    let fact = |key: &str, value: String| Shown {
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
    let frame = Frame::new(&app, "/diagnostics");
    view::page(
        StatusCode::OK,
        &Facts {
            frame,
            title: "Diagnostics",
            facts,
        },
    )
}

pub(super) async fn config(State(app): State<App>) -> Response {
    if !app.settings().config_page {
        return not_found(State(app)).await;
    }
    let facts = app.settings().shown.clone();
    let frame = Frame::new(&app, "/config");
    view::page(
        StatusCode::OK,
        &Facts {
            frame,
            title: "Settings",
            facts,
        },
    )
}

pub(super) async fn method_not_allowed(State(app): State<App>) -> Response {
    let fault = Fault::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "Not allowed",
        "There is such a page, and it does not do that.",
    );
    view::fault(&app, &fault)
}

pub(super) async fn not_found(State(app): State<App>) -> Response {
    let fault = Fault::new(StatusCode::NOT_FOUND, "Not found", "There is no such page.");
    view::fault(&app, &fault)
}

fn to_list() -> Response {
    Redirect::to("/list").into_response()
}

fn number(id: Id) -> Result<i64, Fault> {
    let none = |_| Fault::new(StatusCode::NOT_FOUND, "Not found", "There is no such page.");
    Ok(id.map_err(none)?.0)
}

fn both<T>(id: Id, fields: Result<T, Fault>) -> Result<(i64, T), Fault> {
    Ok((number(id)?, fields?))
}

/// The fields of a form of ours.
fn checked<T>(fields: Fields<T>, token: &Token, repeated: fn(&T) -> &String) -> Result<T, Fault> {
    let Form(fields) = fields.map_err(|error| {
        Fault::new(
            error.status(),
            "That form cannot be read",
            error.body_text(),
        )
    })?;
    token.check(repeated(&fields))?;
    Ok(fields)
}
