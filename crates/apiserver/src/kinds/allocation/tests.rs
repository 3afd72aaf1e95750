use super::*;

fn service(spec: &Value) -> Arc<Value> {
    Arc::new(json!({"spec": spec}))
}

#[test]
fn cluster_ip_is_the_requested_or_the_first_free_one() {
    let services = [
        service(&json!({"clusterIP": "10.96.0.16"})),
        service(&json!({"clusterIP": "10.96.0.1"})),
    ];
    for (spec, expected) in [
        (json!({}), Some("10.96.0.17")),
        (json!({"clusterIP": ""}), Some("10.96.0.17")),
        (json!({"clusterIP": "None"}), Some("None")),
        (json!({"clusterIP": "10.96.0.10"}), Some("10.96.0.10")),
        (json!({"clusterIP": "10.96.0.1"}), None),
    ] {
        let mut object = json!({"spec": spec});
        let is_ok = allocate_cluster_ip(&services, &mut object).is_ok();
        let allocated = object["spec"]["clusterIPs"][0].as_str().filter(|_| is_ok);
        assert_eq!(allocated, expected, "{spec}");
    }
}

#[test]
fn node_port_and_load_balancer_services_get_node_ports() {
    let services = [service(&json!({"ports": [{"nodePort": 30_000}]}))];
    for (spec, expected) in [
        (
            json!({"type": "ClusterIP", "ports": [{"port": 1}]}),
            json!([null]),
        ),
        (
            json!({"type": "LoadBalancer", "ports": [{"port": 1}, {"port": 2}]}),
            json!([30_001, 30_002]),
        ),
        (
            json!({"type": "NodePort", "ports": [{"port": 1, "nodePort": 31_000}]}),
            json!([31_000]),
        ),
    ] {
        let mut object = json!({"spec": spec});
        allocate_node_ports(&services, &mut object).unwrap();
        let ports = object["spec"]["ports"].as_array().unwrap();
        assert_eq!(
            json!(
                ports
                    .iter()
                    .map(|port| port["nodePort"].clone())
                    .collect::<Vec<_>>()
            ),
            expected
        );
    }
    let mut taken =
        json!({"spec": {"type": "NodePort", "ports": [{"port": 1, "nodePort": 30_000}]}});
    assert!(allocate_node_ports(&services, &mut taken).is_err());
}

/// Checks the spec of the only service after an update.
#[track_caller]
fn check_update(old: &Value, new: &Value, expected: &Value) {
    let mut object = json!({"spec": *new});
    let old = json!({"spec": old});
    allocate_service(&[], &mut object, Some(&old)).unwrap();
    assert_eq!(object["spec"], *expected);
}

#[test]
fn updated_service_keeps_its_allocations() {
    let ip = "10.96.0.99";
    let whole = |port: i64| {
        json!({"type": "NodePort", "clusterIP": ip, "clusterIPs": [ip], "ports": [
            {"name": "a", "port": 1, "nodePort": port}, {"name": "b", "port": 2, "nodePort": 31_001}]})
    };
    let bare = json!({"type": "NodePort", "ports": [{"name": "a", "port": 1}, {"name": "b", "port": 2, "nodePort": 0}]});
    check_update(&whole(31_000), &bare, &whole(31_000));
    check_update(&whole(31_000), &whole(31_002), &whole(31_002));
    // Another port requests the number.
    let swapped = json!({"type": "NodePort", "ports": [{"name": "a", "port": 1}, {"name": "b", "port": 2, "nodePort": 31_000}]});
    let expected = json!({"type": "NodePort", "clusterIP": ip, "clusterIPs": [ip], "ports": [
        {"name": "a", "port": 1, "nodePort": 30_000}, {"name": "b", "port": 2, "nodePort": 31_000}]});
    check_update(&whole(31_000), &swapped, &expected);
}

#[test]
fn change_of_service_type_allocates_and_releases() {
    let first = "10.96.0.16";
    let named = json!({"type": "ExternalName", "externalName": "x"});
    let inside = json!({"type": "ClusterIP", "clusterIP": first, "clusterIPs": [first], "ports": [{"port": 1}]});
    let outside = json!({"type": "NodePort", "clusterIP": first, "clusterIPs": [first], "ports": [{"port": 1, "nodePort": 30_000}]});
    let typed = |spec: &Value, kind: &str| {
        let mut spec = spec.clone();
        spec["type"] = json!(kind);
        spec
    };
    check_update(
        &named,
        &json!({"type": "ClusterIP", "ports": [{"port": 1}]}),
        &inside,
    );
    check_update(&inside, &typed(&inside, "NodePort"), &outside);
    check_update(&outside, &typed(&outside, "ClusterIP"), &inside);
    let released = json!({"type": "ExternalName", "ports": [{"port": 1}]});
    check_update(&inside, &typed(&inside, "ExternalName"), &released);
    check_update(&outside, &typed(&outside, "ExternalName"), &released);
    // A different node port stays: validation rejects it.
    let other = json!({"type": "ClusterIP", "clusterIP": first, "clusterIPs": [first], "ports": [{"port": 1, "nodePort": 31_000}]});
    check_update(&outside, &other, &other);
}
