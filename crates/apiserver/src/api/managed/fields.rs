//! Sets of fields, as managed fields write them (`FieldsV1`).
//!
//! A field's path is a list of steps: `f:name` into an object, `k:{…}` to the element of a list that has these keys,
//! `v:…` to a plain value in a list. Lists and maps that are merged as a whole are one field.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::kinds::Kind;

/// A field.
pub(super) type Path = Vec<String>;
/// Fields.
pub(super) type Fields = BTreeSet<Path>;

/// How a list is owned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum List {
    /// Its elements are objects that these keys tell apart.
    Keyed(&'static [&'static str]),
    /// Its elements are plain values, each at most once.
    Set,
    /// As a whole.
    Atomic,
}

/// The lists of the kinds that are served here (`x-kubernetes-list-map-keys` of the API's schema). The keys are not all
/// those of a strategic merge: the same port may be there for two protocols.
pub(super) fn list(kind: &Kind, name: &str, elements: &[Value]) -> List {
    let found = match name {
        "finalizers" => return List::Set,
        "ownerReferences" => &["uid"][..],
        "containers"
        | "initContainers"
        | "ephemeralContainers"
        | "env"
        | "volumes"
        | "imagePullSecrets"
        | "secrets" => &["name"],
        "volumeMounts" => &["mountPath"],
        "volumeDevices" => &["devicePath"],
        "hostAliases" | "podIPs" => &["ip"],
        "conditions" => &["type"],
        "addresses" if kind.kind == "Node" => &["type"],
        "topologySpreadConstraints" => &["topologyKey", "whenUnsatisfiable"],
        "ports" if kind.kind == "Service" => &["port", "protocol"],
        "ports"
            if matches!(
                kind.kind,
                "Pod" | "Deployment" | "ReplicaSet" | "ReplicationController"
            ) =>
        {
            &["containerPort", "protocol"]
        }
        _ => return List::Atomic,
    };
    if elements.iter().all(|one| step(found, one).is_some()) {
        List::Keyed(found)
    } else {
        // What lacks its keys is refused elsewhere.
        List::Atomic
    }
}

/// Objects that are owned as a whole (`x-kubernetes-map-type: atomic`).
pub(super) fn is_atomic(kind: &Kind, name: &str) -> bool {
    match name {
        "selector" => kind.kind != "Scale",
        "nodeSelector" | "configMapKeyRef" | "secretKeyRef" | "fieldRef" | "resourceFieldRef"
        | "involvedObject" | "targetRef" | "labelSelector" => true,
        _ => false,
    }
}

/// The step to an element of a keyed list; none where it lacks a key.
pub(super) fn step(keys: &[&str], element: &Value) -> Option<String> {
    let mut found = Map::new();
    for key in keys {
        let value = match &element[*key] {
            // The only key with a default.
            Value::Null if *key == "protocol" => json!("TCP"),
            Value::Null => return None,
            value => value.clone(),
        };
        found.insert((*key).to_owned(), value);
    }
    Some(format!("k:{}", Value::Object(found)))
}

