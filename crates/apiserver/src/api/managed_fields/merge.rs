//! Merge of an applied configuration into an object. It removes nothing.

use serde_json::{Map, Value};

use super::FieldScope;
use super::fields::{self, list_type};
use crate::kinds::{Kind, ListType};

pub(super) fn apply(kind: &Kind, object: &mut Value, config: &Value, scope: FieldScope) {
    if !object.is_object() {
        *object = Value::Object(Map::new());
    }
    let fields = config.as_object().into_iter().flatten();
    for (name, value) in fields {
        let is_in_scope = match name.as_str() {
            "status" => scope == FieldScope::Status,
            "apiVersion" | "kind" => true,
            _ => scope == FieldScope::ExceptStatus,
        };
        if is_in_scope {
            merge(kind, name, &mut object[name.as_str()], value);
        }
    }
}

fn merge(kind: &Kind, name: &str, target: &mut Value, config: &Value) {
    match (&mut *target, config) {
        (Value::Object(old), Value::Object(new)) if !fields::is_atomic_map(name) => {
            for (name, value) in new {
                merge(kind, name, old.entry(name).or_insert(Value::Null), value);
            }
        }
        (Value::Array(old), Value::Array(new)) => match list_type(kind, name, new) {
            ListType::Map(keys) if matches!(list_type(kind, name, old), ListType::Map(_)) => {
                for element in new {
                    let step = fields::key_step(keys, element);
                    let is_same = |old: &&mut Value| fields::key_step(keys, old) == step;
                    match old.iter_mut().find(is_same) {
                        Some(found) => merge(kind, "", found, element),
                        None => old.push(element.clone()),
                    }
                }
            }
            ListType::Set => {
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
