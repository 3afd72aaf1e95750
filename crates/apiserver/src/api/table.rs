//! Lists as tables: what `kubectl get` prints, made by the server so that every client shows the same.

use http::HeaderMap;
use http::header::ACCEPT;
use serde_json::{Value, json};

use super::Api;
use super::query::Query;
use crate::kinds::Kind;

/// How a caller wants its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As objects.
    Objects,
    /// As a table whose rows carry this.
    Table(Carried),
}

/// What a row of a table carries of its object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carried {
    Nothing,
    Metadata,
    Object,
}

impl Form {
    /// The first form in the Accept header that is known here.
    pub(super) fn of(headers: &HeaderMap, query: &Query) -> Self {
        let accept = headers
            .get(ACCEPT)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let wanted = accept.split(',').map(str::trim).find_map(|range| {
            let mut parts = range.split(';').map(str::trim);
            let media_type = parts.next().unwrap_or_default();
            let parameters: Vec<_> = parts.collect();
            match (
                media_type,
                parameters
                    .iter()
                    .find_map(|parameter| parameter.strip_prefix("as=")),
            ) {
                ("application/json", Some("Table")) if parameters.contains(&"g=meta.k8s.io") => {
                    Some(true)
                }
                ("application/json" | "*/*", None) => Some(false),
                _ => None,
            }
        });
        if wanted != Some(true) {
            return Self::Objects;
        }
        Self::Table(match query.get("includeObject") {
            Some("None") => Carried::Nothing,
            Some("Object") => Carried::Object,
            _ => Carried::Metadata,
        })
    }
}

/// Objects as a table.
pub(super) fn of<'a>(
    api: &Api,
    kind: &Kind,
    carried: Carried,
    version: &Value,
    objects: impl Iterator<Item = &'a Value>,
) -> Value {
    let rows: Vec<_> = objects
        .map(|object| row(api, kind, carried, object))
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

fn row(api: &Api, kind: &Kind, carried: Carried, object: &Value) -> Value {
    let mut row = json!({"cells": (kind.cells)(object, api.clock.now())});
    match carried {
        Carried::Nothing => {}
        Carried::Object => row["object"] = object.clone(),
        Carried::Metadata => {
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
    use super::*;

    #[track_caller]
    fn check(accept: &str, query: &str, expected: Form) {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, accept.parse().unwrap());
        assert_eq!(
            Form::of(&headers, &Query::parse(query)),
            expected,
            "{accept}"
        );
    }

    #[test]
    fn a_table_is_made_for_whoever_asks_for_one_first() {
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
        check(table, "", Form::Table(Carried::Metadata));
        check(table, "includeObject=Object", Form::Table(Carried::Object));
        check(table, "includeObject=None", Form::Table(Carried::Nothing));
        check("application/json", "", Form::Objects);
        check(
            "application/json, application/json;as=Table;g=meta.k8s.io",
            "",
            Form::Objects,
        );
        check(
            "application/vnd.kubernetes.protobuf;as=Table;g=meta.k8s.io",
            "",
            Form::Objects,
        );
        check("application/json;as=Table;g=other", "", Form::Objects);
        check("", "", Form::Objects);
    }
}
