//! What the API server chooses for a new service: its address in the cluster, and ports on the node.

use std::collections::HashSet;
use std::net::Ipv4Addr;

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

/// Gives a new service what it does not bring itself.
pub(super) fn addresses(store: &Store, kind: &Kind, object: &mut Value) -> Result<(), Failure> {
    if kind.kind != "Service" || object["spec"]["type"] == "ExternalName" {
        return Ok(());
    }
    let (services, _) = store.list("/services", None);
    cluster_ip(&services, object)?;
    node_ports(&services, object)
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
    if !matches!(
        object["spec"]["type"].as_str(),
        Some("NodePort" | "LoadBalancer")
    ) {
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
    use std::sync::Arc;

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
}
