//! A pod's sandbox: its volumes, its address, and what is said when one of them is not to be had.

use k8s_openapi::api::core::v1::Pod;

use super::{RETRY, Worker};
use crate::events::EventType;
use crate::kubelet::volumes;
use crate::runtime::SandboxConfig;

impl Worker {
    pub(super) async fn has_sandbox(&mut self, pod: &Pod) -> bool {
        if self.sandbox.is_some() {
            return true;
        }
        let volumes = match volumes::resolve(&self.context.client, pod).await {
            Ok(volumes) => volumes,
            Err(error) => {
                self.event(
                    pod,
                    None,
                    EventType::Warning,
                    "FailedMount",
                    &error.to_string(),
                );
                self.look_again(RETRY);
                return false;
            }
        };
        let (meta, spec) = (&pod.metadata, pod.spec.as_ref());
        let name = meta.name.clone().unwrap_or_default();
        let config = SandboxConfig {
            uid: meta.uid.clone().unwrap_or_default(),
            namespace: meta.namespace.clone().unwrap_or_default(),
            hostname: spec
                .and_then(|spec| spec.hostname.clone())
                .unwrap_or_else(|| name.clone()),
            name,
            volumes,
            fs_group: spec
                .and_then(|spec| spec.security_context.as_ref()?.fs_group)
                .and_then(|group| u32::try_from(group).ok()),
            share_processes: spec
                .and_then(|spec| spec.share_process_namespace)
                .unwrap_or(false),
            host_aliases: spec
                .iter()
                .flat_map(|spec| spec.host_aliases.iter().flatten())
                .map(|alias| {
                    (
                        alias.ip.clone(),
                        alias.hostnames.clone().unwrap_or_default(),
                    )
                })
                .collect(),
        };
        match self.context.runtime.run_sandbox(config).await {
            Ok(sandbox) => {
                self.state.ip = Some(sandbox.ip);
                self.sandbox = Some(sandbox);
                true
            }
            Err(error) => {
                let message = format!("Failed to create pod sandbox: {error}");
                self.event(
                    pod,
                    None,
                    EventType::Warning,
                    "FailedCreatePodSandBox",
                    &message,
                );
                self.look_again(RETRY);
                false
            }
        }
    }
}
