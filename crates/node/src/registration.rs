//! Registers the node in the API: its object with resources, addresses, conditions and system information.

use std::collections::BTreeMap;

use component_helpers::supervisor::healthy_condition;
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::api::PostParams;
use kube::{Api, Client};
use serde_json::json;

use super::Options;
use super::node_info::{go_architecture, node_info};

/// Creates the node's object, which is ready from the start.
pub(super) async fn register(
    client: &Client,
    options: &Options,
    resources: &BTreeMap<String, Quantity>,
) -> Result<(), kube::Error> {
    let clock = options.supervisor.clock();
    let components = json!(healthy_condition(&[], clock.now()));
    let now = clock.now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let ready = json!({
        "type": "Ready", "status": "True", "reason": "KubeletReady", "message": "kubelet is posting ready status",
        "lastHeartbeatTime": now, "lastTransitionTime": now,
    });
    let node = json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": options.name, "labels": {
            "kubernetes.io/hostname": options.name,
            "kubernetes.io/os": "linux",
            "kubernetes.io/arch": go_architecture(),
        }},
        "status": {
            "capacity": resources,
            "allocatable": resources,
            "conditions": [ready, components],
            "addresses": [
                {"type": "InternalIP", "address": options.ip},
                {"type": "Hostname", "address": options.name},
            ],
            "nodeInfo": node_info(),
        },
    });
    let node: Node = serde_json::from_value(node).map_err(kube::Error::SerdeError)?;
    Api::<Node>::all(client.clone())
        .create(&PostParams::default(), &node)
        .await?;
    Ok(())
}

/// Returns the host's resources, all of which pods can use.
pub(super) fn allocatable(max_pods: u32) -> BTreeMap<String, Quantity> {
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let cpus = ("cpu", cpus.to_string());
    let pods = ("pods", max_pods.to_string());
    let resources = [cpus, pods].into_iter().chain(memory());
    resources
        .map(|(name, amount)| (name.to_owned(), Quantity(amount)))
        .collect()
}

#[cfg(target_os = "linux")]
fn memory() -> Option<(&'static str, String)> {
    let kibibytes = nix::sys::sysinfo::sysinfo().ok()?.ram_total() / 1024;
    Some(("memory", format!("{kibibytes}Ki")))
}

#[cfg(not(target_os = "linux"))]
fn memory() -> Option<(&'static str, String)> {
    None
}
