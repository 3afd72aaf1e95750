//! Table columns of each kind, which `kubectl get` prints.

use serde_json::{Value, json};

use super::Column;

pub(super) mod age;
pub(super) mod core;
pub(super) mod network;
pub(super) mod pods;
pub(super) mod workloads;

pub(super) const NAME: Column = Column {
    name: "Name",
    kind: "string",
    format: "name",
    priority: 0,
};
pub(super) const AGE: Column = text("Age");

/// Creates a text column.
pub(super) const fn text(name: &'static str) -> Column {
    Column {
        name,
        kind: "string",
        format: "",
        priority: 0,
    }
}

/// Creates a text column for `-o wide`.
pub(super) const fn wide(name: &'static str) -> Column {
    Column {
        name,
        kind: "string",
        format: "",
        priority: 1,
    }
}

/// Creates a column of integers.
pub(super) const fn number(name: &'static str) -> Column {
    Column {
        name,
        kind: "integer",
        format: "",
        priority: 0,
    }
}

fn name(object: &Value) -> Value {
    object["metadata"]["name"].clone()
}

/// Returns the text, or `<none>` if it is empty.
fn or_none(text: &str) -> Value {
    if text.is_empty() {
        json!("<none>")
    } else {
        json!(text)
    }
}

/// Formats a map as `a=b,c=d`; `<none>` if it is empty.
fn pairs(map: &Value) -> Value {
    let pairs = map.as_object().into_iter().flatten();
    let texts: Vec<_> = pairs
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    or_none(&texts.join(","))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn str_of(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests;
