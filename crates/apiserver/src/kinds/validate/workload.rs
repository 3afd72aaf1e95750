//! Validation of deployments, replica sets, replication controllers and pod templates.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use probe::spec::field::validate_not_negative;
use serde_json::Value;

use super::pod::pod_spec;
use super::{immutable, labels, metadata};
use crate::kinds::FieldError;
use crate::kinds::names;

pub(in crate::kinds) fn deployment(new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = validate_replicas_and_template(new, old);
    errors.extend(validate_selector(new, old, "deployment"));
    let spec = &new["spec"];
    errors.extend(strategy(&spec["strategy"]));
    for field in [
        "minReadySeconds",
        "revisionHistoryLimit",
        "progressDeadlineSeconds",
    ] {
        errors.extend(validate_not_negative(
            format!("spec.{field}"),
            spec[field].as_i64(),
        ));
    }
    let (deadline, ready) = (
        spec["progressDeadlineSeconds"].as_i64(),
        spec["minReadySeconds"].as_i64(),
    );
    if let Some(deadline) = deadline.filter(|deadline| *deadline <= ready.unwrap_or(0)) {
        let detail = "must be greater than minReadySeconds";
        let field = "spec.progressDeadlineSeconds";
        errors.push(FieldError::invalid(field, deadline.to_string(), detail));
    }
    errors
}

pub(in crate::kinds) fn pod_template(new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = metadata(new, old, names::subdomain);
    let template = &new["template"];
    errors.extend(labels(
        &template["metadata"]["labels"],
        "template.metadata.labels",
    ));
    errors.extend(pod_spec(&template["spec"], "template.spec"));
    errors
}

pub(in crate::kinds) fn replication_controller(
    new: &Value,
    old: Option<&Value>,
) -> Vec<FieldError> {
    let mut errors = validate_replicas_and_template(new, old);
    let spec = &new["spec"];
    let selector = spec["selector"].as_object();
    errors.extend(match selector.filter(|selector| !selector.is_empty()) {
        None => Some(FieldError::required("spec.selector", "")),
        Some(selector) => mismatch(selector, &spec["template"]["metadata"]["labels"]),
    });
    errors
}

pub(in crate::kinds) fn replica_set(new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = validate_replicas_and_template(new, old);
    errors.extend(validate_selector(new, old, "replicaset"));
    errors
}

/// Validates replicas and template.
fn validate_replicas_and_template(new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = metadata(new, old, names::subdomain);
    let spec = &new["spec"];
    errors.extend(validate_not_negative(
        "spec.replicas",
        spec["replicas"].as_i64(),
    ));
    let template = &spec["template"];
    errors.extend(labels(
        &template["metadata"]["labels"],
        "spec.template.metadata.labels",
    ));
    errors.extend(pod_spec(&template["spec"], "spec.template.spec"));
    let policy = template["spec"]["restartPolicy"]
        .as_str()
        .unwrap_or_default();
    if matches!(policy, "OnFailure" | "Never") {
        let field = "spec.template.spec.restartPolicy";
        errors.push(FieldError::unsupported(field, policy, &["Always"]));
    }
    if !template["spec"]["activeDeadlineSeconds"].is_null() {
        let field = "spec.template.spec.activeDeadlineSeconds";
        let detail = "activeDeadlineSeconds in ReplicaSet is not Supported";
        errors.push(FieldError::forbidden(field, detail));
    }
    errors
}

/// Validates the selector, which is immutable.
fn validate_selector(
    new: &Value,
    old: Option<&Value>,
    kind: &str,
) -> impl Iterator<Item = FieldError> {
    let wrong = selector_error(&new["spec"], kind).into_iter();
    wrong.chain(immutable(new, old, "/spec/selector", "spec.selector"))
}

/// Checks that the selector exists, is not empty, and matches the template.
fn selector_error(spec: &Value, kind: &str) -> Option<FieldError> {
    let selector = &spec["selector"];
    if selector.is_null() {
        return Some(FieldError::required("spec.selector", ""));
    }
    let labels = selector["matchLabels"].as_object();
    let expressions = selector["matchExpressions"]
        .as_array()
        .is_some_and(|list| !list.is_empty());
    if labels.is_none_or(serde_json::Map::is_empty) && !expressions {
        let detail = format!("empty selector is invalid for {kind}");
        return Some(FieldError::invalid(
            "spec.selector",
            selector.to_string(),
            detail,
        ));
    }
    let empty = serde_json::Map::new();
    mismatch(
        labels.unwrap_or(&empty),
        &spec["template"]["metadata"]["labels"],
    )
}

fn mismatch(selector: &serde_json::Map<String, Value>, labels: &Value) -> Option<FieldError> {
    let matches = selector.iter().all(|(key, value)| labels[key] == *value);
    (!matches).then(|| {
        let detail = "`selector` does not match template `labels`";
        FieldError::invalid("spec.template.metadata.labels", labels.to_string(), detail)
    })
}

fn strategy(strategy: &Value) -> Vec<FieldError> {
    let path = "spec.strategy";
    let rolling = &strategy["rollingUpdate"];
    match strategy["type"].as_str().unwrap_or_default() {
        "Recreate" if !rolling.is_null() => {
            let detail = "may not be specified when strategy `type` is 'Recreate'";
            vec![FieldError::forbidden(
                format!("{path}.rollingUpdate"),
                detail,
            )]
        }
        "Recreate" => Vec::new(),
        "RollingUpdate" => rolling_update(rolling, &format!("{path}.rollingUpdate")),
        other => {
            let field = format!("{path}.type");
            vec![FieldError::unsupported(
                field,
                other,
                &["Recreate", "RollingUpdate"],
            )]
        }
    }
}

fn rolling_update(rolling: &Value, path: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut zero = true;
    for name in ["maxUnavailable", "maxSurge"] {
        let field = format!("{path}.{name}");
        let value = &rolling[name];
        match serde_json::from_value(value.clone()) {
            Ok(IntOrString::Int(number)) => {
                errors.extend(validate_not_negative(field, Some(number.into())));
                zero &= number == 0;
            }
            Ok(IntOrString::String(text)) => match percent(&text) {
                None => {
                    let detail = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')";
                    errors.push(FieldError::invalid(field, value.to_string(), detail));
                    zero = false;
                }
                Some(percent) => {
                    if percent > 100 && name == "maxUnavailable" {
                        let detail = "must not be greater than 100%";
                        errors.push(FieldError::invalid(field, value.to_string(), detail));
                    }
                    zero &= percent == 0;
                }
            },
            Err(_) => {}
        }
    }
    if zero {
        let field = format!("{path}.maxUnavailable");
        let value = rolling["maxUnavailable"].to_string();
        errors.push(FieldError::invalid(
            field,
            value,
            "may not be 0 when `maxSurge` is 0",
        ));
    }
    errors
}

fn percent(text: &str) -> Option<u64> {
    let digits = text.strip_suffix('%')?;
    let all_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then(|| digits.parse().unwrap_or(u64::MAX))
}
