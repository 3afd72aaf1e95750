//! Sets of fields in the format of managed fields (`FieldsV1`).
//!
//! A field's path is a list of steps: `f:name` is a member of an object, `k:{…}` the list element that has these keys,
//! `v:…` a scalar in a list. An atomic list or map is one field.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::FieldScope;
use crate::kinds::{Kind, ListType};

pub(super) type FieldPath = Vec<String>;
pub(super) type FieldSet = BTreeSet<FieldPath>;

/// Returns the type of a list. Validation rejects elements without their keys; until then the list counts as atomic.
pub(super) fn list_type(kind: &Kind, name: &str, elements: &[Value]) -> ListType {
    match kind.list_type(name) {
        ListType::Map(keys)
            if elements
                .iter()
                .any(|element| key_step(keys, element).is_none()) =>
        {
            ListType::Atomic
        }
        found => found,
    }
}

/// Returns `true` for objects that have one owner (`x-kubernetes-map-type: atomic`).
pub(super) fn is_atomic_map(name: &str) -> bool {
    [
        "selector",
        "nodeSelector",
        "configMapKeyRef",
        "secretKeyRef",
        "fieldRef",
        "resourceFieldRef",
        "involvedObject",
        "targetRef",
        "labelSelector",
    ]
    .contains(&name)
}

/// Returns the step to an element of a list with keys; `None` if the element lacks a key.
pub(super) fn key_step(keys: &[&str], element: &Value) -> Option<String> {
    let mut found = Map::new();
    for key in keys {
        let value = match &element[*key] {
            // `protocol` is the only key with a default.
            Value::Null if *key == "protocol" => json!("TCP"),
            Value::Null => return None,
            value => value.clone(),
        };
        found.insert((*key).to_owned(), value);
    }
    Some(format!("k:{}", Value::Object(found)))
}

/// Metadata without an owner: fields that identify the object or that the API server writes (`stripSet`).
const UNMANAGED_METADATA: [&str; 10] = [
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "managedFields",
    "selfLink",
];

/// Returns the fields of an object that are in `scope`.
pub(super) fn fields_of(kind: &Kind, object: &Value, scope: FieldScope) -> FieldSet {
    let mut fields = FieldSet::new();
    let is_status_scope = scope == FieldScope::Status;
    for (name, value) in object.as_object().into_iter().flatten() {
        let path = vec![format!("f:{name}")];
        match name.as_str() {
            "apiVersion" | "kind" => {}
            "status" if is_status_scope => add_fields(kind, name, value, path, &mut fields),
            "status" => {}
            _ if is_status_scope => {}
            "metadata" => {
                for (name, value) in value.as_object().into_iter().flatten() {
                    if !UNMANAGED_METADATA.contains(&name.as_str()) {
                        let path = child_path(&path, format!("f:{name}"));
                        add_fields(kind, name, value, path, &mut fields);
                    }
                }
            }
            _ => add_fields(kind, name, value, path, &mut fields),
        }
    }
    fields
}

fn child_path(path: &FieldPath, step: String) -> FieldPath {
    let mut path = path.clone();
    path.push(step);
    path
}

fn add_fields(kind: &Kind, name: &str, value: &Value, path: FieldPath, fields: &mut FieldSet) {
    match value {
        Value::Object(map) if !map.is_empty() && !is_atomic_map(name) => {
            for (name, value) in map {
                let path = child_path(&path, format!("f:{name}"));
                add_fields(kind, name, value, path, fields);
            }
        }
        Value::Array(elements) if !elements.is_empty() => match list_type(kind, name, elements) {
            ListType::Atomic => drop(fields.insert(path)),
            ListType::Set => {
                let steps = elements.iter().map(|element| format!("v:{element}"));
                fields.extend(steps.map(|step| child_path(&path, step)));
            }
            ListType::Map(keys) => {
                for element in elements {
                    if let Some(step) = key_step(keys, element) {
                        let path = child_path(&path, step);
                        fields.insert(path.clone());
                        add_fields(kind, "", element, path, fields);
                    }
                }
            }
        },
        _ => drop(fields.insert(path)),
    }
}

/// Returns the value at a path.
pub(super) fn get<'a>(object: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(object, |value, step| {
        if let Some(name) = step.strip_prefix("f:") {
            value.get(name)
        } else {
            let mut elements = value.as_array()?.iter();
            elements.find(|element| matches_element(step, element))
        }
    })
}

