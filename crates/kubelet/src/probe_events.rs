//! Records the probe engine's events as events of the pod's containers.

use component_helpers::events::{EventType, Recorder};
use k8s_openapi::api::core::v1::{ObjectReference, Pod};
use kube::Resource as _;
use probe::{EventSink, ProbeTarget};

pub(super) struct ProbeEventRecorder(pub(super) Recorder);

impl EventSink for ProbeEventRecorder {
    fn warning(&self, target: &ProbeTarget, reason: &'static str, message: String) {
        let container = ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Pod".to_owned()),
            namespace: Some(target.namespace.clone()),
            name: Some(target.pod.clone()),
            uid: Some(target.pod_uid.clone()),
            field_path: Some(field_path(&target.container)),
            ..ObjectReference::default()
        };
        self.0
            .event(&container, EventType::Warning, reason, &message);
    }
}

/// Returns a reference to a container of the pod, or to the pod if `container` is `None` (upstream's `GenerateContainerRef`).
pub(super) fn container_ref(pod: &Pod, container: Option<&str>) -> ObjectReference {
    let mut reference = pod.object_ref(&());
    let mut inits = pod
        .spec
        .iter()
        .flat_map(|spec| spec.init_containers.iter().flatten());
    reference.field_path = container.map(|name| {
        if inits.any(|init| init.name == name) {
            format!("spec.initContainers{{{name}}}")
        } else {
            field_path(name)
        }
    });
    reference
}

fn field_path(container: &str) -> String {
    format!("spec.containers{{{container}}}")
}
