//! Allocation of cluster IPs and node ports for services.

use std::collections::HashSet;
use std::net::Ipv4Addr;
use std::ops::{Deref, RangeInclusive};
use std::sync::Arc;

use serde_json::{Value, json};

/// First address of the service network (`--service-cluster-ip-range`).
const SERVICE_CIDR: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 0);
/// Number of bits of a service address that identify the service.
const SERVICE_CIDR_HOST_BITS: u32 = 16;
/// Number of addresses at the start of the network that are not allocated automatically. Services such as the API's own
/// and DNS request one of them.
const RESERVED_ADDRESSES: u32 = 16;
/// Ports of `NodePort` and `LoadBalancer` services (`--service-node-port-range`).
const NODE_PORTS: RangeInclusive<i64> = 30_000..=32_767;

/// Allocates the cluster IP and the node ports that a service does not specify. An update keeps the allocated values, unless
/// the new type of the service does not use them.
pub(super) fn allocate_service(
    services: &[Arc<Value>],
    object: &mut Value,
    old: Option<&Value>,
) -> Result<(), String> {
    if let Some(old) = old {
        carry_over_allocations(object, old);
        release_unused(object, old);
    }
    if !has_cluster_ip(object) {
        return Ok(());
    }
    let uid = |service: &Value| service["metadata"]["uid"].clone();
    let is_other = |service: &&Arc<Value>| old.is_none_or(|old| uid(service) != uid(old));
    let others: Vec<_> = services.iter().filter(is_other).cloned().collect();
    allocate_cluster_ip(&others, object)?;
    allocate_node_ports(&others, object)
}

fn has_cluster_ip(service: &Value) -> bool {
    service["spec"]["type"] != "ExternalName"
}

fn has_node_ports(service: &Value) -> bool {
    let service_type = service["spec"]["type"].as_str();
    matches!(service_type, Some("NodePort" | "LoadBalancer"))
}

fn is_unset(value: &Value) -> bool {
    value.is_null() || *value == "" || *value == 0
}

fn ports(service: &Value) -> impl Iterator<Item = &Value> {
    service["spec"]["ports"].as_array().into_iter().flatten()
}

fn ports_mut(service: &mut Value) -> impl Iterator<Item = &mut Value> {
    let ports = service["spec"]["ports"].as_array_mut();
    ports.into_iter().flatten()
}

fn node_ports(service: &Value) -> impl Iterator<Item = i64> {
    ports(service).filter_map(|port| port["nodePort"].as_i64())
}

/// Copies allocated values that an update leaves unset, so that clients need not repeat them.
fn carry_over_allocations(object: &mut Value, old: &Value) {
    if has_cluster_ip(old) && has_cluster_ip(object) && is_unset(&object["spec"]["clusterIP"]) {
        for field in ["clusterIP", "clusterIPs"] {
            object["spec"][field] = old["spec"][field].clone();
        }
    }
    if !has_node_ports(old) || !has_node_ports(object) {
        return;
    }
    let allocated = |name: &Value| {
        let port = ports(old).find(|port| port["name"] == *name)?;
        port["nodePort"].as_i64()
    };
    let mut used: HashSet<i64> = node_ports(object).collect();
    for port in ports_mut(object) {
        let kept = allocated(&port["name"]).filter(|_| is_unset(&port["nodePort"]));
        if let Some(kept) = kept.filter(|kept| used.insert(*kept)) {
            port["nodePort"] = json!(kept);
        }
    }
}

/// Removes allocated values that the new type of the service does not use. Values that differ from the old ones stay:
/// validation rejects them.
fn release_unused(object: &mut Value, old: &Value) {
    if has_cluster_ip(old)
        && !has_cluster_ip(object)
        && object["spec"]["clusterIP"] == old["spec"]["clusterIP"]
        && let Some(spec) = object["spec"].as_object_mut()
    {
        spec.remove("clusterIP");
        spec.remove("clusterIPs");
    }
    if has_node_ports(old) && !has_node_ports(object) {
        let allocated: HashSet<i64> = node_ports(old).collect();
        for port in ports_mut(object) {
            let is_allocated = port["nodePort"]
                .as_i64()
                .is_some_and(|port| allocated.contains(&port));
            if let Some(port) = port.as_object_mut().filter(|_| is_allocated) {
                port.remove("nodePort");
            }
        }
    }
}

fn allocate_cluster_ip(
    services: &[impl Deref<Target = Value>],
    object: &mut Value,
) -> Result<(), String> {
    let used: HashSet<&str> = services
        .iter()
        .filter_map(|service| service["spec"]["clusterIP"].as_str())
        .collect();
    let address = match object["spec"]["clusterIP"].as_str() {
        Some("None") => "None".to_owned(),
        Some(requested) if !requested.is_empty() => {
            if used.contains(requested) {
                return Err(format!(
                    "spec.clusterIPs: Invalid value: {requested:?}: failed to allocate IP {requested}: provided IP is already allocated"
                ));
            }
            requested.to_owned()
        }
        _ => (RESERVED_ADDRESSES..(1 << SERVICE_CIDR_HOST_BITS) - 1)
            .map(|host| Ipv4Addr::from_bits(SERVICE_CIDR.to_bits() + host).to_string())
            .find(|address| !used.contains(address.as_str()))
            .ok_or("no free address in the service network: delete unused services")?,
    };
    object["spec"]["clusterIP"] = json!(address);
    object["spec"]["clusterIPs"] = json!([address]);
    Ok(())
}

fn allocate_node_ports(
    services: &[impl Deref<Target = Value>],
    object: &mut Value,
) -> Result<(), String> {
    if !has_node_ports(object) {
        return Ok(());
    }
    let mut used: HashSet<i64> = services
        .iter()
        .flat_map(|service| node_ports(service))
        .collect();
    for port in ports_mut(object) {
        let allocated = match port["nodePort"].as_i64().filter(|number| *number != 0) {
            Some(requested) if used.contains(&requested) => {
                return Err(format!(
                    "spec.ports.nodePort: Invalid value: {requested}: provided port is already allocated"
                ));
            }
            Some(requested) => requested,
            None => NODE_PORTS
                .into_iter()
                .find(|port| !used.contains(port))
                .ok_or("no free node port: delete unused services")?,
        };
        used.insert(allocated);
        port["nodePort"] = json!(allocated);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
