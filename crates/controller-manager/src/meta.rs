//! Small questions about any object's metadata: who controls it, does a selector choose it.

use std::collections::BTreeMap;

use component_helpers::labels::selector_matches;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference};
use kube::Resource;

pub(super) use component_helpers::labels::Labels;

/// The owner that manages the object.
pub(super) fn controller_of(meta: &ObjectMeta) -> Option<&OwnerReference> {
    meta.owner_references
        .iter()
        .flatten()
        .find(|owner| owner.controller == Some(true))
}

/// A reference that makes `owner` the manager of an object.
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

/// Whether `labels` has every pair of `selector`; an empty selector chooses nothing.
pub(super) fn has_all(labels: Option<&Labels>, selector: &Labels) -> bool {
    !selector.is_empty()
        && selector
            .iter()
            .all(|(key, value)| labels.and_then(|labels| labels.get(key)) == Some(value))
}

/// Whether `selector` chooses `labels`; an empty selector chooses nothing.
pub(super) fn selects(selector: &LabelSelector, labels: Option<&Labels>) -> bool {
    let pairs = selector.match_labels.as_ref();
    let expressions = selector.match_expressions.as_deref().unwrap_or_default();
    let is_empty = pairs.is_none_or(BTreeMap::is_empty) && expressions.is_empty();
    !is_empty && selector_matches(selector, labels)
}

/// Takes "not found" for done, where something was to go.
pub(super) fn gone_is_fine<T>(answer: kube::Result<T>) -> kube::Result<()> {
    match answer {
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
    fn an_empty_selector_chooses_nothing() {
        assert!(!selects(
            &LabelSelector::default(),
            Some(&labels(&[("app", "api")]))
        ));
        assert!(!has_all(Some(&labels(&[("app", "api")])), &Labels::new()));
    }

    #[test]
    fn every_pair_must_match() {
        let selector = labels(&[("app", "api"), ("tier", "web")]);
        assert!(has_all(
            Some(&labels(&[("app", "api"), ("tier", "web"), ("x", "y")])),
            &selector
        ));
        assert!(!has_all(Some(&labels(&[("app", "api")])), &selector));
        assert!(!has_all(None, &selector));
    }

    #[track_caller]
    fn check(operator: &str, values: &[&str], label: Option<&str>, chosen: bool) {
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
            chosen,
            "{operator} {values:?} on {label:?}"
        );
    }

    #[test]
    fn expressions_read_as_the_api_defines_them() {
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