/// Returns `true` if a `v:` or `k:` step selects this list element.
fn matches_element(step: &str, element: &Value) -> bool {
    if let Some(text) = step.strip_prefix("v:") {
        return serde_json::from_str::<Value>(text).is_ok_and(|value| value == *element);
    }
    let keys = step
        .strip_prefix("k:")
        .and_then(|text| serde_json::from_str(text).ok());
    let Some(Value::Object(keys)) = keys else {
        return false;
    };
    let names: Vec<&str> = keys.keys().map(String::as_str).collect();
    key_step(&names, element).as_deref() == Some(step)
}

/// Removes the value at a path, and the objects and lists that are empty afterwards.
pub(super) fn remove(object: &mut Value, path: &[String]) {
    let Some((step, rest)) = path.split_first() else {
        return;
    };
    match object {
        Value::Object(map) => {
            let name = step.strip_prefix("f:").unwrap_or_default();
            let is_emptied = map.get_mut(name).is_some_and(|value| {
                remove(value, rest);
                is_empty(value)
            });
            if rest.is_empty() || is_emptied {
                map.remove(name);
            }
        }
        Value::Array(list) if rest.is_empty() => {
            list.retain(|element| !matches_element(step, element));
        }
        Value::Array(list) => {
            let found = list
                .iter_mut()
                .find(|element| matches_element(step, element));
            if let Some(element) = found {
                remove(element, rest);
            }
        }
        _ => {}
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    }
}

/// Returns the path of the list element whose key is at `path`; `None` if it is not a key.
pub(super) fn element_of_key(path: &[String]) -> Option<&[String]> {
    let (field, element) = path.split_last()?;
    let name = field.strip_prefix("f:")?;
    let keys = element.last()?.strip_prefix("k:")?;
    let keys: Map<String, Value> = serde_json::from_str(keys).ok()?;
    keys.contains_key(name).then_some(element)
}

/// Returns the fields whose values in `old` and `new` differ.
pub(super) fn changed(fields: &FieldSet, old: &Value, new: &Value) -> FieldSet {
    let differs = |path: &&FieldPath| {
        let (before, now) = (get(old, path), get(new, path));
        // The path of a list element means its existence; its contents are fields of their own.
        if path.last().is_some_and(|step| step.starts_with("k:")) {
            before.is_none()
        } else {
            before != now
        }
    };
    fields.iter().filter(differs).cloned().collect()
}

/// Encodes `FieldsV1`.
pub(super) fn to_json(fields: &FieldSet) -> Value {
    let mut root = json!({});
    for path in fields {
        let mut at = &mut root;
        for step in path {
            at = &mut at[step.as_str()];
            if at.is_null() {
                *at = json!({});
            }
        }
    }
    // `.` marks a member that is a field itself and has fields below it.
    for path in fields {
        let mut at = &mut root;
        for step in path {
            at = &mut at[step.as_str()];
        }
        if !is_empty(at) {
            at["."] = json!({});
        }
    }
    root
}

/// Decodes `FieldsV1`.
pub(super) fn from_json(value: &Value) -> FieldSet {
    let mut fields = FieldSet::new();
    for (step, value) in value.as_object().into_iter().flatten() {
        collect(value, vec![step.clone()], &mut fields);
    }
    fields
}

fn collect(value: &Value, path: FieldPath, fields: &mut FieldSet) {
    let Some(map) = value.as_object().filter(|map| !map.is_empty()) else {
        fields.insert(path);
        return;
    };
    for (step, value) in map {
        if step == "." {
            fields.insert(path.clone());
        } else {
            collect(value, child_path(&path, step.clone()), fields);
        }
    }
}

/// Formats a path for messages: `.spec.containers[name="c"].image`.
pub(super) fn display(path: &FieldPath) -> String {
    let display_step = |step: &String| {
        if let Some(name) = step.strip_prefix("f:") {
            return format!(".{name}");
        }
        if let Some(value) = step.strip_prefix("v:") {
            return format!("[={value}]");
        }
        let keys: Map<String, Value> = step
            .strip_prefix("k:")
            .and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or_default();
        let keys: Vec<_> = keys
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        format!("[{}]", keys.join(","))
    };
    path.iter().map(display_step).collect()
}
