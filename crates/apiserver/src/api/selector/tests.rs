use serde_json::json;

use super::*;
use crate::kinds;

fn selector(labels: &str, fields: &str) -> Result<Selector, StatusError> {
    let query: String = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("labelSelector", labels)
        .append_pair("fieldSelector", fields)
        .finish();
    Selector::from_query(&Query::parse(&query))
}

#[track_caller]
fn check(labels: &str, fields: &str, expected: bool) {
    let kind = kinds::find("", "v1", "configmaps").unwrap();
    let object = json!({"metadata": {
        "name": "x", "namespace": "n", "labels": {"app": "web", "tier": "front", "count": "5"},
    }});
    assert_eq!(
        selector(labels, fields).unwrap().matches(kind, &object),
        expected,
        "{labels} {fields}"
    );
}

#[test]
fn label_selector_matches_labels() {
    for (labels, expected) in [
        ("", true),
        ("app=web", true),
        ("app==web", true),
        ("app=api", false),
        ("app!=api", true),
        ("app!=web", false),
        ("none!=web", true),
        ("app", true),
        ("none", false),
        ("!none", true),
        ("!app", false),
        ("app in (api, web)", true),
        ("app in (api)", false),
        ("none in (web)", false),
        ("app notin (api,none),tier=front", true),
        ("app notin (web)", false),
        ("none notin (web)", true),
        ("app=web,tier=back", false),
        ("count>4", true),
        ("count>5", false),
        ("count<6", true),
        ("count<5", false),
        ("app>1", false),
    ] {
        check(labels, "", expected);
    }
}

#[test]
fn field_selector_matches_fields() {
    for (fields, expected) in [
        ("metadata.name=x", true),
        ("metadata.name==x,metadata.namespace=n", true),
        ("metadata.name!=x", false),
        ("metadata.name=x,metadata.namespace=m", false),
    ] {
        check("", fields, expected);
    }
}

#[test]
fn malformed_selector_is_rejected() {
    for labels in [
        "a b",
        "app within (x)",
        "=x",
        "app in x)",
        "count>x",
        "a/b c=1",
    ] {
        assert!(selector(labels, "").is_err(), "{labels}");
    }
    assert!(selector("", "metadata.name").is_err());
}

#[test]
fn field_that_the_kind_does_not_support_is_rejected() {
    let kind = kinds::find("", "v1", "configmaps").unwrap();
    assert!(
        selector("", "spec.colour=red")
            .unwrap()
            .check_fields(kind)
            .is_err()
    );
    assert!(
        selector("", "metadata.name=red")
            .unwrap()
            .check_fields(kind)
            .is_ok()
    );
}