/// What nobody owns: what the API server writes, and what names the object.
const STRIPPED: [&str; 10] = [
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

/// All fields of an object: of its status alone, or of everything else.
pub(super) fn of(kind: &Kind, object: &Value, status: bool) -> Fields {
    let mut fields = Fields::new();
    for (name, value) in object.as_object().into_iter().flatten() {
        let path = vec![format!("f:{name}")];
        match name.as_str() {
            "apiVersion" | "kind" => {}
            "status" if status => walk(kind, name, value, path, &mut fields),
            "status" => {}
            _ if status => {}
            "metadata" => {
                for (name, value) in value.as_object().into_iter().flatten() {
                    if !STRIPPED.contains(&name.as_str()) {
                        walk(
                            kind,
                            name,
                            value,
                            below(&path, format!("f:{name}")),
                            &mut fields,
                        );
                    }
                }
            }
            _ => walk(kind, name, value, path, &mut fields),
        }
    }
    fields
}

fn below(path: &Path, step: String) -> Path {
    let mut path = path.clone();
    path.push(step);
    path
}

fn walk(kind: &Kind, name: &str, value: &Value, path: Path, fields: &mut Fields) {
    match value {
        Value::Object(map) if !map.is_empty() && !is_atomic(kind, name) => {
            for (name, value) in map {
                walk(kind, name, value, below(&path, format!("f:{name}")), fields);
            }
        }
        Value::Array(elements) if !elements.is_empty() => match list(kind, name, elements) {
            List::Atomic => drop(fields.insert(path)),
            List::Set => {
                fields.extend(elements.iter().map(|one| below(&path, format!("v:{one}"))));
            }
            List::Keyed(keys) => {
                for element in elements {
                    if let Some(step) = step(keys, element) {
                        let path = below(&path, step);
                        fields.insert(path.clone());
                        walk(kind, "", element, path, fields);
                    }
                }
            }
        },
        _ => drop(fields.insert(path)),
    }
}

/// What is at a path.
pub(super) fn get<'a>(object: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(object, |value, step| {
        if let Some(name) = step.strip_prefix("f:") {
            value.get(name)
        } else {
            value.as_array()?.iter().find(|element| is(step, element))
        }
    })
}

/// Whether a step leads to an element.
fn is(step: &str, element: &Value) -> bool {
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
    self::step(&names, element).as_deref() == Some(step)
}

/// Takes away what is at a path, and the objects and lists that it leaves empty.
pub(super) fn remove(object: &mut Value, path: &[String]) {
    let Some((step, rest)) = path.split_first() else {
        return;
    };
    match object {
        Value::Object(map) => {
            let name = step.strip_prefix("f:").unwrap_or_default();
            let emptied = map.get_mut(name).is_some_and(|value| {
                remove(value, rest);
                is_empty(value)
            });
            if rest.is_empty() || emptied {
                map.remove(name);
            }
        }
        Value::Array(list) if rest.is_empty() => list.retain(|element| !is(step, element)),
        Value::Array(list) => {
            if let Some(element) = list.iter_mut().find(|element| is(step, element)) {
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

/// The element that a path is a key of.
pub(super) fn element_of_key(path: &[String]) -> Option<&[String]> {
    let (field, element) = path.split_last()?;
    let name = field.strip_prefix("f:")?;
    let keys = element.last()?.strip_prefix("k:")?;
    let keys: Map<String, Value> = serde_json::from_str(keys).ok()?;
    keys.contains_key(name).then_some(element)
}

/// The fields of `new` that `old` lacks or has otherwise.
pub(super) fn changed(fields: &Fields, old: &Value, new: &Value) -> Fields {
    let differs = |path: &&Path| {
        let (before, now) = (get(old, path), get(new, path));
        // Of an element only its being there is a field; what is in it are others.
        if path.last().is_some_and(|step| step.starts_with("k:")) {
            before.is_none()
        } else {
            before != now
        }
    };
    fields.iter().filter(differs).cloned().collect()
}

/// As `FieldsV1`.
pub(super) fn to_json(fields: &Fields) -> Value {
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
    // A member with others below it says so itself.
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

/// From `FieldsV1`.
pub(super) fn from_json(value: &Value) -> Fields {
    let mut fields = Fields::new();
    for (step, value) in value.as_object().into_iter().flatten() {
        collect(value, vec![step.clone()], &mut fields);
    }
    fields
}

fn collect(value: &Value, path: Path, fields: &mut Fields) {
    let Some(map) = value.as_object().filter(|map| !map.is_empty()) else {
        fields.insert(path);
        return;
    };
    for (step, value) in map {
        if step == "." {
            fields.insert(path.clone());
        } else {
            collect(value, below(&path, step.clone()), fields);
        }
    }
}

/// As messages write it: `.spec.containers[name="c"].image`.
pub(super) fn display(path: &Path) -> String {
    let one = |step: &String| {
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
    path.iter().map(one).collect()
}
