//! Strategic merge: a merge patch in which some lists are merged by a key of their elements, not replaced.
//!
//! Source of the directives: the Kubernetes API conventions, "Strategic Merge Patch". Source of the keys: the
//! `patchMergeKey` of the API reference.

use serde_json::{Map, Value};

use crate::api::Failure;
use crate::kinds::Kind;

/// How a list is merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Merge {
    /// Elements are objects with this key.
    Keyed(&'static str),
    /// Elements are plain values, each at most once.
    Set,
    /// The patch's list takes the place of the other.
    Replace,
}

pub(super) fn merge(kind: &Kind, object: &mut Value, patch: &Value) -> Result<(), Failure> {
    let Value::Object(patch) = patch else {
        return Err(Failure::bad_request(
            "a strategic merge patch is a JSON object",
        ));
    };
    merge_maps(kind, object_of(object), patch)
}

/// A value as an object, which it becomes if it was none.
fn object_of(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    value.as_object_mut().expect("it has just been made one")
}

fn merge_maps(
    kind: &Kind,
    target: &mut Map<String, Value>,
    patch: &Map<String, Value>,
) -> Result<(), Failure> {
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
        Some(other) => return Err(Failure::bad_request(format!("Unknown patch type: {other}"))),
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

/// `$retainKeys` names the only fields that stay.
fn retain_keys(target: &mut Map<String, Value>, patch: &Map<String, Value>) {
    if let Some(Value::Array(keys)) = patch.get("$retainKeys") {
        target.retain(|name, _| keys.iter().any(|key| key == name));
    }
}

fn delete_values(target: &mut Map<String, Value>, list: &str, gone: &Value) {
    if let (Some(Value::Array(values)), Value::Array(gone)) = (target.get_mut(list), gone) {
        values.retain(|value| !gone.contains(value));
    }
}

fn merge_field(
    kind: &Kind,
    target: &mut Map<String, Value>,
    name: &str,
    value: &Value,
) -> Result<(), Failure> {
    match value {
        Value::Null => {
            target.remove(name);
        }
        Value::Object(patch) => {
            let entry = target.entry(name.to_owned()).or_insert(Value::Null);
            merge_maps(kind, object_of(entry), patch)?;
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
        plain => {
            target.insert(name.to_owned(), plain.clone());
        }
    }
    Ok(())
}

fn merge_lists(
    kind: &Kind,
    name: &str,
    mut list: Vec<Value>,
    patch: &[Value],
) -> Result<Vec<Value>, Failure> {
    match strategy(kind, name, patch, &list) {
        Merge::Replace => Ok(patch
            .iter()
            .filter(|value| value.get("$patch").is_none())
            .cloned()
            .collect()),
        Merge::Set => {
            for value in patch {
                if !list.contains(value) {
                    list.push(value.clone());
                }
            }
            Ok(list)
        }
        Merge::Keyed(key) => {
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
) -> Result<(), Failure> {
    let Value::Object(fields) = element else {
        return Err(Failure::bad_request(format!(
            "an element of a list that is merged by {key} is no object"
        )));
    };
    if element[key].is_null() {
        return Err(Failure::bad_request(format!(
            "map: {element} does not contain declared merge key: {key}"
        )));
    }
    let found = list.iter().position(|old| old[key] == element[key]);
    match (found, element["$patch"].as_str()) {
        (Some(at), Some("delete")) => {
            list.remove(at);
        }
        (None, Some("delete")) => {}
        (Some(at), _) => merge_maps(kind, object_of(&mut list[at]), fields)?,
        (None, _) => {
            let mut new = Map::new();
            merge_maps(kind, &mut new, fields)?;
            list.push(Value::Object(new));
        }
    }
    Ok(())
}

/// Puts a list in the order that the patch gives; elements it does not name stay behind those it does.
fn set_order(kind: &Kind, target: &mut Map<String, Value>, name: &str, order: &[Value]) {
    let Some(Value::Array(list)) = target.get_mut(name) else {
        return;
    };
    let place = |element: &Value| match strategy(kind, name, order, &[]) {
        Merge::Keyed(key) => order.iter().position(|wanted| wanted[key] == element[key]),
        _ => order.iter().position(|wanted| wanted == element),
    };
    list.sort_by_key(|element| place(element).unwrap_or(usize::MAX));
}

/// The lists of the kinds served here that are merged; all others are replaced.
fn strategy(kind: &Kind, name: &str, patch: &[Value], old: &[Value]) -> Merge {
    match name {
        "finalizers" => Merge::Set,
        "ownerReferences" => Merge::Keyed("uid"),
        "containers"
        | "initContainers"
        | "ephemeralContainers"
        | "env"
        | "volumes"
        | "imagePullSecrets"
        | "secrets" => Merge::Keyed("name"),
        "volumeMounts" => Merge::Keyed("mountPath"),
        "volumeDevices" => Merge::Keyed("devicePath"),
        "hostAliases" | "podIPs" | "hostIPs" => Merge::Keyed("ip"),
        "conditions" | "addresses" if is_typed(patch, old) => Merge::Keyed("type"),
        "topologySpreadConstraints" => Merge::Keyed("topologyKey"),
        "ports" if kind.kind == "Service" => Merge::Keyed("port"),
        "ports"
            if matches!(
                kind.kind,
                "Pod" | "Deployment" | "ReplicaSet" | "ReplicationController"
            ) =>
        {
            Merge::Keyed("containerPort")
        }
        _ => Merge::Replace,
    }
}

/// Conditions have types; the addresses of endpoints, of the same name as a node's, have not.
fn is_typed(patch: &[Value], old: &[Value]) -> bool {
    patch
        .iter()
        .chain(old)
        .all(|element| element.get("type").is_some())
}

#[cfg(test)]
mod tests;
