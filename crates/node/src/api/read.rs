//! Reading one object or a list.

use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};

use super::path::Path;
use super::query::Query;
use super::selector::Selector;
use super::{Api, Failure};

pub(super) fn respond(api: &Api, path: &Path, query: &Query) -> Result<Response, Failure> {
    match &path.name {
        Some(name) => Ok(super::json(StatusCode::OK, &*object(api, path, name)?)),
        None => list(api, path, query),
    }
}

/// The object that a path names.
pub(super) fn object(api: &Api, path: &Path, name: &str) -> Result<std::sync::Arc<Value>, Failure> {
    api.store
        .get(&path.key(name))
        .ok_or_else(|| Failure::not_found(&path.kind, name))
}

fn list(api: &Api, path: &Path, query: &Query) -> Result<Response, Failure> {
    let selector = Selector::of(query)?;
    selector.check(&path.kind)?;
    let (objects, version) = api.store.list(&path.resource(), path.namespace.as_deref());
    let items: Vec<&Value> = objects
        .iter()
        .map(|object| &**object)
        .filter(|object| selector.matches(&path.kind, object))
        .collect();
    let list = json!({
        "kind": format!("{}List", path.kind.kind),
        "apiVersion": path.kind.api_version(),
        "metadata": {"resourceVersion": version.to_string()},
        "items": items,
    });
    Ok(super::json(StatusCode::OK, &list))
}
