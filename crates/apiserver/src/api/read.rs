//! GET of one object or of a list.

use std::sync::Arc;

use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};

use super::pagination::ListOptions;
use super::query::Query;
use super::request_info::RequestInfo;
use super::selector::Selector;
use super::table::{self, ResponseFormat};
use super::{Api, StatusError};

pub(super) fn respond(
    api: &Api,
    info: &RequestInfo,
    query: &Query,
    format: ResponseFormat,
) -> Result<Response, StatusError> {
    let Some(name) = &info.name else {
        return list(api, info, query, format);
    };
    let object = object(api, info, name)?;
    Ok(match format {
        ResponseFormat::Objects => super::json(StatusCode::OK, &*object),
        ResponseFormat::Table(include_object) => {
            let version = &object["metadata"]["resourceVersion"];
            let objects = std::iter::once(&*object);
            let table = table::build(api, info.kind, include_object, version, objects);
            super::json(StatusCode::OK, &table)
        }
    })
}

/// Returns the object of this name in the request's namespace.
pub(super) fn object(api: &Api, info: &RequestInfo, name: &str) -> Result<Arc<Value>, StatusError> {
    api.store
        .get(&info.key(name))
        .ok_or_else(|| StatusError::not_found(info.kind, name))
}

fn list(
    api: &Api,
    info: &RequestInfo,
    query: &Query,
    format: ResponseFormat,
) -> Result<Response, StatusError> {
    let selector = Selector::from_query(query)?;
    selector.check_fields(info.kind)?;
    let (objects, version) = api.store.list(&info.resource(), info.namespace.as_deref());
    let matching = objects
        .iter()
        .map(|object| &**object)
        .filter(|object| selector.matches(info.kind, object));
    let chunk = ListOptions::from_query(api, query)?.paginate(matching, version);
    let mut metadata = json!({"resourceVersion": chunk.version.to_string()});
    if let Some(next) = chunk.next {
        metadata["continue"] = json!(next);
    }
    // The API reference: unset if the request has a selector or the list is complete.
    if chunk.remaining > 0 && selector.is_empty() {
        metadata["remainingItemCount"] = json!(chunk.remaining);
    }
    let list = match format {
        ResponseFormat::Table(include_object) => {
            let objects = chunk.objects.into_iter();
            let mut table = table::build(api, info.kind, include_object, &Value::Null, objects);
            table["metadata"] = metadata;
            table
        }
        ResponseFormat::Objects => json!({
            "kind": format!("{}List", info.kind.kind),
            "apiVersion": info.kind.api_version(),
            "metadata": metadata,
            "items": chunk.objects,
        }),
    };
    Ok(super::json(StatusCode::OK, &list))
}
