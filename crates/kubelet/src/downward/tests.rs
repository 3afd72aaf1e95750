use serde_json::json;

use super::*;

fn pod() -> Pod {
    serde_json::from_value(json!({
        "metadata": {"name": "p", "namespace": "n", "uid": "u",
            "labels": {"app": "web", "tier": "front"}, "annotations": {"note": "say \"hi\"\n"}},
        "spec": {"nodeName": "node", "serviceAccountName": "default",
            "initContainers": [{"name": "i", "resources": {"limits": {"memory": "1Ki"}}}],
            "containers": [{"name": "c", "resources": {
                "requests": {"cpu": "250m", "memory": "32Mi"},
                "limits": {"cpu": "1250m", "memory": "64Mi", "ephemeral-storage": "0"}}}, {"name": "d"}]},
    }))
    .unwrap()
}

fn with_context<T>(read: impl FnOnce(&DownwardContext<'_>) -> T) -> T {
    let amount = |text: &str| Quantity(text.to_owned());
    read(&DownwardContext {
        pod: &pod(),
        pod_ip: "10.244.0.2".to_owned(),
        node_ip: "10.0.0.1",
        allocatable: &[
            ("cpu".to_owned(), amount("2")),
            ("memory".to_owned(), amount("4Gi")),
        ]
        .into(),
    })
}

#[track_caller]
fn check_field(path: &str, expected: &str) {
    let selector = ObjectFieldSelector {
        field_path: path.to_owned(),
        ..ObjectFieldSelector::default()
    };
    let found = with_context(|downward| downward.field_value(&selector));
    assert_eq!(
        found.unwrap_or_else(|error| error.to_string()),
        expected,
        "{path}"
    );
}

#[test]
fn field_paths_select_the_pods_values() {
    check_field("metadata.name", "p");
    check_field("metadata.namespace", "n");
    check_field("metadata.uid", "u");
    check_field("metadata.labels", "app=\"web\"\ntier=\"front\"");
    check_field("metadata.annotations", "note=\"say \\\"hi\\\"\\n\"");
    check_field("metadata.labels['app']", "web");
    check_field("metadata.labels['none']", "");
    check_field("metadata.annotations['note']", "say \"hi\"\n");
    check_field("spec.nodeName", "node");
    check_field("spec.serviceAccountName", "default");
    check_field("status.podIP", "10.244.0.2");
    check_field("status.podIPs", "10.244.0.2");
    check_field("status.hostIP", "10.0.0.1");
    check_field("status.hostIPs", "10.0.0.1");
    check_field("spec.colour", "unsupported fieldPath: spec.colour");
}

#[track_caller]
fn check_resource(container: &str, resource: &str, divisor: Option<&str>, expected: &str) {
    let selector = ResourceFieldSelector {
        container_name: Some(container.to_owned()),
        resource: resource.to_owned(),
        divisor: divisor.map(|divisor| Quantity(divisor.to_owned())),
    };
    let found = with_context(|downward| downward.resource_of_named_container(&selector));
    assert_eq!(
        found.unwrap_or_else(|error| error.to_string()),
        expected,
        "{container}: {resource}"
    );
}

#[test]
fn resource_is_divided_by_its_divisor_and_rounded_up() {
    check_resource("c", "limits.cpu", None, "2");
    check_resource("c", "limits.cpu", Some("0"), "2");
    check_resource("c", "limits.cpu", Some("1m"), "1250");
    check_resource("c", "requests.cpu", Some("100m"), "3");
    check_resource("c", "limits.memory", None, "67108864");
    check_resource("c", "limits.memory", Some("1Mi"), "64");
    check_resource("c", "requests.memory", Some("1Gi"), "1");
    check_resource("i", "limits.memory", Some("1"), "1024");
}

#[test]
fn missing_limit_is_the_nodes_allocatable_resource() {
    check_resource("d", "limits.cpu", None, "2");
    check_resource("d", "limits.memory", Some("1Mi"), "4096");
    check_resource("d", "limits.ephemeral-storage", None, "0");
    check_resource("c", "limits.ephemeral-storage", None, "0");
    check_resource("d", "requests.cpu", None, "0");
}

#[test]
fn unknown_containers_resources_and_quantities_are_errors() {
    check_resource("e", "limits.cpu", None, "container e not found");
    for resource in ["cpu", "limits.pods", "others.cpu"] {
        let expected = format!("unsupported container resource : {resource}");
        check_resource("c", resource, None, &expected);
    }
    let expected = "divisor: Invalid value: \"x\": not a quantity";
    check_resource("c", "limits.cpu", Some("x"), expected);
}
