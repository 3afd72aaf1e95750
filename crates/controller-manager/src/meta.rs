//! Owner references, selectors and "not found" results of any kind.

use std::collections::BTreeMap;

use component_helpers::labels::selector_matches;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference};
use kube::Resource;

pub(super) use component_helpers::labels::Labels;

/// Returns the owner that is the object's controller.
pub(super) fn controller_of(meta: &ObjectMeta) -> Option<&OwnerReference> {
    meta.owner_references
        .iter()
        .flatten()
        .find(|owner| owner.controller == Some(true))
}

/// Returns a reference that makes `owner` the controller of an object.
pub(super) fn controlled_by<K: Resource<DynamicType = ()>>(owner: &K) -> OwnerReference {
    let meta = owner.meta();
    OwnerReference {
        api_version: K::api_version(&()).into_owned(),
        kind: K::kind(&()).into_owned(),
        name: meta.name.clone().unwrap_or_default(),
        uid: meta.uid.clone().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

/// Returns `true` if `labels` has every pair of `selector`. An empty selector matches nothing.
pub(super) fn has_all_labels(labels: Option<&Labels>, selector: &Labels) -> bool {
    !selector.is_empty()
        && selector
            .iter()
            .all(|(key, value)| labels.and_then(|labels| labels.get(key)) == Some(value))
}

/// Returns `true` if `selector` matches `labels`. An empty selector matches nothing.
pub(super) fn selects(selector: &LabelSelector, labels: Option<&Labels>) -> bool {
    let pairs = selector.match_labels.as_ref();
    let expressions = selector.match_expressions.as_deref().unwrap_or_default();
    let is_empty = pairs.is_none_or(BTreeMap::is_empty) && expressions.is_empty();
    !is_empty && selector_matches(selector, labels)
}

/// Treats "not found" as success of a deletion (controller-runtime's `client.IgnoreNotFound`).
pub(super) fn ignore_not_found<T>(result: kube::Result<T>) -> kube::Result<()> {
    match result {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        other => other.map(drop),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelectorRequirement;

    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn empty_selector_matches_nothing() {
        assert!(!selects(
            &LabelSelector::default(),
            Some(&labels(&[("app", "api")]))
        ));
        assert!(!has_all_labels(
            Some(&labels(&[("app", "api")])),
            &Labels::new()
        ));
    }

    #[test]
    fn selector_matches_if_every_pair_does() {
        let selector = labels(&[("app", "api"), ("tier", "web")]);
        assert!(has_all_labels(
            Some(&labels(&[("app", "api"), ("tier", "web"), ("x", "y")])),
            &selector
        ));
        assert!(!has_all_labels(Some(&labels(&[("app", "api")])), &selector));
        assert!(!has_all_labels(None, &selector));
    }

    #[track_caller]
    fn check(operator: &str, values: &[&str], label: Option<&str>, is_selected: bool) {
        let selector = LabelSelector {
            match_expressions: Some(vec![LabelSelectorRequirement {
                key: "app".to_owned(),
                operator: operator.to_owned(),
                values: Some(values.iter().map(|value| (*value).to_owned()).collect()),
            }]),
            match_labels: None,
        };
        let labels = label.map(|value| labels(&[("app", value)]));
        assert_eq!(
            selects(&selector, labels.as_ref()),
            is_selected,
            "{operator} {values:?} on {label:?}"
        );
    }

    #[test]
    fn expressions_match_by_their_operators() {
        check("In", &["a", "b"], Some("b"), true);
        check("In", &["a", "b"], Some("c"), false);
        check("In", &["a"], None, false);
        check("NotIn", &["a"], Some("a"), false);
        check("NotIn", &["a"], Some("b"), true);
        check("NotIn", &["a"], None, true);
        check("Exists", &[], Some("a"), true);
        check("Exists", &[], None, false);
        check("DoesNotExist", &[], Some("a"), false);
        check("DoesNotExist", &[], None, true);
    }
}
