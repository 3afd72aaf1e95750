//! Strategic merge patch: a merge patch that merges some lists by a key of their elements instead of replacing them.
//!
//! Source of the directives: the Kubernetes API conventions, "Strategic Merge Patch". The keys are in the kind's registry
//! entry.

use serde_json::{Map, Value};

use crate::api::StatusError;
use crate::kinds::{Kind, PatchStrategy};

pub(super) fn merge(kind: &Kind, object: &mut Value, patch: &Value) -> Result<(), StatusError> {
    let Value::Object(patch) = patch else {
        return Err(StatusError::bad_request(
            "a strategic merge patch is a JSON object",
        ));
    };
    merge_maps(kind, ensure_object(object), patch)
}

/// Returns a value as an object; any other value is replaced with an empty object.
fn ensure_object(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    value.as_object_mut().expect("the value is an object")
}

fn merge_maps(
    kind: &Kind,
    target: &mut Map<String, Value>,
    patch: &Map<String, Value>,
) -> Result<(), StatusError> {
    match patch.get("$patch").and_then(Value::as_str) {
        Some("replace") => {
            *target = patch
                .iter()
                .filter(|(name, _)| *name != "$patch")
                .map(|(n, v)| (n.clone(), v.clone()))
                .collect();
            return Ok(());
        }
        Some("delete") => {
            target.clear();
            return Ok(());
        }
        Some("merge") | None => {}
        Some(other) => {
            return Err(StatusError::bad_request(format!(
                "Unknown patch type: {other}"
            )));
        }
    }
    retain_keys(target, patch);
    for (name, value) in patch {
        if let Some(list) = name.strip_prefix("$deleteFromPrimitiveList/") {
            delete_values(target, list, value);
        } else if !name.starts_with('$') {
            merge_field(kind, target, name, value)?;
        }
    }
    for (name, order) in patch {
        if let (Some(list), Value::Array(order)) = (name.strip_prefix("$setElementOrder/"), order) {
            set_order(kind, target, list, order);
        }
    }
    Ok(())
}

/// Removes all fields that `$retainKeys` does not list.
fn retain_keys(target: &mut Map<String, Value>, patch: &Map<String, Value>) {
    if let Some(Value::Array(keys)) = patch.get("$retainKeys") {
        target.retain(|name, _| keys.iter().any(|key| key == name));
    }
}

fn delete_values(target: &mut Map<String, Value>, list: &str, deleted: &Value) {
    if let (Some(Value::Array(values)), Value::Array(deleted)) = (target.get_mut(list), deleted) {
        values.retain(|value| !deleted.contains(value));
    }
}

fn merge_field(
    kind: &Kind,
    target: &mut Map<String, Value>,
    name: &str,
    value: &Value,
) -> Result<(), StatusError> {
    match value {
        Value::Null => {
            target.remove(name);
        }
        Value::Object(patch) => {
            let entry = target.entry(name.to_owned()).or_insert(Value::Null);
            merge_maps(kind, ensure_object(entry), patch)?;
            if patch.get("$patch").and_then(Value::as_str) == Some("delete") {
                target.remove(name);
            }
        }
        Value::Array(patch) => {
            let old = target
                .get(name)
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default();
            target.insert(
                name.to_owned(),
                Value::Array(merge_lists(kind, name, old, patch)?),
            );
        }
        scalar => {
            target.insert(name.to_owned(), scalar.clone());
        }
    }
    Ok(())
}

fn merge_lists(
    kind: &Kind,
    name: &str,
    mut list: Vec<Value>,
    patch: &[Value],
) -> Result<Vec<Value>, StatusError> {
    match kind.patch_strategy(name) {
        PatchStrategy::Replace => Ok(patch
            .iter()
            .filter(|value| value.get("$patch").is_none())
            .cloned()
            .collect()),
        PatchStrategy::MergeValues => {
            for value in patch {
                if !list.contains(value) {
                    list.push(value.clone());
                }
            }
            Ok(list)
        }
        PatchStrategy::MergeByKey(key) => {
            if patch.iter().any(|element| element["$patch"] == "replace") {
                return Ok(patch
                    .iter()
                    .filter(|element| element["$patch"] != "replace")
                    .cloned()
                    .collect());
            }
            for element in patch {
                merge_element(kind, key, &mut list, element)?;
            }
            Ok(list)
        }
    }
}

fn merge_element(
    kind: &Kind,
    key: &str,
    list: &mut Vec<Value>,
    element: &Value,
) -> Result<(), StatusError> {
    let Value::Object(fields) = element else {
        return Err(StatusError::bad_request(format!(
            "an element of a list that is merged by {key} is not an object"
        )));
    };
    if element[key].is_null() {
        return Err(StatusError::bad_request(format!(
            "map: {element} does not contain declared merge key: {key}"
        )));
    }
    let found = list.iter().position(|old| old[key] == element[key]);
    match (found, element["$patch"].as_str()) {
        (Some(at), Some("delete")) => {
            list.remove(at);
        }
        (None, Some("delete")) => {}
        (Some(at), _) => merge_maps(kind, ensure_object(&mut list[at]), fields)?,
        (None, _) => {
            let mut new = Map::new();
            merge_maps(kind, &mut new, fields)?;
            list.push(Value::Object(new));
        }
    }
    Ok(())
}

/// Sorts a list by `$setElementOrder`; elements that the directive does not list come last.
fn set_order(kind: &Kind, target: &mut Map<String, Value>, name: &str, order: &[Value]) {
    let Some(Value::Array(list)) = target.get_mut(name) else {
        return;
    };
    let position = |element: &Value| match kind.patch_strategy(name) {
        PatchStrategy::MergeByKey(key) => order
            .iter()
            .position(|ordered| ordered[key] == element[key]),
        _ => order.iter().position(|ordered| ordered == element),
    };
    list.sort_by_key(|element| position(element).unwrap_or(usize::MAX));
}

#[cfg(test)]
mod tests;
