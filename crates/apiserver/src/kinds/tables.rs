//! What `kubectl get` shows of each kind: the columns of the API server's tables.

use serde_json::{Value, json};

use super::Column;

pub(super) mod age;
pub(super) mod network;
pub(super) mod others;
pub(super) mod pods;
pub(super) mod workloads;

pub(super) const NAME: Column = Column {
    name: "Name",
    kind: "string",
    format: "name",
    priority: 0,
};
pub(super) const AGE: Column = text("Age");

/// A column of text that is always shown.
pub(super) const fn text(name: &'static str) -> Column {
    Column {
        name,
        kind: "string",
        format: "",
        priority: 0,
    }
}

/// A column of text that is shown with `-o wide`.
pub(super) const fn wide(name: &'static str) -> Column {
    Column {
        name,
        kind: "string",
        format: "",
        priority: 1,
    }
}

/// A column of numbers that is always shown.
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

/// A text, or what stands for none.
fn or_none(text: &str) -> Value {
    if text.is_empty() {
        json!("<none>")
    } else {
        json!(text)
    }
}

/// `a=b,c=d`, or what stands for none.
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
