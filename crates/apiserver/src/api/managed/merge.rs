//! What an object becomes by a configuration that is applied to it: a merge that removes nothing.

use serde_json::{Map, Value};

use super::fields::{self, List};
use crate::kinds::Kind;

pub(super) fn apply(kind: &Kind, object: &mut Value, config: &Value, status: bool) {
    if !object.is_object() {
        *object = Value::Object(Map::new());
    }
    let fields = config.as_object().into_iter().flatten();
    for (name, value) in fields {
        // Each of the two is written at its own path.
        let written = match name.as_str() {
            "status" => status,
            "apiVersion" | "kind" => true,
            _ => !status,
        };
        if written {
            merge(kind, name, &mut object[name.as_str()], value);
        }
    }
}

fn merge(kind: &Kind, name: &str, target: &mut Value, config: &Value) {
    match (&mut *target, config) {
        (Value::Object(old), Value::Object(new)) if !fields::is_atomic(kind, name) => {
            for (name, value) in new {
                merge(kind, name, old.entry(name).or_insert(Value::Null), value);
            }
        }
        (Value::Array(old), Value::Array(new)) => match fields::list(kind, name, new) {
            List::Keyed(keys) if matches!(fields::list(kind, name, old), List::Keyed(_)) => {
                for element in new {
                    let step = fields::step(keys, element);
                    match old.iter_mut().find(|one| fields::step(keys, one) == step) {
                        Some(found) => merge(kind, "", found, element),
                        None => old.push(element.clone()),
                    }
                }
            }
            List::Set => {
                for element in new {
                    if !old.contains(element) {
                        old.push(element.clone());
                    }
                }
            }
            _ => *target = config.clone(),
        },
        _ => *target = config.clone(),
    }
}
