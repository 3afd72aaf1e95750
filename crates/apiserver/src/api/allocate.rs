//! What the API server chooses for a service: its address in the cluster, and ports on the node.

use std::collections::HashSet;
use std::net::Ipv4Addr;
use std::sync::Arc;

use serde_json::{Value, json};

use super::Failure;
use crate::kinds::Kind;
use crate::store::Store;

/// The network of service addresses, and how many of its bits are chosen.
const NETWORK: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 0);
const HOST_BITS: u32 = 16;
/// The first addresses are left to services that ask for one by name: the API's own, and DNS.
const FIRST: u32 = 16;
/// The ports that services may have on the node.
const NODE_PORTS: std::ops::RangeInclusive<i64> = 30_000..=32_767;

/// Gives a service what it does not bring itself; one that is there already keeps what it has, unless its type has no use for it.
pub(super) fn addresses(
    store: &Store,
    kind: &Kind,
    object: &mut Value,
    old: Option<&Value>,
) -> Result<(), Failure> {
    if kind.kind != "Service" {
        return Ok(());
    }
    if let Some(old) = old {
        keep(object, old);
        give_up(object, old);
    }
    if !has_address(object) {
        return Ok(());
    }
    let (services, _) = store.list("/services", None);
    let uid = |service: &Value| service["metadata"]["uid"].clone();
    let is_other = |service: &&Arc<Value>| old.is_none_or(|old| uid(service) != uid(old));
    let others: Vec<_> = services.iter().filter(is_other).cloned().collect();
    cluster_ip(&others, object)?;
    node_ports(&others, object)
}

fn has_address(service: &Value) -> bool {
    service["spec"]["type"] != "ExternalName"
}

fn has_node_ports(service: &Value) -> bool {
    let kind = service["spec"]["type"].as_str();
    matches!(kind, Some("NodePort" | "LoadBalancer"))
}

fn is_unset(value: &Value) -> bool {
    value.is_null() || *value == "" || *value == 0
}

/// Whoever writes a service need not say what was chosen for it.
fn keep(object: &mut Value, old: &Value) {
    if has_address(old) && has_address(object) && is_unset(&object["spec"]["clusterIP"]) {
        for field in ["clusterIP", "clusterIPs"] {
            object["spec"][field] = old["spec"][field].clone();
        }
    }
    if !has_node_ports(old) || !has_node_ports(object) {
        return;
    }
    let was = |name: &Value| {
        let ports = old["spec"]["ports"].as_array()?;
        let port = ports.iter().find(|port| port["name"] == *name)?;
        port["nodePort"].as_i64()
    };
    let ports = object["spec"]["ports"].as_array().into_iter().flatten();
    let mut taken: HashSet<i64> = ports.filter_map(|port| port["nodePort"].as_i64()).collect();
    for port in object["spec"]["ports"].as_array_mut().into_iter().flatten() {
        let kept = was(&port["name"]).filter(|_| is_unset(&port["nodePort"]));
        if let Some(kept) = kept.filter(|kept| taken.insert(*kept)) {
            port["nodePort"] = json!(kept);
        }
    }
}

/// What its new type has no use for, unless it is asked for anew.
fn give_up(object: &mut Value, old: &Value) {
    if has_address(old)
        && !has_address(object)
        && object["spec"]["clusterIP"] == old["spec"]["clusterIP"]
        && let Some(spec) = object["spec"].as_object_mut()
    {
        spec.remove("clusterIP");
        spec.remove("clusterIPs");
    }
    if has_node_ports(old) && !has_node_ports(object) {
        let old_ports = old["spec"]["ports"].as_array().into_iter().flatten();
        let were: HashSet<i64> = old_ports
            .filter_map(|port| port["nodePort"].as_i64())
            .collect();
        for port in object["spec"]["ports"].as_array_mut().into_iter().flatten() {
            let was_chosen = port["nodePort"]
                .as_i64()
                .is_some_and(|port| were.contains(&port));
            if let Some(port) = port.as_object_mut().filter(|_| was_chosen) {
                port.remove("nodePort");
            }
        }
    }
}

fn cluster_ip(
    services: &[impl std::ops::Deref<Target = Value>],
    object: &mut Value,
) -> Result<(), Failure> {
    let taken: HashSet<&str> = services
        .iter()
        .filter_map(|service| service["spec"]["clusterIP"].as_str())
        .collect();
    let address = match object["spec"]["clusterIP"].as_str() {
        Some("None") => "None".to_owned(),
        Some(asked) if !asked.is_empty() => {
            if taken.contains(asked) {
                return Err(Failure::bad_request(format!(
                    "spec.clusterIPs: Invalid value: {asked:?}: failed to allocate IP {asked}: provided IP is already allocated"
                )));
            }
            asked.to_owned()
        }
        _ => (FIRST..(1 << HOST_BITS) - 1)
            .map(|host| Ipv4Addr::from_bits(NETWORK.to_bits() + host).to_string())
            .find(|address| !taken.contains(address.as_str()))
            .ok_or_else(|| Failure::bad_request("the network of service addresses is full"))?,
    };
    object["spec"]["clusterIP"] = json!(address);
    object["spec"]["clusterIPs"] = json!([address]);
    Ok(())
}

