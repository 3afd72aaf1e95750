//! Which labels a selector in an object chooses.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};

/// Labels of an object.
pub type Labels = BTreeMap<String, String>;

/// Whether `selector` chooses `labels`; an empty one chooses all.
pub fn matches(selector: &LabelSelector, labels: Option<&Labels>) -> bool {
    let mut pairs = selector.match_labels.iter().flatten();
    let mut expressions = selector.match_expressions.iter().flatten();
    pairs.all(|(key, value)| label(labels, key) == Some(value))
        && expressions.all(|expression| meets(expression, labels))
}

fn meets(expression: &LabelSelectorRequirement, labels: Option<&Labels>) -> bool {
    let value = label(labels, &expression.key);
    let listed =
        || value.is_some_and(|value| expression.values.iter().flatten().any(|one| one == value));
    match expression.operator.as_str() {
        "In" => listed(),
        "NotIn" => !listed(),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        _ => false,
    }
}

/// Returns the value of the label `key`.
pub fn label<'a>(labels: Option<&'a Labels>, key: &str) -> Option<&'a String> {
    labels.and_then(|labels| labels.get(key))
}
