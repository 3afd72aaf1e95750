//! Label selectors of the API's objects.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::{Selector, SelectorExt as _};

/// Labels of an object.
pub type Labels = BTreeMap<String, String>;

/// Returns `true` if `selector` matches `labels`. An empty selector matches all objects, an invalid one none.
pub fn selector_matches(selector: &LabelSelector, labels: Option<&Labels>) -> bool {
    let no_labels = Labels::new();
    let selector = Selector::try_from(selector.clone());
    selector.is_ok_and(|selector| selector.matches(labels.unwrap_or(&no_labels)))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn check(selector: Value, matches: bool) {
        let labels = Labels::from([("app".to_owned(), "a".to_owned())]);
        let selector: LabelSelector = serde_json::from_value(selector).expect("a selector");
        assert_eq!(
            selector_matches(&selector, Some(&labels)),
            matches,
            "{selector:?}"
        );
    }

    #[track_caller]
    fn check_expression(key: &str, operator: &str, values: &[&str], matches: bool) {
        let expression = json!({"key": key, "operator": operator, "values": values});
        check(json!({"matchExpressions": [expression]}), matches);
    }

    #[test]
    fn selector_matches_if_all_its_requirements_do() {
        check(json!({}), true);
        check(json!({"matchLabels": {"app": "a"}}), true);
        check(json!({"matchLabels": {"app": "b"}}), false);
        check(json!({"matchLabels": {"app": "a", "tier": "web"}}), false);
        check_expression("app", "In", &["a", "b"], true);
        check_expression("app", "In", &["b"], false);
        check_expression("tier", "In", &["a"], false);
        check_expression("app", "NotIn", &["a"], false);
        check_expression("tier", "NotIn", &["a"], true);
        check_expression("app", "Exists", &[], true);
        check_expression("tier", "Exists", &[], false);
        check_expression("tier", "DoesNotExist", &[], true);
        check_expression("app", "Near", &["a"], false);
    }

    #[test]
    fn objects_without_labels_match_the_empty_selector_only() {
        assert!(selector_matches(&LabelSelector::default(), None));
        let selector = json!({"matchLabels": {"app": "a"}});
        let selector = serde_json::from_value(selector).expect("a selector");
        assert!(!selector_matches(&selector, None));
    }
}
