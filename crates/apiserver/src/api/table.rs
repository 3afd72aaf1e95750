//! Server-side tables (`meta.k8s.io/v1` `Table`), which `kubectl get` prints.

use http::HeaderMap;
use serde_json::{Value, json};

use super::Api;
use super::accept::{self, MediaRange};
use super::query::Query;
use crate::kinds::Kind;

/// Representation of objects in a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ResponseFormat {
    /// The objects themselves.
    Objects,
    /// A table.
    Table(IncludeObject),
}

/// Part of the object that a row of a table includes (query parameter `includeObject`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IncludeObject {
    None,
    Metadata,
    Object,
}

impl ResponseFormat {
    /// Returns the first supported format of the `Accept` header; objects if none is supported.
    pub(super) fn negotiate(headers: &HeaderMap, query: &Query) -> Self {
        let is_table = accept::media_ranges(headers).find_map(is_table);
        if is_table != Some(true) {
            return Self::Objects;
        }
        Self::Table(match query.get("includeObject") {
            Some("None") => IncludeObject::None,
            Some("Object") => IncludeObject::Object,
            _ => IncludeObject::Metadata,
        })
    }
}

/// Returns `true` for a table, `false` for objects, and `None` for a range that is not supported.
fn is_table(range: MediaRange<'_>) -> Option<bool> {
    match (range.media_type, range.parameter("as")) {
        ("application/json", Some("Table")) => range
            .has_parameters(&[("g", "meta.k8s.io")])
            .then_some(true),
        ("application/json" | "*/*", None) => Some(false),
        _ => None,
    }
}

/// Builds a table of `objects` with the list's resource version.
pub(super) fn build<'a>(
    api: &Api,
    kind: &Kind,
    include_object: IncludeObject,
    version: &Value,
    objects: impl Iterator<Item = &'a Value>,
) -> Value {
    let rows: Vec<_> = objects
        .map(|object| row(api, kind, include_object, object))
        .collect();
    json!({
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": version},
        "columnDefinitions": columns(kind),
        "rows": rows,
    })
}

fn columns(kind: &Kind) -> Vec<Value> {
    let definition = |column: &crate::kinds::Column| {
        json!({
            "name": column.name,
            "type": column.kind,
            "format": column.format,
            "description": "",
            "priority": column.priority,
        })
    };
    kind.columns.iter().map(definition).collect()
}

fn row(api: &Api, kind: &Kind, include_object: IncludeObject, object: &Value) -> Value {
    let mut row = json!({"cells": (kind.cells)(object, api.clock.now())});
    match include_object {
        IncludeObject::None => {}
        IncludeObject::Object => row["object"] = object.clone(),
        IncludeObject::Metadata => {
            row["object"] = json!({
                "kind": "PartialObjectMetadata",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": object["metadata"],
            });
        }
    }
    row
}

#[cfg(test)]
mod tests {
    use http::header::ACCEPT;

    use super::*;

    #[track_caller]
    fn check(accept: &str, query: &str, expected: ResponseFormat) {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, accept.parse().unwrap());
        assert_eq!(
            ResponseFormat::negotiate(&headers, &Query::parse(query)),
            expected,
            "{accept}"
        );
    }

    #[test]
    fn table_is_returned_if_accept_header_prefers_it() {
        use IncludeObject::{Metadata, None, Object};
        use ResponseFormat::{Objects, Table};
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
        check(table, "", Table(Metadata));
        check(table, "includeObject=Object", Table(Object));
        check(table, "includeObject=None", Table(None));
        for accept in [
            "application/json",
            "application/json, application/json;as=Table;g=meta.k8s.io",
            "application/vnd.kubernetes.protobuf;as=Table;g=meta.k8s.io",
            "application/json;as=Table;g=other",
            "",
        ] {
            check(accept, "", Objects);
        }
    }
}
