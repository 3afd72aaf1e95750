//! Reading one object or a list.

use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};

use super::page::Page;
use super::path::Path;
use super::query::Query;
use super::selector::Selector;
use super::table::{self, Form};
use super::{Api, Failure};

pub(super) fn respond(
    api: &Api,
    path: &Path,
    query: &Query,
    form: Form,
) -> Result<Response, Failure> {
    let Some(name) = &path.name else {
        return list(api, path, query, form);
    };
    let object = object(api, path, name)?;
    Ok(match form {
        Form::Objects => super::json(StatusCode::OK, &*object),
        Form::Table(carried) => {
            let version = &object["metadata"]["resourceVersion"];
            let table = table::of(api, &path.kind, carried, version, std::iter::once(&*object));
            super::json(StatusCode::OK, &table)
        }
    })
}

/// The object that a path names.
pub(super) fn object(api: &Api, path: &Path, name: &str) -> Result<std::sync::Arc<Value>, Failure> {
    api.store
        .get(&path.key(name))
        .ok_or_else(|| Failure::not_found(&path.kind, name))
}

fn list(api: &Api, path: &Path, query: &Query, form: Form) -> Result<Response, Failure> {
    let selector = Selector::of(query)?;
    selector.check(&path.kind)?;
    let (objects, version) = api.store.list(&path.resource(), path.namespace.as_deref());
    let matching = objects
        .iter()
        .map(|object| &**object)
        .filter(|object| selector.matches(&path.kind, object));
    let piece = Page::of(api, query)?.cut(matching, version, !selector.is_empty());
    let mut metadata = json!({"resourceVersion": piece.version.to_string()});
    if let Some(next) = piece.next {
        metadata["continue"] = json!(next);
    }
    if let Some(remaining) = piece.remaining {
        metadata["remainingItemCount"] = json!(remaining);
    }
    let list = match form {
        Form::Table(carried) => {
            let mut table = table::of(
                api,
                &path.kind,
                carried,
                &Value::Null,
                piece.objects.into_iter(),
            );
            table["metadata"] = metadata;
            table
        }
        Form::Objects => json!({
            "kind": format!("{}List", path.kind.kind),
            "apiVersion": path.kind.api_version(),
            "metadata": metadata,
            "items": piece.objects,
        }),
    };
    Ok(super::json(StatusCode::OK, &list))
}
