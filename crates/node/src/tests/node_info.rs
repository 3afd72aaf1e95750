//! System information in the node's status.

use k8s_openapi::api::core::v1::Node;

use super::*;

#[cfg(target_os = "linux")]
#[tokio::test(start_paused = true)]
async fn node_status_has_the_hosts_kernel_and_boot_id() {
    let node = start_node().await;
    let nodes: Objects<Node> = Objects::all(node.client.clone());
    let status = nodes.get("node").await.unwrap().status.unwrap();
    let info = status.node_info.unwrap();
    let read = |file: &str| std::fs::read_to_string(file).unwrap().trim().to_owned();
    assert_eq!(info.kernel_version, read("/proc/sys/kernel/osrelease"));
    assert_eq!(info.boot_id, read("/proc/sys/kernel/random/boot_id"));
    let version = env!("CARGO_PKG_VERSION");
    let runtime = format!("selfheal://{version}");
    assert_eq!(info.container_runtime_version, runtime);
}