fn node_ports(
    services: &[impl std::ops::Deref<Target = Value>],
    object: &mut Value,
) -> Result<(), Failure> {
    if !has_node_ports(object) {
        return Ok(());
    }
    let ports = services
        .iter()
        .flat_map(|service| service["spec"]["ports"].as_array().into_iter().flatten());
    let mut taken: HashSet<i64> = ports.filter_map(|port| port["nodePort"].as_i64()).collect();
    for port in object["spec"]["ports"].as_array_mut().into_iter().flatten() {
        let chosen = match port["nodePort"].as_i64().filter(|asked| *asked != 0) {
            Some(asked) if taken.contains(&asked) => {
                return Err(Failure::bad_request(format!(
                    "spec.ports.nodePort: Invalid value: {asked}: provided port is already allocated"
                )));
            }
            Some(asked) => asked,
            None => NODE_PORTS
                .into_iter()
                .find(|port| !taken.contains(port))
                .ok_or_else(|| Failure::bad_request("all node ports are taken"))?,
        };
        taken.insert(chosen);
        port["nodePort"] = json!(chosen);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(spec: &Value) -> Arc<Value> {
        Arc::new(json!({"spec": spec}))
    }

    #[test]
    fn an_address_is_the_first_free_one_or_the_one_that_is_asked_for() {
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
            let done = cluster_ip(&services, &mut object).is_ok();
            let seen = object["spec"]["clusterIPs"][0].as_str().filter(|_| done);
            assert_eq!(seen, expected, "{spec}");
        }
    }

    #[test]
    fn services_for_the_outside_get_a_port_on_the_node() {
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
            node_ports(&services, &mut object).unwrap();
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
        assert!(node_ports(&services, &mut taken).is_err());
    }

    /// A service after it was written anew, with nothing beside it.
    #[track_caller]
    fn check(old: &Value, new: &Value, expected: &Value) {
        let kind = crate::kinds::find("", "v1", "services").unwrap();
        let mut object = json!({"spec": *new});
        let old = json!({"spec": old});
        addresses(&Store::default(), kind, &mut object, Some(&old)).unwrap();
        assert_eq!(object["spec"], *expected);
    }

    #[test]
    fn a_service_that_is_written_anew_keeps_what_was_chosen_for_it() {
        let ip = "10.96.0.99";
        let whole = |port: i64| {
            json!({"type": "NodePort", "clusterIP": ip, "clusterIPs": [ip], "ports": [
                {"name": "a", "port": 1, "nodePort": port}, {"name": "b", "port": 2, "nodePort": 31_001}]})
        };
        let bare = json!({"type": "NodePort", "ports": [{"name": "a", "port": 1}, {"name": "b", "port": 2, "nodePort": 0}]});
        check(&whole(31_000), &bare, &whole(31_000));
        check(&whole(31_000), &whole(31_002), &whole(31_002));
        // Another port asks for the number.
        let swapped = json!({"type": "NodePort", "ports": [{"name": "a", "port": 1}, {"name": "b", "port": 2, "nodePort": 31_000}]});
        let expected = json!({"type": "NodePort", "clusterIP": ip, "clusterIPs": [ip], "ports": [
            {"name": "a", "port": 1, "nodePort": 30_000}, {"name": "b", "port": 2, "nodePort": 31_000}]});
        check(&whole(31_000), &swapped, &expected);
    }

    #[test]
    fn another_type_of_service_gets_what_it_needs_and_gives_up_the_rest() {
        let first = "10.96.0.16";
        let named = json!({"type": "ExternalName", "externalName": "x"});
        let inside = json!({"type": "ClusterIP", "clusterIP": first, "clusterIPs": [first], "ports": [{"port": 1}]});
        let outside = json!({"type": "NodePort", "clusterIP": first, "clusterIPs": [first], "ports": [{"port": 1, "nodePort": 30_000}]});
        let typed = |spec: &Value, kind: &str| {
            let mut spec = spec.clone();
            spec["type"] = json!(kind);
            spec
        };
        check(
            &named,
            &json!({"type": "ClusterIP", "ports": [{"port": 1}]}),
            &inside,
        );
        check(&inside, &typed(&inside, "NodePort"), &outside);
        check(&outside, &typed(&outside, "ClusterIP"), &inside);
        let gone = json!({"type": "ExternalName", "ports": [{"port": 1}]});
        check(&inside, &typed(&inside, "ExternalName"), &gone);
        check(&outside, &typed(&outside, "ExternalName"), &gone);
        // Asked for anew, it is for the rules to refuse.
        let other = json!({"type": "ClusterIP", "clusterIP": first, "clusterIPs": [first], "ports": [{"port": 1, "nodePort": 31_000}]});
        check(&outside, &other, &other);
    }
}
