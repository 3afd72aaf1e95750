//! Pod sandbox: its creation, and the content of its volumes.

use container_runtime::{RuntimeError, SandboxConfig, Volume};
use k8s_openapi::api::core::v1::Pod;

use super::{MAX_RESYNC_INTERVAL, Worker};
use crate::volumes::VolumeError;
use crate::{dns, volumes};

/// Maximum length of a host name in Linux; Kubernetes uses one character less (`hostnameMaxLen`).
const MAX_HOSTNAME_LEN: usize = 63;

/// Error of [`Worker::ensure_sandbox`].
#[derive(Debug, thiserror::Error)]
pub(super) enum SandboxError {
    #[error(transparent)]
    Resolve(#[from] VolumeError),
    #[error(transparent)]
    UpdateVolumes(RuntimeError),
    #[error("Failed to create pod sandbox: {0}")]
    Create(RuntimeError),
}

impl SandboxError {
    /// Returns the reason of the event.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Resolve(_) | Self::UpdateVolumes(_) => "FailedMount",
            Self::Create(_) => "FailedCreatePodSandBox",
        }
    }
}

impl Worker {
    /// Creates the sandbox, or updates its volumes if it exists.
    ///
    /// # Errors
    /// If the content of a volume cannot be read, or the runtime fails. An existing sandbox keeps its previous volumes.
    pub(super) async fn ensure_sandbox(&mut self, pod: &Pod) -> Result<(), SandboxError> {
        if volumes::can_change(pod) {
            self.requeue_after(MAX_RESYNC_INTERVAL);
        }
        if self.sandbox.is_some() {
            self.update_volumes(pod).await
        } else {
            self.create_sandbox(pod).await
        }
    }

    async fn create_sandbox(&mut self, pod: &Pod) -> Result<(), SandboxError> {
        let volumes = self.resolve_volumes(pod).await?;
        let config = self.sandbox_config(pod, volumes.clone());
        let created = self.context.runtime.run_sandbox(config).await;
        let sandbox = created.map_err(SandboxError::Create)?;
        self.state.ip = Some(sandbox.ip);
        self.sandbox = Some(sandbox);
        self.volumes = volumes;
        Ok(())
    }

    fn sandbox_config(&self, pod: &Pod, volumes: Vec<Volume>) -> SandboxConfig {
        let (meta, spec) = (&pod.metadata, pod.spec.as_ref());
        let name = meta.name.clone().unwrap_or_default();
        let host_aliases = spec
            .iter()
            .flat_map(|spec| spec.host_aliases.iter().flatten())
            .map(|alias| {
                let names = alias.hostnames.clone().unwrap_or_default();
                (alias.ip.clone(), names)
            });
        SandboxConfig {
            uid: meta.uid.clone().unwrap_or_default(),
            namespace: meta.namespace.clone().unwrap_or_default(),
            hostname: truncate_hostname(
                spec.and_then(|spec| spec.hostname.as_deref())
                    .unwrap_or(&name),
            ),
            name,
            volumes,
            fs_group: spec
                .and_then(|spec| spec.security_context.as_ref()?.fs_group)
                .and_then(|group| u32::try_from(group).ok()),
            dns: dns::dns_config(pod, self.context.config.cluster_dns),
            share_process_namespace: spec
                .and_then(|spec| spec.share_process_namespace)
                .unwrap_or(false),
            host_aliases: host_aliases.collect(),
        }
    }

    async fn resolve_volumes(&mut self, pod: &Pod) -> Result<Vec<Volume>, VolumeError> {
        let context = self.context.clone();
        let downward = context.downward(pod, self.state.ip);
        volumes::resolve(&context.client, &downward).await
    }

    /// Replaces the content of the volumes if it has changed. The content is polled at each sync, as upstream.
    async fn update_volumes(&mut self, pod: &Pod) -> Result<(), SandboxError> {
        let sandbox = self.sandbox.as_ref().map(|sandbox| sandbox.id.clone());
        let Some(sandbox) = sandbox.filter(|_| volumes::can_change(pod)) else {
            return Ok(());
        };
        let volumes = self.resolve_volumes(pod).await?;
        if volumes == self.volumes {
            return Ok(());
        }
        let updated = self
            .context
            .runtime
            .update_volumes(&sandbox, &volumes)
            .await;
        updated.map_err(SandboxError::UpdateVolumes)?;
        self.volumes = volumes;
        Ok(())
    }
}

/// Truncates a name to the maximum length of a host name.
fn truncate_hostname(name: &str) -> String {
    let name: String = name.chars().take(MAX_HOSTNAME_LEN).collect();
    name.trim_end_matches(['-', '.']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_pod_name_is_truncated_to_a_valid_host_name() {
        assert_eq!(truncate_hostname("web-0"), "web-0");
        let longest = "a".repeat(63);
        assert_eq!(truncate_hostname(&longest), longest);
        assert_eq!(truncate_hostname(&format!("{longest}b")), longest);
        let cut_at_hyphen = format!("{}-.-bcd", "a".repeat(60));
        assert_eq!(truncate_hostname(&cut_at_hyphen), "a".repeat(60));
    }
}
