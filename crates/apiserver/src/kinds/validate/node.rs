//! Validation of nodes.

use serde_json::Value;

use super::named;
use crate::kinds::FieldError;

/// Validates a node. Upstream: `ValidateNodeUpdate`.
pub(in crate::kinds) fn node(new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = named(new, old);
    let Some(old) = old else {
        return errors;
    };
    for (field, name) in [("podCIDRs", "podCIDR"), ("providerID", "providerID")] {
        if is_set(&old["spec"][field]) && new["spec"][field] != old["spec"][field] {
            let detail = format!("node updates may not change {name} except from \"\" to valid");
            errors.push(FieldError::forbidden(format!("spec.{field}"), detail));
        }
    }
    errors
}

fn is_set(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        _ => true,
    }
}
