//! A pod's sandbox: its volumes, its address, and what is said when one of them is not to be had.

use component_helpers::events::EventType;
use container_runtime::{SandboxConfig, Volume};
use k8s_openapi::api::core::v1::Pod;

use super::{RESYNC, RETRY, Worker};
use crate::{dns, volumes};

/// The kernel has room for one more.
const LONGEST_HOST_NAME: usize = 63;

impl Worker {
    pub(super) async fn has_sandbox(&mut self, pod: &Pod) -> bool {
        if self.sandbox.is_some() {
            self.refresh_volumes(pod).await;
            return true;
        }
        let Some(volumes) = self.resolved_volumes(pod).await else {
            return false;
        };
        let (meta, spec) = (&pod.metadata, pod.spec.as_ref());
        let name = meta.name.clone().unwrap_or_default();
        let config = SandboxConfig {
            uid: meta.uid.clone().unwrap_or_default(),
            namespace: meta.namespace.clone().unwrap_or_default(),
            hostname: host_name(
                spec.and_then(|spec| spec.hostname.as_deref())
                    .unwrap_or(&name),
            ),
            name,
            volumes: volumes.clone(),
            fs_group: spec
                .and_then(|spec| spec.security_context.as_ref()?.fs_group)
                .and_then(|group| u32::try_from(group).ok()),
            dns: dns::of(pod, self.context.config.cluster_dns),
            share_process_namespace: spec
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
                self.volumes = volumes;
                if volumes::may_change(pod) {
                    self.look_again(RESYNC);
                }
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

    /// What its volumes are to have now; none, and word of it, where that cannot be said.
    async fn resolved_volumes(&mut self, pod: &Pod) -> Option<Vec<Volume>> {
        let context = self.context.clone();
        let facts = context.facts(pod, self.state.ip);
        match volumes::resolve(&context.client, &facts).await {
            Ok(volumes) => Some(volumes),
            Err(error) => {
                let message = error.to_string();
                self.event(pod, None, EventType::Warning, "FailedMount", &message);
                self.look_again(RETRY);
                None
            }
        }
    }

    /// Gives its volumes what they are made of has now. The kubelet, too, sees it when it looks at the pod the next time.
    async fn refresh_volumes(&mut self, pod: &Pod) {
        if !volumes::may_change(pod) {
            return;
        }
        self.look_again(RESYNC);
        let Some(sandbox) = self.sandbox.as_ref().map(|sandbox| sandbox.id.clone()) else {
            return;
        };
        let Some(volumes) = self.resolved_volumes(pod).await else {
            return;
        };
        if volumes == self.volumes {
            return;
        }
        match self
            .context
            .runtime
            .update_volumes(&sandbox, &volumes)
            .await
        {
            Ok(()) => self.volumes = volumes,
            Err(error) => {
                let message = error.to_string();
                self.event(pod, None, EventType::Warning, "FailedMount", &message);
            }
        }
    }
}

/// As much of a pod's name as a host name may have.
fn host_name(name: &str) -> String {
    let name: String = name.chars().take(LONGEST_HOST_NAME).collect();
    name.trim_end_matches(['-', '.']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_name_is_as_much_of_a_pods_name_as_the_kernel_takes() {
        assert_eq!(host_name("web-0"), "web-0");
        let long = "a".repeat(63);
        assert_eq!(host_name(&long), long);
        assert_eq!(host_name(&format!("{long}b")), long);
        let ends_badly = format!("{}-.-bcd", "a".repeat(60));
        assert_eq!(host_name(&ends_badly), "a".repeat(60));
    }
}
