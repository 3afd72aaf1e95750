//! A running container with everything that its hooks and its termination need.

use std::net::Ipv4Addr;
use std::sync::Arc;

use component_helpers::events::EventType;
use component_helpers::pods;
use container_runtime::ContainerId;
use k8s_openapi::api::core::v1::{Container, Pod};
use probe::ProbeTarget;

use super::Context;
use super::probe_events::container_ref;

#[derive(Clone)]
pub(super) struct ContainerHandle {
    pub(super) context: Arc<Context>,
    pub(super) pod: Arc<Pod>,
    pub(super) container: Container,
    pub(super) id: ContainerId,
    pub(super) ip: Option<Ipv4Addr>,
}

impl ContainerHandle {
    pub(super) fn is_sidecar(&self) -> bool {
        pods::has_sidecar(&self.pod, &self.container.name)
    }

    pub(super) fn event(&self, kind: EventType, reason: &str, message: &str) {
        let container = container_ref(&self.pod, Some(&self.container.name));
        self.context.events.event(&container, kind, reason, message);
    }

    /// Returns the container as the target of a probe or of an HTTP hook.
    pub(super) fn probe_target(&self) -> ProbeTarget {
        let meta = &self.pod.metadata;
        ProbeTarget {
            pod_uid: meta.uid.clone().unwrap_or_default(),
            namespace: meta.namespace.clone().unwrap_or_default(),
            pod: meta.name.clone().unwrap_or_default(),
            container: self.container.name.clone(),
            container_id: self.id.0.clone(),
            ip: self.ip.map(Into::into),
        }
    }
}
