//! Validation of config maps and secrets.

use serde_json::Value;

use super::named;
use crate::kinds::FieldError;
use crate::kinds::names;

const IMMUTABLE: &str = "field is immutable when `immutable` is set";

pub(in crate::kinds) fn config_map(new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = named(new, old);
    errors.extend(keys(new, "data"));
    errors.extend(keys(new, "binaryData"));
    for (key, _) in new["binaryData"].as_object().into_iter().flatten() {
        if new["data"].get(key).is_some() {
            let detail = "duplicate of key present in data";
            let field = format!("binaryData[{key}]");
            errors.push(FieldError::invalid(field, format!("{key:?}"), detail));
        }
    }
    errors.extend(validate_immutable(new, old, &["data", "binaryData"]));
    errors
}

pub(in crate::kinds) fn secret(new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = named(new, old);
    errors.extend(keys(new, "data"));
    errors.extend(super::immutable(new, old, "/type", "type"));
    errors.extend(validate_immutable(new, old, &["data"]));
    errors
}

fn keys(object: &Value, list: &str) -> Vec<FieldError> {
    let keys = object[list].as_object().into_iter().flatten();
    let broken = keys.flat_map(|(key, _)| {
        let details = names::data_key(key).into_iter();
        details.map(move |detail| {
            FieldError::invalid(format!("{list}[{key}]"), format!("{key:?}"), detail)
        })
    });
    broken.collect()
}

/// Rejects changes of data and of `immutable` once `immutable` is set.
fn validate_immutable(new: &Value, old: Option<&Value>, lists: &[&str]) -> Vec<FieldError> {
    let Some(old) = old.filter(|old| old["immutable"] == true) else {
        return Vec::new();
    };
    let mut errors = Vec::new();
    if new["immutable"] != true {
        errors.push(FieldError::forbidden("immutable", IMMUTABLE));
    }
    let differs = |list: &&&str| new[**list] != old[**list];
    let changed = lists.iter().filter(differs);
    errors.extend(changed.map(|list| FieldError::forbidden(*list, IMMUTABLE)));
    errors
}
