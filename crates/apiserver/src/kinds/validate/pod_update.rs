//! Updates of pods: almost all of a pod's spec is immutable. Upstream: `ValidatePodUpdate`.

use serde_json::{Map, Value};

use super::list;
use crate::kinds::FieldError;

/// Upper bound of `activeDeadlineSeconds`.
const MAX_DEADLINE_SECONDS: i64 = i32::MAX as i64;

const IMMUTABLE: &str = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

/// Validates an update of the pod's spec. `spec.nodeName` is set through `pods/binding`, which this function does not validate.
pub(super) fn validate(new: &Value, old: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for containers in ["containers", "initContainers"] {
        let path = format!("spec.{containers}");
        if list(new, containers).count() != list(old, containers).count() {
            let detail = "pod updates may not add or remove containers";
            errors.push(FieldError::forbidden(path, detail));
            return errors;
        }
        for (at, container) in list(new, containers) {
            errors.extend(validate_image(container, &format!("{path}[{at}].image")));
        }
    }
    if let Some(error) = validate_deadline(new, old) {
        errors.push(error);
        return errors;
    }
    errors.extend(validate_tolerations(new, old));
    let (old, new) = (
        without_empty(old),
        without_empty(&with_mutable_fields(new, old)),
    );
    if new != old {
        let detail = format!("{IMMUTABLE}\n{}", diff(&old, &new));
        errors.push(FieldError::forbidden("spec", detail));
    }
    errors
}

fn validate_image(container: &Value, field: &str) -> Option<FieldError> {
    let image = container["image"].as_str().unwrap_or_default();
    if image.is_empty() {
        return Some(FieldError::required(field, ""));
    }
    (image.trim() != image).then(|| {
        let detail = "must not have leading or trailing whitespace";
        FieldError::invalid(field, format!("{image:?}"), detail)
    })
}

/// Rejects a change of the deadline other than setting or decreasing it.
fn validate_deadline(new: &Value, old: &Value) -> Option<FieldError> {
    let [new, old] = [new, old].map(|spec| &spec["activeDeadlineSeconds"]);
    let detail = match (new.as_i64(), old.as_i64()) {
        (Some(new), _) if !(0..=MAX_DEADLINE_SECONDS).contains(&new) => {
            "must be between 0 and 2147483647, inclusive"
        }
        (Some(new), Some(old)) if new > old => "must be less than or equal to previous value",
        (None, Some(_)) => "must not update from a positive integer to nil value",
        _ => return None,
    };
    let field = "spec.activeDeadlineSeconds";
    Some(FieldError::invalid(field, new.to_string(), detail))
}

/// Rejects changes of tolerations other than additions and `tolerationSeconds`.
fn validate_tolerations(new: &Value, old: &Value) -> Option<FieldError> {
    let without_seconds = |toleration: &Value| {
        let mut toleration = without_empty(toleration);
        if let Some(fields) = toleration.as_object_mut() {
            fields.remove("tolerationSeconds");
        }
        toleration
    };
    let new: Vec<Value> = list(new, "tolerations")
        .map(|(_, toleration)| without_seconds(toleration))
        .collect();
    let is_kept = list(old, "tolerations").all(|(_, old)| new.contains(&without_seconds(old)));
    (!is_kept).then(|| {
        let detail = "existing toleration can not be modified except its tolerationSeconds";
        FieldError::forbidden("spec.tolerations", detail)
    })
}

/// Returns `new` with the values of `old` in all fields that may change.
fn with_mutable_fields(new: &Value, old: &Value) -> Value {
    let mut spec = new.clone();
    for field in ["activeDeadlineSeconds", "tolerations"] {
        spec[field] = old[field].clone();
    }
    for containers in ["containers", "initContainers"] {
        for (at, container) in list(old, containers) {
            spec[containers][at]["image"] = container["image"].clone();
        }
    }
    let grace = "terminationGracePeriodSeconds";
    if old[grace].as_i64().is_some_and(|seconds| seconds < 0) && new[grace] == 1 {
        spec[grace] = old[grace].clone();
    }
    spec
}

/// Removes nulls and empty lists, which are equal to unset fields in Go's semantic equality.
fn without_empty(value: &Value) -> Value {
    let is_empty = |value: &Value| value.is_null() || value.as_array().is_some_and(Vec::is_empty);
    match value {
        Value::Object(fields) => {
            let fields = fields.iter().filter(|(_, value)| !is_empty(value));
            let fields = fields.map(|(name, value)| (name.clone(), without_empty(value)));
            Value::Object(fields.collect())
        }
        Value::Array(list) => Value::Array(list.iter().map(without_empty).collect()),
        value => value.clone(),
    }
}

/// Lists the fields that differ, in the form of upstream's `cmp.Diff`: removed values marked `-`, added ones `+`.
fn diff(old: &Value, new: &Value) -> String {
    let mut lines = Vec::new();
    collect_differences("", Some(old), Some(new), &mut lines);
    format!("  core.PodSpec{{\n{}\n  }}\n", lines.join("\n"))
}

fn collect_differences(
    path: &str,
    old: Option<&Value>,
    new: Option<&Value>,
    lines: &mut Vec<String>,
) {
    if old == new {
        return;
    }
    match (old, new) {
        (Some(Value::Object(old)), Some(Value::Object(new))) => {
            for name in names(old, new) {
                let field = format!(
                    "{path}{}{}",
                    if path.is_empty() { "" } else { "." },
                    go_name(name)
                );
                collect_differences(&field, old.get(name), new.get(name), lines);
            }
        }
        (Some(Value::Array(old)), Some(Value::Array(new))) if old.len() == new.len() => {
            for (at, (old, new)) in old.iter().zip(new).enumerate() {
                collect_differences(&format!("{path}[{at}]"), Some(old), Some(new), lines);
            }
        }
        _ => {
            lines.extend(old.map(|old| format!("- \t{path}: {old},")));
            lines.extend(new.map(|new| format!("+ \t{path}: {new},")));
        }
    }
}

fn names<'a>(old: &'a Map<String, Value>, new: &'a Map<String, Value>) -> Vec<&'a String> {
    let mut names: Vec<&String> = old.keys().chain(new.keys()).collect();
    names.sort();
    names.dedup();
    names
}

/// Returns the name of the Go struct's field: `nodeName` is `NodeName`, `dnsPolicy` is `DNSPolicy`.
fn go_name(field: &str) -> String {
    if let Some(rest) = field.strip_prefix("dns") {
        return format!("DNS{rest}");
    }
    let mut letters = field.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}
