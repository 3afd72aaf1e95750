//! The probe engine's events, as events of the pod's containers.

use k8s_openapi::api::core::v1::ObjectReference;
use probe::{EventSink, Target};

use crate::events::{EventType, Recorder};

pub(super) struct Sink(pub(super) Recorder);

impl EventSink for Sink {
    fn warning(&self, target: &Target, reason: &'static str, message: String) {
        let about = ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Pod".to_owned()),
            namespace: Some(target.namespace.clone()),
            name: Some(target.pod.clone()),
            uid: Some(target.pod_uid.clone()),
            field_path: Some(field_path(&target.container)),
            ..ObjectReference::default()
        };
        self.0.event(&about, EventType::Warning, reason, &message);
    }
}

/// Where a container stands in its pod.
pub(super) fn field_path(container: &str) -> String {
    format!("spec.containers{{{container}}}")
}
