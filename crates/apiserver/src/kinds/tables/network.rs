//! Tables of services, endpoints and endpoint slices.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::age::age;
use super::{AGE, NAME, list, or_none, pairs, str_of, text, wide};
use crate::kinds::Column;

/// Maximum number of listed addresses; further ones are counted.
const MAX_LISTED_ADDRESSES: usize = 3;

pub(in crate::kinds) const SERVICES: &[Column] = &[
    NAME,
    text("Type"),
    text("Cluster-IP"),
    text("External-IP"),
    text("Port(s)"),
    AGE,
    wide("Selector"),
];

pub(in crate::kinds) fn service(object: &Value, now: Timestamp) -> Vec<Value> {
    let spec = &object["spec"];
    vec![
        super::name(object),
        spec["type"].clone(),
        or_none(str_of(&spec["clusterIP"])),
        json!(external(object)),
        or_none(
            &list(&spec["ports"])
                .iter()
                .map(port)
                .collect::<Vec<_>>()
                .join(","),
        ),
        age(&object["metadata"]["creationTimestamp"], now),
        pairs(&spec["selector"]),
    ]
}

pub(in crate::kinds) const POLICIES: &[Column] = &[NAME, text("Pod-Selector"), AGE];

pub(in crate::kinds) fn policy(object: &Value, now: Timestamp) -> Vec<Value> {
    vec![
        super::name(object),
        pairs(&object["spec"]["podSelector"]["matchLabels"]),
        age(&object["metadata"]["creationTimestamp"], now),
    ]
}

fn external(object: &Value) -> String {
    let spec = &object["spec"];
    let mut addresses: Vec<&str> = match str_of(&spec["type"]) {
        "ExternalName" => return str_of(&spec["externalName"]).to_owned(),
        "LoadBalancer" => list(&object["status"]["loadBalancer"]["ingress"])
            .iter()
            .map(|ingress| {
                ingress["ip"]
                    .as_str()
                    .unwrap_or_else(|| str_of(&ingress["hostname"]))
            })
            .collect(),
        _ => Vec::new(),
    };
    addresses.extend(list(&spec["externalIPs"]).iter().map(str_of));
    match (addresses.is_empty(), str_of(&spec["type"])) {
        (true, "LoadBalancer") => "<pending>".to_owned(),
        (true, _) => "<none>".to_owned(),
        (false, _) => addresses.join(","),
    }
}

fn port(port: &Value) -> String {
    let protocol = port["protocol"].as_str().unwrap_or("TCP");
    match port["nodePort"].as_i64().filter(|port| *port > 0) {
        Some(node_port) => format!("{}:{node_port}/{protocol}", port["port"]),
        None => format!("{}/{protocol}", port["port"]),
    }
}

pub(in crate::kinds) const ENDPOINTS: &[Column] = &[NAME, text("Endpoints"), AGE];

pub(in crate::kinds) fn endpoints(object: &Value, now: Timestamp) -> Vec<Value> {
    vec![
        super::name(object),
        json!(ready_addresses(list(&object["subsets"]))),
        age(&object["metadata"]["creationTimestamp"], now),
    ]
}

/// Lists the ready addresses. The cell is empty if all addresses are unready, and `<none>` without addresses.
fn ready_addresses(subsets: &[Value]) -> String {
    if subsets.is_empty() {
        return "<none>".to_owned();
    }
    let mut all = Vec::new();
    for subset in subsets {
        let (addresses, ports) = (list(&subset["addresses"]), list(&subset["ports"]));
        if ports.is_empty() {
            all.extend(
                addresses
                    .iter()
                    .map(|address| str_of(&address["ip"]).to_owned()),
            );
        }
        for port in ports {
            all.extend(
                addresses
                    .iter()
                    .map(|address| format!("{}:{}", str_of(&address["ip"]), port["port"])),
            );
        }
    }
    truncate_list(&all, " + ")
}

fn truncate_list(all: &[String], joint: &str) -> String {
    let shown = all[..all.len().min(MAX_LISTED_ADDRESSES)].join(",");
    match all.len().saturating_sub(MAX_LISTED_ADDRESSES) {
        0 => shown,
        more => format!("{shown}{joint}{more} more..."),
    }
}

pub(in crate::kinds) const ENDPOINT_SLICES: &[Column] = &[
    NAME,
    text("AddressType"),
    text("Ports"),
    text("Endpoints"),
    AGE,
];

pub(in crate::kinds) fn endpoint_slice(object: &Value, now: Timestamp) -> Vec<Value> {
    let ports: Vec<_> = list(&object["ports"])
        .iter()
        .map(|port| port["port"].to_string())
        .collect();
    let endpoints = list(&object["endpoints"])
        .iter()
        .flat_map(|endpoint| list(&endpoint["addresses"]));
    let addresses: Vec<_> = endpoints
        .map(|address| str_of(address).to_owned())
        .collect();
    let or_unset = |text: String| {
        if text.is_empty() {
            json!("<unset>")
        } else {
            json!(text)
        }
    };
    vec![
        super::name(object),
        object["addressType"].clone(),
        or_unset(truncate_list(&ports, " + ")),
        or_unset(truncate_list(&addresses, " + ")),
        age(&object["metadata"]["creationTimestamp"], now),
    ]
}
